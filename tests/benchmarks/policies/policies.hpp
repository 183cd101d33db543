// How other tools decide whether a gradient is right: their rules as formulas, with the constants that they
// use by default or customarily. Each says whether the pair is accepted; what it draws comes from `random`.
#pragma once

#include <span>
#include <string_view>

#include "policies/pair.hpp"
#include "weft/random.hpp"

namespace weft::policies {

struct Policy {
  std::string_view name;
  DType dtype;
  bool (*accepts)(const Pair& pair, Random& random);
};

std::span<const Policy> all_policies();

}  // namespace weft::policies
