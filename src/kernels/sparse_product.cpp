#include "kernels/sparse_product.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "kernels/onednn.hpp"
#include "kernels/register_transpose.hpp"
#include "kernels/vector_math.hpp"
#include "weft/tensor.hpp"

namespace weft {

namespace {

using Vector = Lanes<float>::Vector;
constexpr int lanes = Lanes<float>::count;
constexpr int most_registers = 8;  // of a line's sums, which each element is multiplied into
constexpr std::int64_t panel_width = most_registers * lanes;
constexpr std::int64_t depth_block = 128;  // rows of a panel: 32 KB, the nearest cache
constexpr std::int64_t line_block = 256;   // lines that use a panel
constexpr std::int64_t group = 32;         // lines whose sums become columns together: two cache lines of c

// By their bits: the positions of the ones among eight bits, a byte each.
constexpr auto positions_of_ones = [] {
  std::array<std::uint64_t, 256> table{};
  for (std::size_t bits = 0; bits < table.size(); ++bits) {
    for (int i = 7; i >= 0; --i) {
      if (bits >> i & 1) table[bits] = table[bits] << 8 | static_cast<std::uint64_t>(i);
    }
  }
  return table;
}();

typedef int Bits __attribute__((vector_size(32)));

// All ones where an element is infinite or NaN.
[[gnu::always_inline]] inline Bits not_finite(const Vector& x) {
  constexpr int exponent = 0x7f800000;
  return (std::bit_cast<Bits>(x) & exponent) == exponent;
}

// Bit i says whether element i is not zero.
[[gnu::always_inline]] inline unsigned nonzero_bits(const float* eight) {
  Bits bits = (Lanes<float>::load(eight) != 0.0f) & Bits{1, 2, 4, 8, 16, 32, 64, 128};
  bits |= __builtin_shufflevector(bits, bits, 4, 5, 6, 7, 0, 1, 2, 3);
  bits |= __builtin_shufflevector(bits, bits, 2, 3, 0, 1, 6, 7, 4, 5);
  return static_cast<unsigned>(bits[0] | bits[1]);
}

// The positions of what is not zero in a line [depth]; returns how many. Eight are written at a time.
WEFT_VECTOR_LOOP std::int64_t list_nonzero(const float* line, std::int64_t depth, std::uint8_t* list) {
  constexpr std::uint64_t every_byte = 0x0101010101010101;
  std::int64_t k = 0, count = 0;
  for (; k + lanes <= depth; k += lanes) {
    const unsigned bits = nonzero_bits(line + k);
    const std::uint64_t eight = positions_of_ones[bits] + static_cast<std::uint64_t>(k) * every_byte;
    std::memcpy(list + count, &eight, sizeof eight);
    count += std::popcount(bits);
  }
  for (; k < depth; ++k) {
    list[count] = static_cast<std::uint8_t>(k);
    count += line[k] != 0;
  }
  return count;
}

WEFT_VECTOR_LOOP void turn(const float* from, std::int64_t from_stride, std::int64_t rows,
                           std::int64_t columns, float* to, std::int64_t to_stride) {
  transpose(from, from_stride, rows, columns, to, to_stride);
}

// A block of lines of the sparse operand, with a list of what is not zero in each.
class Lines {
 public:
  // Of [count, depth], which is stored as [depth, count] where it is transposed.
  void assign(const float* from, std::int64_t stride, bool transposed, std::int64_t count,
              std::int64_t depth) {
    first_ = from;
    stride_ = stride;
    if (transposed) {
      if (!turned_.defined()) turned_ = Tensor({line_block, depth_block}, DType::f32);
      float* turned = turned_.mutable_values<float>().data();
      turn(from, stride, depth, count, turned, depth_block);
      first_ = turned;
      stride_ = depth_block;
    }
    for (std::int64_t i = 0; i < count; ++i) counts_[i] = list_nonzero(line(i), depth, lists_[i]);
  }

  const float* line(std::int64_t i) const { return first_ + i * stride_; }
  const std::uint8_t* list(std::int64_t i) const { return lists_[i]; }
  std::int64_t list_length(std::int64_t i) const { return counts_[i]; }

