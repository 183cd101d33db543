// The planted bugs: defects that the checker has to notice, each the right rule, kernel or engine with one
// mistake as a programmer would make it.
#pragma once

#include <span>

#include "weft/gradcheck.hpp"

namespace weft {

// By id. A bug with several faces ("1 or 1/2 at 0", "add, mul") has an entry for each, under one id; neither
// `plant` nor `engine` is set where no op of that name exists yet.
std::span<const PlantedBug> planted_bugs();

// The rules and kernels written for the bugs, without a bug: right to first order wherever the op is.
std::span<const PlantedBug> naive_rules();

// A second engine, which knows only the record and the ops' references: the one that bugs are planted in.
GradientFunction naive_engine();

}  // namespace weft
