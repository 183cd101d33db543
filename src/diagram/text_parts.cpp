#include "diagram/text_parts.hpp"

#include <fmt/format.h>

#include <array>

#include "diagram/overlay.hpp"

namespace weft::diagram {

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, ",");
  return digits;
}

std::string counted(std::int64_t number, std::string_view what) {
  return fmt::format("{} {}{}", grouped(number), what, number == 1 ? "" : "s");
}

std::string_view name_of(OpGroup group) {
  constexpr std::array<std::string_view, 8> names = {"elementwise", "reduction", "contraction", "view",
                                                     "shape",       "selection", "loss",        "random"};
  return names[static_cast<std::size_t>(group)];
}

std::string totals_text(const Totals& totals) {
  std::string text = counted(static_cast<std::int64_t>(totals.ops), "op");
  if (totals.parameters > 0) text += ", " + counted(totals.parameters, "parameter");
  if (totals.flops > 0) text += ", " + quantity(totals.flops, "FLOP");
  return text;
}

std::string repeat_text(const Group& group) {
  if (group.repeats < 2) return {};
  return group.same_parameters ? fmt::format("x{}", group.repeats)
                               : fmt::format("+{} more", group.repeats - 1);
}

}  // namespace weft::diagram
