#pragma once

#include <cstdint>
#include <vector>

namespace examples {

// Pictures of hands showing 0 to 5 raised fingers, laid out like the SIGNS photographs.
struct HandSigns {
  std::vector<std::uint8_t> pixels;  // [count, 64, 64, 3], row-major RGB
  std::vector<std::int64_t> labels;  // [count], the number of raised fingers, 0 to 5
};

// Draws `count` hand signs, classes 0 to 5 in equal number (the first classes get the remainder),
// in shuffled order. The same count and seed give the same pictures.
HandSigns draw_hand_signs(int count, std::uint64_t seed);

}  // namespace examples
