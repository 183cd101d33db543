// Whether zeros times the elements add nothing, so that they may be skipped.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/vector_math.hpp"

namespace weft {

template <class T>
WEFT_VECTOR_LOOP bool is_finite(const T* x, std::int64_t count) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits exponent = sizeof(T) == 4 ? Bits(0x7f800000) : Bits(0x7ff0000000000000);
  Bits found = 0;
#pragma omp simd reduction(| : found)
  for (std::int64_t i = 0; i < count; ++i)
    found |= (std::bit_cast<Bits>(x[i]) & exponent) == exponent ? Bits(1) : Bits(0);
  return found == 0;
}

}  // namespace weft
