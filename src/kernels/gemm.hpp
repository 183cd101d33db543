// Matrix products on raw memory: f32 by oneDNN but where OpenBLAS or a kernel for small products, for thin
// ones or for many zeros is faster, f64 by OpenBLAS.
#pragma once

#include <cstdint>

namespace weft {

// c [m, n] = a [m, k] b [k, n], all extents at least 1. Strides are the elements from one stored row to the
// next; a transposed operand is stored [k, m] or [n, k].
struct GemmShape {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
  std::int64_t a_stride, b_stride, c_stride;
  bool accumulate = false;  // adds to c, which is not read otherwise
};
void gemm(const GemmShape& shape, const float* a, const float* b, float* c);
void gemm(const GemmShape& shape, const double* a, const double* b, double* c);

}  // namespace weft
