// A hash of 128 bits, for comparing what is too large to compare often. Two lanes of the finalising mix of
// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014); the same on every machine.
#pragma once

#include <cstdint>
#include <string_view>

namespace weft {

struct Hash128 {
  std::uint64_t high = 0x9e3779b97f4a7c15, low = 0xd1b54a32d192ed03;

  static constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }
  Hash128& add(std::uint64_t value) {
    high = mix(high * 3 + value);
    low = mix((low ^ value) + 0x9e3779b97f4a7c15);
    return *this;
  }
  Hash128& add(const Hash128& other) { return add(other.high).add(other.low); }
  Hash128& add(std::string_view text) {
    add(text.size());
    for (const char c : text) add(static_cast<unsigned char>(c));
    return *this;
  }
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

}  // namespace weft
