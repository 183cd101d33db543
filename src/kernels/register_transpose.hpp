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

}  // namespace weft
