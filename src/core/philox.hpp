// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw: Parallel random numbers: as
// easy as 1, 2, 3, SC 2011. Inline, so that a loop over counters can be vectorised.
#pragma once

#include <array>
#include <cstdint>

namespace weft {

// The key is `seed`, the 128-bit counter `stream` above `counter`, low words first.
inline std::array<std::uint32_t, 4> philox(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  constexpr std::uint64_t multiplier_a = 0xD2511F53, multiplier_b = 0xCD9E8D57;
  constexpr std::uint32_t step_a = 0x9E3779B9, step_b = 0xBB67AE85;  // of the key: golden ratio, sqrt(3) - 1
  std::uint32_t a = static_cast<std::uint32_t>(counter), b = static_cast<std::uint32_t>(counter >> 32);
  std::uint32_t c = static_cast<std::uint32_t>(stream), d = static_cast<std::uint32_t>(stream >> 32);
  std::uint32_t key_a = static_cast<std::uint32_t>(seed), key_b = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product_a = multiplier_a * a, product_b = multiplier_b * c;
    a = static_cast<std::uint32_t>(product_b >> 32) ^ b ^ key_a;
    b = static_cast<std::uint32_t>(product_b);
    c = static_cast<std::uint32_t>(product_a >> 32) ^ d ^ key_b;
    d = static_cast<std::uint32_t>(product_a);
    key_a += step_a;
    key_b += step_b;
  }
  return {a, b, c, d};
}

}  // namespace weft
