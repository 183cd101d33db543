// Small texts that several writers need.
#pragma once

#include <string>
#include <string_view>

#include "diagram/canvas.hpp"

namespace weft::diagram {

std::string grouped(std::int64_t number);                         // "3,470"
std::string counted(std::int64_t number, std::string_view what);  // "1 op", "3,470 parameters"
std::string_view name_of(OpGroup group);
// "12 ops, 3,470 parameters, 208.0 MFLOP"
std::string totals_text(const Totals& totals);
// "x12" for equal parts with the same parameters, "+11 more" for parts with their own; empty for one part.
std::string repeat_text(const Group& group);

}  // namespace weft::diagram
