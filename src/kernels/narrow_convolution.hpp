// Convolutions of images with few channels, such as a model's first: a window's taps along a line are
// neighbours in memory, and a register holds a block of output channels at one position.
#pragma once

#include "kernels/convolution.hpp"

namespace weft::narrow {

bool fits(const Convolution& c);  // and there are products
// Where oneDNN, which takes f32 alone and computes eight output channels at least, is slower: its
// convolutions of up to eight mostly take 1.2 to 2 times as long, of more 0.4 to 1.2 times. Its gradients
// take 0.7 to 1.7 times as long with AVX2 where they fill no half of eight (measured with 6), else 0.3 to 1.3
// times, with AVX-512 0.2 to 1 times. Scattered gradients are faster here, but of windows that overlap at
// every position, which are rare.
bool is_faster(const Convolution& c, DType dtype);
bool has_faster_gradients(const Convolution& c, DType dtype);

// Whether f32 is faster by pairs of taps: with AVX-512, but for short lines of an odd number of taps.
bool prefers_pairs(const Convolution& c);

// An undefined b adds none. With relu negative results become 0 and NaN stays.
Tensor convolution(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& b, bool relu,
                   bool by_pairs);

// Gradients of w and b at once, without a tensor of relu's gradient between. `y` is the output where it was
// made with relu and gy is not yet relu's gradient, undefined otherwise. Output positions at which gy is zero
// are skipped: where the image is finite, 0 x adds nothing.
struct ParameterGradients {
  Tensor w, b;
};
ParameterGradients parameter_gradients(const Convolution& c, const Tensor& x, const Tensor& y,
                                       const Tensor& gy);
// The same where gy is to be added at `positions` (scatter_by_position()), as max pooling's gradient is: the
// work is that of its elements, not of the output's.
ParameterGradients scattered_parameter_gradients(const Convolution& c, const Tensor& x, const Tensor& gy,
                                                 const Tensor& positions);

}  // namespace weft::narrow
