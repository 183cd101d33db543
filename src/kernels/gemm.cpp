#include "kernels/gemm.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "kernels/onednn.hpp"
#include "kernels/parallel.hpp"
#include "weft/error.hpp"

namespace weft {

namespace {

bool fits_blas(const GemmShape& s) {
  return std::max({s.m, s.n, s.k, s.a_stride, s.b_stride, s.c_stride}) <= std::numeric_limits<blasint>::max();
}

double products(const GemmShape& s) {
  return static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
}

// oneDNN's packing puts rows that lie a multiple of 2 KB apart into the same sets of the cache: of a
// transposed a, and of a plain b in large products. It is a quarter slower than OpenBLAS with AVX2, up to
// twice; with AVX-512 OpenBLAS has half its speed.
bool packs_badly(const GemmShape& s) {
  if (onednn::has_avx512() || !fits_blas(s)) return false;
  if (s.transpose_a) return s.a_stride % 512 == 0 && s.m >= 64;
  return !s.transpose_b && s.b_stride % 512 == 0 && products(s) >= 1 << 25;
}

template <class T, class Product>
void blas(Product product, const GemmShape& s, const T* a, const T* b, T* c) {
  const auto transpose = [](bool yes) { return yes ? CblasTrans : CblasNoTrans; };
  const auto extent = [](std::int64_t value) { return static_cast<blasint>(value); };
  (void)thread_count();  // as many as are wanted
  product(CblasRowMajor, transpose(s.transpose_a), transpose(s.transpose_b), extent(s.m), extent(s.n),
          extent(s.k), T(1), a, extent(s.a_stride), b, extent(s.b_stride), T(s.accumulate ? 1 : 0), c,
          extent(s.c_stride));
}

}  // namespace

void gemm(const GemmShape& s, const float* a, const float* b, float* c) {
  if (packs_badly(s)) return blas(cblas_sgemm, s, a, b, c);
  onednn::gemm(s, a, b, c);
}

void gemm(const GemmShape& s, const double* a, const double* b, double* c) {
  if (!fits_blas(s)) {
    throw ShapeError(fmt::format("an f64 matrix product takes extents below 2^31, found {}",
                                 std::max({s.m, s.n, s.k, s.a_stride, s.b_stride, s.c_stride})));
  }
  blas(cblas_dgemm, s, a, b, c);
}

}  // namespace weft