 private:
  const float* first_ = nullptr;
  std::int64_t stride_ = 0;
  Tensor turned_;
  std::int64_t counts_[line_block];
  std::uint8_t lists_[line_block][depth_block + lanes];
};

// Columns of the dense operand: panel [depth, width] = dense [depth, columns], which is stored as [columns,
// depth] where it is transposed. The width is the columns in whole registers. Returns whether all is finite.
template <bool transposed>
WEFT_VECTOR_LOOP bool pack(const float* dense, std::int64_t stride, std::int64_t depth, std::int64_t columns,
                           std::int64_t width, float* panel) {
  if constexpr (transposed) transpose(dense, stride, columns, depth, panel, width);
  const std::int64_t whole = columns / lanes * lanes;
  Bits found{};
  for (std::int64_t k = 0; k < depth; ++k) {
    float* row = panel + k * width;
    const float* from = transposed ? row : dense + k * stride;
    for (std::int64_t j = 0; j < whole; j += lanes) {
      const Vector x = Lanes<float>::load(from + j);
      if constexpr (!transposed) Lanes<float>::store(x, row + j);
      found |= not_finite(x);
    }
    if (whole == width) continue;
    for (std::int64_t j = whole; !transposed && j < columns; ++j) row[j] = from[j];
    std::fill(row + columns, row + width, 0.0f);
    found |= not_finite(Lanes<float>::load(row + whole));
  }
  int any = 0;
  for (int l = 0; l < lanes; ++l) any |= found[l];
  return any == 0;
}

template <int registers>
struct Sums {
  Vector sums[registers];

  [[gnu::always_inline]] void add(std::uint64_t k, const float* line, const float* panel) {
    const float x = line[k];
    const float* row = panel + k * (registers * lanes);
#pragma GCC unroll 8
    for (int j = 0; j < registers; ++j) sums[j] += Lanes<float>::load(row + j * lanes) * x;
  }
};

// c [lines, registers, lanes] = or += the listed elements times their rows of the panel. What takes the time
// is to read memory, of a list therefore four entries at once.
template <int registers>
WEFT_VECTOR_LOOP void multiply_lines(const Lines& lines, std::int64_t begin, std::int64_t end,
                                     const float* panel, float* c, std::int64_t c_row, bool accumulate) {
  for (std::int64_t i = begin; i < end; ++i, c += c_row) {
    const float* line = lines.line(i);
    const std::uint8_t *list = lines.list(i), *const list_end = list + lines.list_length(i);
    Sums<registers> row;
#pragma GCC unroll 8
    for (int j = 0; j < registers; ++j)
      row.sums[j] = accumulate ? Lanes<float>::load(c + j * lanes) : Vector{};
    for (; list + 4 <= list_end; list += 4) {
      std::uint32_t four;
      std::memcpy(&four, list, sizeof four);
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n) row.add(four >> 8 * n & 255, line, panel);
    }
    for (; list < list_end; ++list) row.add(*list, line, panel);
#pragma GCC unroll 8
    for (int j = 0; j < registers; ++j) Lanes<float>::store(row.sums[j], c + j * lanes);
  }
}

template <int... n>
auto multiply_lines_of(std::int64_t registers, std::integer_sequence<int, n...>) {
  static constexpr decltype(&multiply_lines<1>) kernels[] = {multiply_lines<n + 1>...};
  return kernels[registers - 1];
}

// c [lines, columns] = or += sums [lines, width].
WEFT_VECTOR_LOOP void store_lines(const float* sums, std::int64_t width, std::int64_t lines,
                                  std::int64_t columns, float* c, std::int64_t c_row, bool accumulate) {
  for (std::int64_t i = 0; i < lines; ++i, c += c_row, sums += width) {
    for (std::int64_t j = 0; j < columns; ++j) c[j] = (accumulate ? c[j] : 0) + sums[j];
  }
}

// c [columns, lines] = or += sums [lines, width], transposed: eight rows of c at a time.
WEFT_VECTOR_LOOP void store_turned(const float* sums, std::int64_t width, std::int64_t lines,
                                   std::int64_t columns, float* c, std::int64_t c_row, bool accumulate) {
  alignas(64) float turned[lanes * group];
  for (std::int64_t j = 0; j < columns; j += lanes, c += lanes * c_row) {
    const std::int64_t some = std::min<std::int64_t>(lanes, columns - j);
    if (!accumulate) {
      transpose(sums + j, width, lines, some, c, c_row);
      continue;
    }
    transpose(sums + j, width, lines, some, turned, group);
    for (std::int64_t l = 0; l < some; ++l) {
      for (std::int64_t i = 0; i < lines; ++i) c[l * c_row + i] += turned[l * group + i];
    }
  }
}

// The block of c that belongs to a block of lines and a panel; where c is `turned`, it is [columns, lines].
void multiply_panel(const Lines& lines, std::int64_t count, const float* panel, std::int64_t columns,
                    float* c, std::int64_t c_row, bool accumulate, bool turned) {
  const std::int64_t registers = (columns + lanes - 1) / lanes, width = registers * lanes;
  const auto multiply = multiply_lines_of(registers, std::make_integer_sequence<int, most_registers>());
  if (!turned && columns == width) return multiply(lines, 0, count, panel, c, c_row, accumulate);
  alignas(64) float sums[group * panel_width];
  for (std::int64_t i = 0; i < count; i += group) {
    const std::int64_t some = std::min(group, count - i);
    multiply(lines, i, i + some, panel, sums, width, false);
    if (turned)
      store_turned(sums, width, some, columns, c + i, c_row, accumulate);
    else
      store_lines(sums, width, some, columns, c + i * c_row, c_row, accumulate);
  }
}

// The length of the first of as few blocks as share `length` out evenly, in whole registers.
std::int64_t even_block(std::int64_t length, std::int64_t most) {
  const std::int64_t registers = (length + lanes - 1) / lanes, blocks = (length + most - 1) / most;
  return std::min(length, (registers + blocks - 1) / blocks * lanes);
}

// c = a b, or its transpose where c is `turned`. False where b is not finite: c is then undefined.
bool skip_zeros(const GemmShape& s, const float* a, const float* b, float* c, bool turned) {
  Lines lines;
  alignas(64) float panel[depth_block * panel_width];
  for (std::int64_t i = 0, count = 0; i < s.m; i += count) {
    count = std::min(line_block, s.m - i);
    for (std::int64_t k = 0, depth = 0; k < s.k; k += depth) {
      depth = even_block(s.k - k, depth_block);
      lines.assign(a + (s.transpose_a ? k * s.a_stride + i : i * s.a_stride + k), s.a_stride, s.transpose_a,
                   count, depth);
      for (std::int64_t j = 0, columns = 0; j < s.n; j += columns) {
        columns = even_block(s.n - j, panel_width);
        const std::int64_t width = (columns + lanes - 1) / lanes * lanes;
        const float* dense = b + (s.transpose_b ? j * s.b_stride + k : k * s.b_stride + j);
        const auto pack_it = s.transpose_b ? pack<true> : pack<false>;
        if (!pack_it(dense, s.b_stride, depth, columns, width, panel)) return false;
        multiply_panel(lines, count, panel, columns, c + (turned ? j * s.c_stride + i : i * s.c_stride + j),
                       s.c_stride, k > 0, turned);
      }
    }
  }
  return true;
}

constexpr double least_products = 1 << 22;
constexpr std::int64_t least_lines = 24, least_depth = 32, least_columns = panel_width;
constexpr double most_dense = 0.58;  // beyond it the libraries are faster

// The share of elements that are not zero, by 32 of each of 32 rows.
double density(const float* values, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
  const std::int64_t lines = std::min<std::int64_t>(rows, 32), length = std::min<std::int64_t>(columns, 32);
  std::int64_t zeros = 0;
  for (std::int64_t i = 0; i < lines; ++i) {
    const std::int64_t row = (rows - 1) * i / (lines - 1), column = (columns - length) * i / (lines - 1);
    const float* from = values + row * stride + column;
    zeros += std::count(from, from + length, 0.0f);
  }
  return 1 - static_cast<double>(zeros) / static_cast<double>(lines * length);
}

}  // namespace

