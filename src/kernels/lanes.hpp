// A register of T for kernels that keep their sums in registers: 8 f32 or 4 f64. The compiler makes two
// instructions of one where the processor's registers are shorter.
#pragma once

#include <cstring>

namespace weft {

template <class T>
struct Lanes {
  static constexpr int count = 32 / sizeof(T);
  typedef T Vector __attribute__((vector_size(32)));

  [[gnu::always_inline]] static Vector load(const T* from) {
    Vector vector;
    std::memcpy(&vector, from, sizeof vector);
    return vector;
  }
  [[gnu::always_inline]] static void store(const Vector& vector, T* to) {
    std::memcpy(to, &vector, sizeof vector);
  }
};

}  // namespace weft
