#include "kernels/thin_product.hpp"

#include <algorithm>

#include "kernels/register_transpose.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

constexpr int lanes = Lanes<float>::count;           // rows of c whose sums lie side by side in a register
constexpr int least_columns = 8, most_columns = 13;  // of c in one pass: a register for each, and two to read
constexpr std::int64_t most_passes = 2;
constexpr std::int64_t most_depth = 128;        // beyond it this is no faster than the libraries
constexpr std::int64_t packed_elements = 4096;  // 16 KB, half of the first-level cache
static_assert(packed_elements / most_depth >= 16);

// clang makes one version of a loop, for the oldest x86-64, whose registers are too short for these sums.
#if defined(__clang__) && defined(__x86_64__) && !defined(__AVX__)
constexpr bool has_registers = false;
#else
constexpr bool has_registers = true;
#endif

// sums[j] = b[:, j]' rows, for `lanes` neighbouring columns of the packed rows.
template <int columns>
[[gnu::always_inline]] inline void multiply(const float* rows, std::int64_t row_stride, const float* b,
                                            std::int64_t b_stride, std::int64_t depth,
                                            float (&sums)[columns][lanes]) {
  Lanes<float>::Vector sum[columns]{};
  for (std::int64_t k = 0; k < depth; ++k, rows += row_stride, b += b_stride) {
    const Lanes<float>::Vector x = Lanes<float>::load(rows);
#pragma GCC unroll 16
    for (int j = 0; j < columns; ++j) sum[j] += x * b[j];
  }
#pragma GCC unroll 16
  for (int j = 0; j < columns; ++j) Lanes<float>::store(sum[j], sums[j]);
}

// to[i, j] = sums[j, i] of the first `rows` i
template <int columns>
[[gnu::always_inline]] inline void store(const float (&sums)[columns][lanes], std::int64_t rows, float* to,
                                         std::int64_t stride) {
  if (rows == lanes) {
    for (const int j : {0, columns - lanes}) transpose_eight(sums[j], lanes, to + j, stride);
    return;
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) to[i * stride + j] = sums[j][i];
  }
}

// Blocks of rows of c. Their columns of a are packed first: each is a whole number of cache lines of every
// row.
template <int columns>
WEFT_VECTOR_LOOP void multiply_blocks(const GemmShape& s, const float* a, const float* b, float* c) {
  alignas(64) float packed[packed_elements];
  const std::int64_t width = packed_elements / s.k / 16 * 16;
  for (std::int64_t begin = 0; begin < s.m; begin += width) {
    const std::int64_t count = std::min(width, s.m - begin);
    const std::int64_t filled = (count + lanes - 1) / lanes * lanes;
    for (std::int64_t k = 0; k < s.k; ++k) {
      std::copy_n(a + k * s.a_stride + begin, count, packed + k * width);
      std::fill(packed + k * width + count, packed + k * width + filled, 0.0f);
    }
    for (std::int64_t i = 0; i < count; i += lanes) {
      for (std::int64_t j = 0; j < s.n; j += columns) {
        const std::int64_t column = std::min(j, s.n - columns);  // the last pass computes some again
        float sums[columns][lanes];
        multiply<columns>(packed + i, width, b + column, s.b_stride, s.k, sums);
        store<columns>(sums, std::min<std::int64_t>(lanes, count - i), c + (begin + i) * s.c_stride + column,
                       s.c_stride);
      }
    }
  }
}

}  // namespace

// The libraries are faster where c's columns fill their registers, unless a's rows lie a multiple of 2 KB
// apart.
bool is_thin(const GemmShape& s) {
  const bool fills_registers = s.n == 8 || (s.n >= 14 && s.n <= 16);
  return has_registers && s.transpose_a && !s.transpose_b && !s.accumulate && s.m >= s.n &&
         s.n >= least_columns && s.n <= most_passes * most_columns && s.k <= most_depth &&
         (!fills_registers || s.a_stride % 512 == 0);
}

void thin_product(const GemmShape& s, const float* a, const float* b, float* c) {
  const std::int64_t passes = (s.n + most_columns - 1) / most_columns;
  switch (std::max<std::int64_t>(least_columns, (s.n + passes - 1) / passes)) {
    case 8:
      return multiply_blocks<8>(s, a, b, c);
    case 9:
      return multiply_blocks<9>(s, a, b, c);
    case 10:
      return multiply_blocks<10>(s, a, b, c);
    case 11:
      return multiply_blocks<11>(s, a, b, c);
    case 12:
      return multiply_blocks<12>(s, a, b, c);
    default:
      return multiply_blocks<most_columns>(s, a, b, c);
  }
}

}  // namespace weft
