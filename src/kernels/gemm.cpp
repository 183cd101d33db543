#include "kernels/gemm.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "weft/error.hpp"

namespace weft {

void gemm(const GemmShape& s, const double* a, const double* b, double* c) {
  const std::int64_t largest = std::max({s.m, s.n, s.k, s.a_stride, s.b_stride, s.c_stride});
  if (largest > std::numeric_limits<blasint>::max()) {
    throw ShapeError(fmt::format("an f64 matrix product takes extents below 2^31, found {}", largest));
  }
  const auto transpose = [](bool yes) { return yes ? CblasTrans : CblasNoTrans; };
  const auto extent = [](std::int64_t value) { return static_cast<blasint>(value); };
  cblas_dgemm(CblasRowMajor, transpose(s.transpose_a), transpose(s.transpose_b), extent(s.m), extent(s.n),
              extent(s.k), 1.0, a, extent(s.a_stride), b, extent(s.b_stride), s.accumulate ? 1.0 : 0.0, c,
              extent(s.c_stride));
}

}  // namespace weft
