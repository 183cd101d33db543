#include "kernels/small_product.hpp"

#include <algorithm>

#include "kernels/onednn.hpp"
#include "kernels/register_tile.hpp"
#include "kernels/register_transpose.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

constexpr std::int64_t lanes = Lanes<float>::count;
constexpr int most_vectors = 2;  // of columns in a tile of c
constexpr int most_sums = 8;     // in registers: as many as two multipliers with a latency of 4 work on
constexpr std::int64_t most_depth = 256;  // 16 KB of packed columns of b, half of the nearest cache

// A matrix whose next row and next column are that far.
struct Matrix {
  const float* first;
  std::int64_t row, column;
};

// c [count, vectors] = a b, for at most `rows` rows; b's lie b_row apart.
template <int rows, int vectors>
[[gnu::always_inline]] inline void multiply_rows(std::int64_t count, const Matrix& a, const float* b,
                                                 std::int64_t b_row, std::int64_t depth, float* c,
                                                 std::int64_t c_row) {
  if constexpr (rows > 1) {
    if (count < rows) return multiply_rows<rows - 1, vectors>(count, a, b, b_row, depth, c, c_row);
  }
  multiply_tile<rows, vectors>(a.first, a.row, a.column, b, b_row, depth, c, c_row, false);
}

// `columns` of b as rows of `width`, which zeros fill up.
[[gnu::always_inline]] inline void pack(const Matrix& b, std::int64_t columns, std::int64_t width,
                                        std::int64_t depth, float* packed) {
  if (b.column != 1 && columns == width) return transpose(b.first, b.column, columns, depth, packed, width);
  for (std::int64_t k = 0; k < depth; ++k, packed += width) {
    for (std::int64_t j = 0; j < width; ++j)
      packed[j] = j < columns ? b.first[k * b.row + j * b.column] : 0.0f;
  }
}

// Columns of c, at most `vectors` registers of them.
template <int vectors>
[[gnu::always_inline]] inline void multiply_columns(const GemmShape& s, const Matrix& a, const Matrix& b,
                                                    std::int64_t columns, float* c) {
  constexpr int rows = most_sums / vectors;
  constexpr std::int64_t width = vectors * lanes;
  alignas(64) float packed[most_depth * width], tile[rows * width];
  const bool whole = columns == width, in_place = whole && b.column == 1;
  if (!in_place) pack(b, columns, width, s.k, packed);
  for (std::int64_t i = 0; i < s.m; i += rows, c += rows * s.c_stride) {
    const std::int64_t count = std::min<std::int64_t>(rows, s.m - i);
    multiply_rows<rows, vectors>(count, {a.first + i * a.row, a.row, a.column}, in_place ? b.first : packed,
                                 in_place ? b.row : width, s.k, whole ? c : tile, whole ? s.c_stride : width);
    for (std::int64_t r = 0; !whole && r < count; ++r)
      std::copy_n(tile + r * width, columns, c + r * s.c_stride);
  }
}

}  // namespace

bool is_small(const GemmShape& s) {
  // The libraries have functions of their own for a single row, and oneDNN registers twice as long with
  // AVX-512.
  const std::int64_t most_products = (s.m == 1 ? 1 << 12 : 1 << 15) / (onednn::has_avx512() ? 2 : 1);
  return !s.accumulate && s.k <= most_depth && s.m * s.n <= most_products / s.k;
}

WEFT_VECTOR_LOOP void small_product(const GemmShape& s, const float* a, const float* b, float* c) {
  const Matrix of_a{a, s.transpose_a ? 1 : s.a_stride, s.transpose_a ? s.a_stride : 1};
  Matrix of_b{b, s.transpose_b ? 1 : s.b_stride, s.transpose_b ? s.b_stride : 1};
  for (std::int64_t j = 0; j < s.n;) {
    const std::int64_t left = s.n - j;
    if (left > lanes)
      multiply_columns<most_vectors>(s, of_a, of_b, std::min(left, most_vectors * lanes), c + j);
    else
      multiply_columns<1>(s, of_a, of_b, left, c + j);
    j += most_vectors * lanes;
    of_b.first += most_vectors * lanes * of_b.column;
  }
}

}  // namespace weft
