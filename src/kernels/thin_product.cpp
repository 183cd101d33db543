#include "kernels/thin_product.hpp"

#include <algorithm>
#include <utility>

#include "kernels/register_tile.hpp"
#include "kernels/register_transpose.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

using Vector = Lanes<float>::Vector;
constexpr int lanes = Lanes<float>::count;
constexpr int least_columns = 8, most_columns = 28;  // of c
constexpr int most_sums = 12;                        // registers, beside those that are read
constexpr std::int64_t most_depth = 128;             // of a transposed a: beyond it the libraries are as fast
constexpr std::int64_t packed_elements = 4096;       // 16 KB, half of the nearest cache
constexpr std::int64_t depth_block = 256;            // rows of b that stay there
static_assert(packed_elements / most_depth % 16 == 0);

// Tiles of `rows` of all `count` rows.
template <int rows, int vectors>
[[gnu::always_inline]] inline void multiply_tiles(std::int64_t count, const float* a, std::int64_t a_row,
                                                  std::int64_t a_step, const float* b, std::int64_t b_step,
                                                  std::int64_t depth, float* c, std::int64_t c_row,
                                                  bool accumulate) {
  std::int64_t i = 0;
  for (; i + rows <= count; i += rows)
    multiply_tile<rows, vectors>(a + i * a_row, a_row, a_step, b, b_step, depth, c + i * c_row, c_row,
                                 accumulate);
  for (; i < count; ++i)
    multiply_tile<1, vectors>(a + i * a_row, a_row, a_step, b, b_step, depth, c + i * c_row, c_row,
                              accumulate);
}

// sums [columns, registers, lanes] = b[:, j]' rows, for neighbouring columns of the packed rows.
template <int columns, int registers>
[[gnu::always_inline]] inline void multiply_packed(const float* rows, std::int64_t width, const float* b,
                                                   std::int64_t b_step, std::int64_t depth,
                                                   float (&sums)[columns][registers * lanes]) {
  Vector sum[columns][registers]{};
  for (std::int64_t k = 0; k < depth; ++k, rows += width, b += b_step) {
#pragma GCC unroll 12
    for (int r = 0; r < registers; ++r) {
      const Vector x = Lanes<float>::load(rows + r * lanes);
#pragma GCC unroll 12
      for (int j = 0; j < columns; ++j) sum[j][r] += x * b[j];
    }
  }
#pragma GCC unroll 12
  for (int j = 0; j < columns; ++j) {
#pragma GCC unroll 12
    for (int r = 0; r < registers; ++r) Lanes<float>::store(sum[j][r], sums[j] + r * lanes);
  }
}

// Columns of c from packed columns of a, as rows. With few columns several registers of rows at a time, or
// each sum would wait for itself.
template <int columns>
[[gnu::always_inline]] inline void multiply_columns(std::int64_t count, const float* packed,
                                                    std::int64_t width, const float* b, std::int64_t b_step,
                                                    std::int64_t depth, float* c, std::int64_t c_row) {
  constexpr int registers = columns <= 2 ? 4 : columns <= 4 ? 2 : 1;
  for (std::int64_t i = 0; i < count; i += registers * lanes) {
    float sums[columns][registers * lanes];
    multiply_packed<columns, registers>(packed + i, width, b, b_step, depth, sums);
    if (columns >= lanes && i + lanes <= count) {
      for (const int j : {0, columns - lanes}) transpose_eight(sums[j], lanes, c + i * c_row + j, c_row);
      continue;
    }
    for (std::int64_t r = 0; r < std::min<std::int64_t>(registers * lanes, count - i); ++r) {
      for (int j = 0; j < columns; ++j) c[(i + r) * c_row + j] = sums[j][r];
    }
  }
}

// c = a^T b. Columns of a are packed first: each block is a whole number of cache lines of every row.
template <int vectors, int rest>
WEFT_VECTOR_LOOP void multiply_transposed(const GemmShape& s, const float* a, const float* b, float* c) {
  alignas(64) float packed[packed_elements + 2 * lanes];  // multiply_columns may read so much too far
  const std::int64_t width = packed_elements / s.k / 16 * 16;
  for (std::int64_t begin = 0; begin < s.m; begin += width) {
    const std::int64_t count = std::min(width, s.m - begin);
    for (std::int64_t k = 0; k < s.k; ++k) {
      std::copy_n(a + k * s.a_stride + begin, count, packed + k * width);
      std::fill(packed + k * width + count, packed + (k + 1) * width, 0.0f);
    }
    float* to = c + begin * s.c_stride;
    if constexpr (vectors > 0)
      multiply_tiles<most_sums / vectors, vectors>(count, packed, 1, width, b, s.b_stride, s.k, to,
                                                   s.c_stride, false);
    if constexpr (rest > 0)
      multiply_columns<rest>(count, packed, width, b + vectors * lanes, s.b_stride, s.k, to + vectors * lanes,
                             s.c_stride);
  }
}

