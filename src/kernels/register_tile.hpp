// A tile of a matrix product whose sums stay in registers.
#pragma once

#include <cstdint>

#include "kernels/lanes.hpp"

namespace weft {

// c [rows, vectors] = or += a b: for each k a row of b's in registers and an element of each row of a.
template <int rows, int vectors>
[[gnu::always_inline]] inline void multiply_tile(const float* a, std::int64_t a_row, std::int64_t a_step,
                                                 const float* b, std::int64_t b_step, std::int64_t depth,
                                                 float* c, std::int64_t c_row, bool accumulate) {
  using Vector = Lanes<float>::Vector;
  constexpr int lanes = Lanes<float>::count;
  Vector sums[rows][vectors];
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < vectors; ++j)
      sums[i][j] = accumulate ? Lanes<float>::load(c + i * c_row + j * lanes) : Vector{};
  }
  for (std::int64_t k = 0; k < depth; ++k, a += a_step, b += b_step) {
    Vector columns[vectors];
#pragma GCC unroll 12
    for (int j = 0; j < vectors; ++j) columns[j] = Lanes<float>::load(b + j * lanes);
#pragma GCC unroll 12
    for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 12
      for (int j = 0; j < vectors; ++j) sums[i][j] += columns[j] * a[i * a_row];
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < vectors; ++j) Lanes<float>::store(sums[i][j], c + i * c_row + j * lanes);
  }
}

}  // namespace weft
