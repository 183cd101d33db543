// Convolution in f64 as matrix products: the taps of every output position are copied into a row, some rows
// at a time.
#pragma once

#include "kernels/convolution.hpp"

namespace weft::im2col {

// Each adds to its last argument. There must be products (Convolution::has_products).
void add_convolution(const Convolution& c, const Tensor& x, const Tensor& w, Tensor& y);
void add_input_gradient(const Convolution& c, const Tensor& gy, const Tensor& w, Tensor& gx);
void add_weight_gradient(const Convolution& c, const Tensor& x, const Tensor& gy, Tensor& gw);

}  // namespace weft::im2col
