// Transposes in registers.
#pragma once

#include <cstdint>

#include "kernels/lanes.hpp"

namespace weft {

// to[i, j] = from[j, i], 8 lines of 8 elements of 32 bits on either side: by pairs, fours, halves.
template <class T>
[[gnu::always_inline]] inline void transpose_eight(const T* from, std::int64_t from_stride, T* to,
                                                   std::int64_t to_stride) {
  static_assert(sizeof(T) == 4);
  using Eight = Lanes<T>;
  typename Eight::Vector a[8], b[8];
  for (int i = 0; i < 8; ++i) a[i] = Eight::load(from + i * from_stride);
  for (int i = 0; i < 8; i += 2) {
    b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int k = 0; k < 2; ++k) {
      a[i + 2 * k] = __builtin_shufflevector(b[i + k], b[i + k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      a[i + 2 * k + 1] = __builtin_shufflevector(b[i + k], b[i + k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int i = 0; i < 4; ++i) {
    Eight::store(__builtin_shufflevector(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11), to + i * to_stride);
    Eight::store(__builtin_shufflevector(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15),
                 to + (i + 4) * to_stride);
  }
}

// to [columns, rows] = from [rows, columns] transposed.
template <class T>
[[gnu::always_inline]] inline void transpose(const T* from, std::int64_t from_stride, std::int64_t rows,
                                             std::int64_t columns, T* to, std::int64_t to_stride) {
  const std::int64_t whole_rows = rows / 8 * 8, whole_columns = columns / 8 * 8;
  for (std::int64_t i = 0; i < whole_rows; i += 8) {
    for (std::int64_t j = 0; j < whole_columns; j += 8)
      transpose_eight(from + i * from_stride + j, from_stride, to + j * to_stride + i, to_stride);
  }
  for (std::int64_t j = whole_columns; j < columns; ++j) {
    for (std::int64_t i = 0; i < whole_rows; ++i) to[j * to_stride + i] = from[i * from_stride + j];
  }
  for (std::int64_t i = whole_rows; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) to[j * to_stride + i] = from[i * from_stride + j];
  }
}

}  // namespace weft
