// Convolutions by 3 x 3 filters with stride 1 in 4 products where a direct one takes 9: Lavin and Gray, Fast
// algorithms for convolutional neural networks, CVPR 2016, F(2 x 2, 3 x 3). f32.
//   U = G w G^T, V = B^T x B for every tile of 4 x 4 elements, y = A^T (U V) A for its 2 x 2 outputs
//   gU = V (A gy A^T), gw = G^T gU G; gx is the convolution of gy by w, turned around and transposed
// Rounding is relative to the largest elements of a tile, not of a window. Elements that are not finite, or
// so large that a sum of sixteen may overflow, are the caller's to keep away.
#pragma once

#include "kernels/convolution.hpp"

namespace weft::winograd {

bool fits(const Convolution& c);         // and is worth it
bool is_moderate(const Tensor& values);  // every element is finite, and at most 2^40

// An undefined b adds none. With relu negative results become 0.
Tensor convolution(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& b, bool relu);
Tensor input_gradient(const Convolution& c, const Tensor& gy, const Tensor& w);
Tensor weight_gradient(const Convolution& c, const Tensor& x, const Tensor& gy);

}  // namespace weft::winograd
