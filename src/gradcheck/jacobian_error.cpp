#include "gradcheck/jacobian_error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace weft::diagnosis {

namespace {

std::string argument_name(const WrongJacobian& wrong) {
  const std::vector<Argument>& arguments = wrong.info.arguments;
  return std::string(arguments[std::min(wrong.argument, arguments.size() - 1)].name);
}

}  // namespace

JacobianError::JacobianError(const WrongJacobian& wrong)
    : wrong(wrong),
      argument(argument_name(wrong)),
      x_shape(wrong.shapes[wrong.argument]),
      y_shape(wrong.y_shape),
      rows(static_cast<std::size_t>(y_shape.elements())),
      columns(static_cast<std::size_t>(x_shape.elements())) {
  const auto add_axes = [&](const Shape& shape, const std::string& tensor, std::int64_t stride, bool of_x) {
    const std::vector<std::string> names = axis_names(wrong.info, tensor, shape);
    const Ints strides = shape.strides();
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const std::string& name = names[static_cast<std::size_t>(axis)];
      const bool is_number = name[0] >= '0' && name[0] <= '9';
      axes.push_back({.name = fmt::format("{}{} of {}", is_number ? "axis " : "", name, tensor),
                      .short_name = name,
                      .of_x = of_x,
                      .extent = shape[axis],
                      .stride = strides[axis] * stride});
    }
  };
  add_axes(y_shape, "y", static_cast<std::int64_t>(columns), false);
  add_axes(x_shape, argument, 1, true);
  for (std::size_t k = 0; k < size(); ++k) {
    if (std::isfinite(expected(k))) largest = std::max(largest, std::fabs(expected(k)));
    wrong_entries += is_wrong(k);
    missing_entries += is_missing(k);
    spurious_entries += is_spurious(k);
  }
}

bool JacobianError::is_found(double value, std::size_t k) const {
  constexpr double rounding = 1e-9;
  return std::fabs(found(k) - value) <= std::max(wrong.threshold[k], rounding * largest);
}

bool JacobianError::has_attribute(std::string_view name) const {
  return std::ranges::any_of(wrong.info.attributes, [&](const Attribute& a) { return a.name == name; });
}

}  // namespace weft::diagnosis

namespace weft {

std::vector<std::string> axis_names(const OpInfo& info, std::string_view tensor, const Shape& shape) {
  const auto has = [](const auto& list, std::string_view name) {
    return std::ranges::any_of(list, [&](const auto& entry) { return entry.name == name; });
  };
  if (shape.rank() == 4 && has(info.attributes, "stride")) {
    if (tensor == "w") return {"kh", "kw", "c_in", "c_out"};
    return {"n", "h", "w", tensor == "y" && has(info.arguments, "w") ? "k" : "c"};
  }
  std::vector<std::string> names;
  for (int axis = 0; axis < shape.rank(); ++axis) names.push_back(fmt::format("{}", axis));
  return names;
}

}  // namespace weft
