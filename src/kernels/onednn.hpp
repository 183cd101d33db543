// oneDNN behind functions on tensors. f32 only, activations channels last, filters plain: each call brings
// the filter into the format that oneDNN prefers for this convolution, up to 6 times as fast as the plain
// one.
//
// Global mutable state: oneDNN's engine, made on first use; and per thread a stream and a bounded cache of
// primitives, so that no call needs a lock.
#pragma once

#include "kernels/convolution.hpp"
#include "kernels/gemm.hpp"

namespace weft::onednn {

// There must be products (Convolution::has_products). An undefined b adds none.
Tensor convolution(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& b);
Tensor convolution_input_gradient(const Convolution& c, const Tensor& gy, const Tensor& w);
Tensor convolution_weight_gradient(const Convolution& c, const Tensor& x, const Tensor& gy);

void gemm(const GemmShape& shape, const float* a, const float* b, float* c);

bool has_avx512();

}  // namespace weft::onednn
