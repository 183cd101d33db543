#include "kernels/gemm.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "kernels/elementwise.hpp"
#include "kernels/onednn.hpp"
#include "kernels/small_product.hpp"
#include "kernels/sparse_product.hpp"
#include "kernels/thin_product.hpp"
#include "weft/error.hpp"

namespace weft {

namespace {

bool fits_blas(const GemmShape& s) {
  return std::max({s.m, s.n, s.k, s.a_stride, s.b_stride, s.c_stride}) <= std::numeric_limits<blasint>::max();
}

double products(const GemmShape& s) {
  return static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
}

// Where c is small, oneDNN does not pack a transposed a or a plain b, and rows that lie a multiple of 2 KB
// apart fall into the same sets of the cache: it is up to half as fast as OpenBLAS with AVX2, else a tenth
// faster. With AVX-512 OpenBLAS has half its speed.
bool reads_badly(const GemmShape& s) {
  if (onednn::has_avx512() || !fits_blas(s) || s.m * s.n > 1 << 18) return false;
  const bool a_badly = s.transpose_a && s.a_stride % 512 == 0 && s.m >= 64 && s.k * s.a_stride >= 1 << 15;
  const bool b_badly = !s.transpose_b && s.b_stride % 512 == 0 && s.m >= 16 && products(s) >= 1 << 21;
  return a_badly || b_badly;
}

constexpr std::int64_t block = 16;        // rows or columns that stay together
constexpr double thread_grain = 1 << 17;  // multiplications: OpenBLAS itself takes threads for twice as many
constexpr double depth_grain = 1 << 20;   // below it partial sums cost more than they save

// A product, on one thread where it is called by several.
template <class T>
using Product = void (*)(const GemmShape&, const T* a, const T* b, T* c);

template <class T, auto library>
void blas(const GemmShape& s, const T* a, const T* b, T* c) {
  const auto transpose = [](bool yes) { return yes ? CblasTrans : CblasNoTrans; };
  const auto extent = [](std::int64_t value) { return static_cast<blasint>(value); };
  library(CblasRowMajor, transpose(s.transpose_a), transpose(s.transpose_b), extent(s.m), extent(s.n),
          extent(s.k), T(1), a, extent(s.a_stride), b, extent(s.b_stride), T(s.accumulate ? 1 : 0), c,
          extent(s.c_stride));
}

// A part of c for each thread. OpenBLAS's own threads share what they pack and wait for each other, by which
// a transposed a loses a third; built with OpenMP, it uses none inside ours.
template <class T>
void by_results(Product<T> product, const GemmShape& s, const T* a, const T* b, T* c) {
  const bool by_rows = s.m >= s.n || (s.transpose_a && s.m >= thread_count() * block);
  const std::int64_t length = by_rows ? s.m : s.n;
  const double of_a_block = products(s) / static_cast<double>(length) * block;
  const auto grain = static_cast<std::int64_t>(thread_grain / std::max(1.0, of_a_block));
  parallel_for((length + block - 1) / block, grain, [=](std::int64_t first, std::int64_t end) {
    const std::int64_t at = first * block, count = std::min(end * block, length) - at;
    GemmShape part = s;
    (by_rows ? part.m : part.n) = count;
    const std::int64_t row = by_rows ? at : 0, column = by_rows ? 0 : at;
    product(part, a + row * (s.transpose_a ? 1 : s.a_stride), b + column * (s.transpose_b ? s.b_stride : 1),
            c + row * s.c_stride + column);
  });
}

// Whether b, as the weights of a dense layer, is so much larger than c that its rows are worth dividing.
bool is_deep(const GemmShape& s) {
  return !s.transpose_a && !s.transpose_b && thread_count() > 1 &&
         s.k / thread_count() >= std::max(s.m, block) && products(s) >= depth_grain;
}

// A range of b's rows for each thread, the partial sums added up. The optimisers and, in by_results, the
// gradients of weights are divided at nearly the same rows, so that most weights stay in the cache of one
// core: where cores do not share a cache, a step of an MLP is 8 to 14 % faster.
template <class T>
void by_depth(Product<T> product, const GemmShape& s, const T* a, const T* b, T* c) {
  const std::int64_t parts = thread_count(), elements = s.m * s.n;
  Tensor sums({parts - 1, s.m, s.n}, dtype_of<T>());
  T* const partial = sums.mutable_values<T>().data();
  parallel_for(parts, 1, [=](std::int64_t first, std::int64_t end) {
    for (std::int64_t i = first; i < end; ++i) {
      const std::int64_t row = s.k * i / parts;
      GemmShape part = s;
      part.k = s.k * (i + 1) / parts - row;
      if (i > 0) {
        part.accumulate = false;
        part.c_stride = s.n;
      }
      product(part, a + row, b + row * s.b_stride, i == 0 ? c : partial + (i - 1) * elements);
    }
  });
  parallel_for(s.m, elementwise_grain / s.n, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      T* const to = c + row * s.c_stride;
      for (std::int64_t i = 0; i + 1 < parts; ++i)
        detail::zip_loop(to, partial + i * elements + row * s.n, to, s.n, std::plus<>{});
    }
  });
}

Product<float> fastest(const GemmShape& s, const float* a, const float* b) {
  if (has_vector_loops() && is_small(s)) return small_product;
  // With AVX-512 oneDNN's registers are twice as long as those of our kernels.
  if (has_vector_loops() && !onednn::has_avx512()) {
    const Sparse sparse = sparse_operand(s, a, b);
    if (sparse == Sparse::a) return skip_zeros_of_a;
    if (sparse == Sparse::b) return skip_zeros_of_b;
    if (is_thin(s)) return thin_product;
  }
  return reads_badly(s) ? blas<float, cblas_sgemm> : onednn::gemm;
}

}  // namespace

void gemm(const GemmShape& s, const float* a, const float* b, float* c) {
  const Product<float> product = fastest(s, a, b);
  if (is_deep(s)) return by_depth<float>(product, s, a, b, c);
  if (product != onednn::gemm) return by_results<float>(product, s, a, b, c);
  if (products(s) >= thread_grain) return onednn::gemm(s, a, b, c);
  const OneThread alone;  // oneDNN would wake a second one for a row of a few thousand products
  onednn::gemm(s, a, b, c);
}

void gemm(const GemmShape& s, const double* a, const double* b, double* c) {
  if (!fits_blas(s)) {
    throw ShapeError(fmt::format("an f64 matrix product takes extents below 2^31, found {}",
                                 std::max({s.m, s.n, s.k, s.a_stride, s.b_stride, s.c_stride})));
  }
  (is_deep(s) ? by_depth<double> : by_results<double>)(blas<double, cblas_dgemm>, s, a, b, c);
}

}  // namespace weft
