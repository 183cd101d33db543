// Products of stacks of matrices.
#pragma once

#include "weft/ops.hpp"

namespace weft {

// The shape of matmul(a, b): their batch axes broadcast, then [m, n]. Both have rank 2 at least and fit.
Shape matmul_shape(const Shape& a, const Shape& b, const MatmulOptions& options);

// a and b are both f32 or both f64.
Tensor matmul_kernel(const Tensor& a, const Tensor& b, const MatmulOptions& options);

}  // namespace weft
