// Mutants that need no imagination: every gradient that an op's rule returns, damaged in every general way.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "weft/gradcheck.hpp"

namespace weft {

struct AutomaticMutant {
  std::string name;               // "gradient of x: one element zeroed"
  std::string_view argument;      // whose gradient is damaged
  OpInfo info;                    // the op with the damage
  std::shared_ptr<bool> changed;  // set where the damage has changed a gradient by a millionth or more
  bool is_control = false;  // a damage of 1e-13, which must not be noticed; `changed` is set by any change
};

std::vector<AutomaticMutant> automatic_mutants(const OpInfo& healthy);

}  // namespace weft
