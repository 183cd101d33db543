#include "core/op_label.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace weft {

namespace {

// Attributes of one meaning have one name throughout ops.hpp; these need not be shown where all their numbers
// are so.
struct Neutral {
  std::string_view name;
  std::int64_t value;
};
constexpr std::array<Neutral, 8> neutral_values = {{{"stride", 1},
                                                    {"dilation", 1},
                                                    {"groups", 1},
                                                    {"step", 1},
                                                    {"padding", 0},
                                                    {"before", 0},
                                                    {"after", 0},
                                                    {"first_axis", 1}}};

bool is_neutral(std::string_view name, const AttributeValue& value) {
  if (value.is<bool>()) return !value.as<bool>();
  if (value.is<double>()) return value.as<double>() == 0 && (name == "value" || name == "label_smoothing");
  const auto entry = std::find_if(neutral_values.begin(), neutral_values.end(),
                                  [&](const Neutral& neutral) { return neutral.name == name; });
  const bool has_neutral = entry != neutral_values.end();
  if (value.is<std::int64_t>()) return has_neutral && value.as<std::int64_t>() == entry->value;
  if (!value.is<Ints>()) return false;
  const Ints numbers = value.as<Ints>();
  return numbers.empty() || (has_neutral && std::all_of(numbers.begin(), numbers.end(),
                                                        [&](std::int64_t i) { return i == entry->value; }));
}

// The output type shows it, or it is where a stochastic op draws its numbers.
bool is_untold(std::string_view name) {
  return name.ends_with("shape") || name == "extents" || name == "seed" || name == "stream";
}

std::string joined(const Ints& size) { return fmt::format("{}", fmt::join(size.begin(), size.end(), "x")); }

std::string number_or(std::string (*text)(const Ints&), const Ints& values) {
  const bool all_equal =
      std::all_of(values.begin(), values.end(), [&](std::int64_t i) { return i == values[0]; });
  return all_equal ? fmt::format("{}", values[0]) : text(values);
}

std::string attribute_text(std::string_view name, const AttributeValue& value, bool is_first) {
  if (value.is<bool>()) return std::string(name);
  if (value.is<std::string>()) return value.as<std::string>();
  if (value.is<double>()) {
    const std::string number = fmt::format("{:.6g}", value.as<double>());
    return is_first ? number : fmt::format("{} {}", name, number);
  }
  if (!value.is<Ints>()) return fmt::format("{} {}", name, to_string(value));
  const Ints numbers = value.as<Ints>();
  if (name == "window") return joined(numbers);
  if (name == "stride") return "/" + number_or(joined, numbers);
  if (name == "padding" || name == "dilation")
    return fmt::format("{} {}", name, number_or(to_string, numbers));
  return fmt::format("{} {}", name, to_string(numbers));
}

// An argument w of rank 4 is a filter [kh, kw, c_in, c_out].
std::string filter_text(const OpInfo& info, std::span<const TensorType> operands) {
  for (std::size_t i = 0; i < std::min(operands.size(), info.arguments.size()); ++i) {
    const Shape& shape = operands[i].shape;
    if (info.arguments[i].name == "w" && shape.rank() == 4) return fmt::format(" {}x{}", shape[0], shape[1]);
  }
  return {};
}

}  // namespace

std::string op_label(const OpInfo& info, const Attributes& attributes, std::span<const TensorType> operands) {
  std::string text = std::string(info.name) + filter_text(info, operands);
  bool is_first = true;
  for (const auto& [name, value] : attributes) {
    if (!is_neutral(name, value) && !is_untold(name)) text += " " + attribute_text(name, value, is_first);
    is_first = false;
  }
  if (info.group == OpGroup::view) text += " (view)";
  return text;
}

}  // namespace weft