Sparse sparse_operand(const GemmShape& s, const float* a, const float* b) {
  const double products = static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
  if (s.accumulate || s.k < least_depth || products < least_products) return Sparse::neither;
  // What it costs to turn c, in every block of the depth again.
  const double turning = s.k <= depth_block ? 1.05 : 1.35;
  double of_a = 1, of_b = 1;
  if (s.m >= least_lines && s.n >= least_columns)
    of_a = s.transpose_a ? density(a, s.k, s.m, s.a_stride) : density(a, s.m, s.k, s.a_stride);
  if (s.n >= least_lines && s.m >= least_columns)
    of_b = turning * (s.transpose_b ? density(b, s.n, s.k, s.b_stride) : density(b, s.k, s.n, s.b_stride));
  if (std::min(of_a, of_b) > most_dense) return Sparse::neither;
  return of_a <= of_b ? Sparse::a : Sparse::b;
}

void skip_zeros_of_a(const GemmShape& s, const float* a, const float* b, float* c) {
  if (!skip_zeros(s, a, b, c, false)) onednn::gemm(s, a, b, c);
}

// c^T = b^T a^T.
void skip_zeros_of_b(const GemmShape& s, const float* a, const float* b, float* c) {
  GemmShape turned = s;
  std::swap(turned.m, turned.n);
  std::swap(turned.a_stride, turned.b_stride);
  turned.transpose_a = !s.transpose_b;
  turned.transpose_b = !s.transpose_a;
  if (!skip_zeros(turned, b, a, c, true)) onednn::gemm(s, a, b, c);
}

}  // namespace weft
