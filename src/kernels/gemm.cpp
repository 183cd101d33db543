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

constexpr std::int64_t block = 16;        // rows or columns that stay together
constexpr double thread_grain = 1 << 17;  // multiplications: OpenBLAS itself takes threads for twice as many

// A part of c for each thread, along its longer side: OpenBLAS's own threads share what they pack and wait
// for each other, by which a transposed a loses a third. Built with OpenMP, it uses none inside ours.
template <class T, class Product>
void blas(Product product, const GemmShape& s, const T* a, const T* b, T* c) {
  const auto transpose = [](bool yes) { return yes ? CblasTrans : CblasNoTrans; };
  const auto extent = [](std::int64_t value) { return static_cast<blasint>(value); };
  const bool by_rows = s.m >= s.n;
  const std::int64_t length = by_rows ? s.m : s.n;
  const double of_a_block = products(s) / static_cast<double>(length) * block;
  const auto grain = static_cast<std::int64_t>(thread_grain / std::max(1.0, of_a_block));
  parallel_for((length + block - 1) / block, grain, [=](std::int64_t first, std::int64_t end) {
    const std::int64_t at = first * block, count = std::min(end * block, length) - at;
    const std::int64_t row = by_rows ? at : 0, column = by_rows ? 0 : at;
    product(CblasRowMajor, transpose(s.transpose_a), transpose(s.transpose_b), extent(by_rows ? count : s.m),
            extent(by_rows ? s.n : count), extent(s.k), T(1), a + row * (s.transpose_a ? 1 : s.a_stride),
            extent(s.a_stride), b + column * (s.transpose_b ? s.b_stride : 1), extent(s.b_stride),
            T(s.accumulate ? 1 : 0), c + row * s.c_stride + column, extent(s.c_stride));
  });
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
