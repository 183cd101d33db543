// Sizes and paddings as attributes.
#include <fmt/format.h>

#include "weft/ops.hpp"

namespace weft {

Size2 Size2::from_attribute(const AttributeValue& value) {
  if (value.is<std::int64_t>()) return Size2(value.as<std::int64_t>());
  const Ints both = value.as<Ints>();
  if (both.size() != 2)
    throw Error(fmt::format("a size is one number or (height, width), found {}", to_string(both)));
  return {both[0], both[1]};
}

AttributeValue Padding::to_attribute() const {
  if (kind == Kind::same) return "same";
  return Ints{top, bottom, left, right};
}

Padding Padding::from_attribute(const AttributeValue& value) {
  constexpr std::string_view forms = "'same', 'valid', one number or (top, bottom, left, right)";
  if (value.is<std::int64_t>()) return Padding(value.as<std::int64_t>());
  if (value.is<std::string>()) {
    if (value.as<std::string>() == "same") return same;
    if (value.as<std::string>() == "valid") return valid;
  }
  if (!value.is<Ints>() || value.as<Ints>().size() != 4) {
    throw Error(fmt::format("a padding is {}, found {}", forms, to_string(value)));
  }
  const Ints sides = value.as<Ints>();
  return {sides[0], sides[1], sides[2], sides[3]};
}

}  // namespace weft