// c [rows, columns] += a b for few columns, which are packed as rows.
template <int rows, int columns>
[[gnu::always_inline]] inline void add_dots(const float* a, std::int64_t a_row, const float* packed,
                                            std::int64_t depth, float* c, std::int64_t c_row) {
  Vector sums[rows][columns]{};
  std::int64_t k = 0;
  for (; k + lanes <= depth; k += lanes) {
#pragma GCC unroll 12
    for (int i = 0; i < rows; ++i) {
      const Vector x = Lanes<float>::load(a + i * a_row + k);
#pragma GCC unroll 12
      for (int j = 0; j < columns; ++j) sums[i][j] += Lanes<float>::load(packed + j * depth_block + k) * x;
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < columns; ++j) {
      float sum = 0;
      for (int l = 0; l < lanes; ++l) sum += sums[i][j][l];
      for (std::int64_t l = k; l < depth; ++l) sum += a[i * a_row + l] * packed[j * depth_block + l];
      c[i * c_row + j] += sum;
    }
  }
}

template <int columns>
[[gnu::always_inline]] inline void add_columns(std::int64_t count, const float* a, std::int64_t a_row,
                                               const float* b, std::int64_t b_step, std::int64_t depth,
                                               float* c, std::int64_t c_row) {
  constexpr int rows = std::min(8, most_sums / columns);
  alignas(64) float packed[columns * depth_block];
  for (std::int64_t k = 0; k < depth; ++k) {
    for (int j = 0; j < columns; ++j) packed[j * depth_block + k] = b[k * b_step + j];
  }
  std::int64_t i = 0;
  for (; i + rows <= count; i += rows)
    add_dots<rows, columns>(a + i * a_row, a_row, packed, depth, c + i * c_row, c_row);
  for (; i < count; ++i) add_dots<1, columns>(a + i * a_row, a_row, packed, depth, c + i * c_row, c_row);
}

// c = a b, a range of b's rows at a time.
template <int vectors, int rest>
WEFT_VECTOR_LOOP void multiply_plain(const GemmShape& s, const float* a, const float* b, float* c) {
  for (std::int64_t i = 0; rest > 0 && i < s.m; ++i)
    std::fill_n(c + i * s.c_stride + vectors * lanes, rest, 0.0f);
  for (std::int64_t k = 0; k < s.k; k += depth_block, a += depth_block, b += depth_block * s.b_stride) {
    const std::int64_t depth = std::min(depth_block, s.k - k);
    multiply_tiles<most_sums / vectors, vectors>(s.m, a, s.a_stride, 1, b, s.b_stride, depth, c, s.c_stride,
                                                 k > 0);
    if constexpr (rest > 0)
      add_columns<rest>(s.m, a, s.a_stride, b + vectors * lanes, s.b_stride, depth, c + vectors * lanes,
                        s.c_stride);
  }
}

using Kernel = void (*)(const GemmShape&, const float* a, const float* b, float* c);

// A transpose into c needs eight columns; of more than 13 some are left over.
template <int columns>
constexpr Kernel transposed_kernel() {
  constexpr int vectors = columns < 14 ? 0 : columns / lanes;
  return multiply_transposed<vectors, columns - vectors * lanes>;
}

// Null where the libraries are faster.
template <int columns>
constexpr Kernel plain_kernel() {
  if constexpr (columns > 16 && columns % lanes <= 4) return multiply_plain<columns / lanes, columns % lanes>;
  return nullptr;
}

template <int... n>
Kernel kernel_of(const GemmShape& s, std::integer_sequence<int, n...>) {
  static constexpr Kernel kernels[][sizeof...(n)] = {{plain_kernel<least_columns + n>()...},
                                                     {transposed_kernel<least_columns + n>()...}};
  return kernels[s.transpose_a][s.n - least_columns];
}
Kernel kernel_of(const GemmShape& s) {
  return kernel_of(s, std::make_integer_sequence<int, most_columns - least_columns + 1>());
}

}  // namespace

bool is_thin(const GemmShape& s) {
  if (s.transpose_b || s.accumulate || s.n < least_columns || s.n > most_columns) return false;
  if (!s.transpose_a) return s.m >= 32 && s.k >= depth_block && kernel_of(s);
  // The libraries are faster where c's columns fill their registers, unless a's rows lie a multiple of 2 KB
  // apart.
  const bool fills_registers = s.n == 8 || (s.n >= 14 && s.n <= 16);
  return s.m >= s.n && s.k <= most_depth && (!fills_registers || s.a_stride % 512 == 0);
}

void thin_product(const GemmShape& s, const float* a, const float* b, float* c) { kernel_of(s)(s, a, b, c); }

}  // namespace weft
