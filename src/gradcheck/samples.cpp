// The builder of sample lists.
#include <fmt/format.h>

#include "weft/op_info.hpp"

namespace weft {

Samples samples() { return Samples(); }

Samples::Samples() = default;
std::span<Sample> Samples::group() { return std::span(list_).subspan(group_); }

Samples Samples::shapes(std::vector<Shape> shapes) && {
  group_ = list_.size();
  Sample sample;
  sample.shapes = std::move(shapes);
  list_.push_back(std::move(sample));
  return std::move(*this);
}

Samples Samples::all() && {
  group_ = 0;
  return std::move(*this);
}

Samples Samples::with(const Attributes& attributes) && {
  for (Sample& sample : group()) {
    for (const auto& [name, value] : attributes) sample.attributes.set(name, value);
  }
  return std::move(*this);
}

Samples Samples::grid(const std::vector<GridAxis>& axes) && {
  for (const GridAxis& axis : axes) {
    const std::vector<Sample> before(list_.begin() + static_cast<std::ptrdiff_t>(group_), list_.end());
    list_.resize(group_);
    for (const Sample& sample : before) {
      for (const AttributeValue& value : axis.values) {
        list_.push_back(sample);
        list_.back().attributes.set(axis.name, value);
      }
    }
  }
  return std::move(*this);
}

Samples Samples::pattern(Pattern pattern) && {
  for (Sample& sample : group()) sample.pattern = pattern;
  return std::move(*this);
}

Samples Samples::values(int argument, std::vector<double> values) && {
  for (Sample& sample : group()) sample.values.emplace_back(argument, values);
  return std::move(*this);
}

Samples Samples::dtype(int argument, DType dtype) && {
  for (Sample& sample : group()) sample.dtypes.emplace_back(argument, dtype);
  return std::move(*this);
}

Samples Samples::throws(std::string text) && {
  for (Sample& sample : group()) sample.throws = text;
  return std::move(*this);
}

Samples Samples::throws(std::vector<Shape> shapes, std::string text) && {
  return std::move(*this).shapes(std::move(shapes)).throws(std::move(text));
}

std::string to_string(const Sample& sample) {
  constexpr std::string_view patterns[] = {"",         "ties",  "zeros", "all equal",
                                           "negative", "large", "tiny",  "special"};
  std::string out;
  for (int i = 0; const Shape& shape : sample.shapes) {
    out += out.empty() ? "" : " ";
    for (const auto& [argument, dtype] : sample.dtypes) out += argument == i ? name(dtype) : "";
    out += to_string(shape);
    ++i;
  }
  if (!sample.attributes.empty()) out += " " + to_string(sample.attributes);
  if (sample.pattern != Pattern::generic)
    out += fmt::format(" {}", patterns[static_cast<std::size_t>(sample.pattern)]);
  return out;
}

Samples moderate_samples() {
  return samples()
      .shapes({{2, 3, 5}})
      .shapes({{}})
      .shapes({{1}})
      .shapes({{0, 3}})
      .shapes({{33}})
      .shapes({{2, 1, 3, 7}})
      .shapes({{11}})
      .pattern(Pattern::tiny)
      .shapes({{13}})
      .pattern(Pattern::special);
}

Samples unary_samples() { return moderate_samples().shapes({{11}}).pattern(Pattern::large); }

Samples broadcasting_samples() {
  return samples()
      .shapes({{2, 3, 5}, {2, 3, 5}})
      .shapes({{}, {}})
      .shapes({{2, 3}, {}})
      .shapes({{}, {3, 2}})
      .shapes({{2, 3}, {1, 1}})
      .shapes({{2, 3}, {3}})
      .shapes({{3}, {5, 3}})
      .shapes({{3, 1}, {1, 5}})
      .shapes({{1, 5}, {3, 1}})
      .shapes({{3, 1}, {1, 3}})
      .shapes({{2, 3, 4}, {3, 1}})
      .shapes({{2, 1, 4}, {3, 4}})
      .shapes({{1, 1, 7}, {2, 3, 1}})
      .shapes({{0, 3}, {3}})
      .shapes({{2, 1}, {2, 0}})
      .shapes({{33}, {33}})
      .shapes({{3, 17}, {17}})
      .shapes({{13}, {13}})
      .pattern(Pattern::large)
      .shapes({{13}, {13}})
      .pattern(Pattern::special);
}

}  // namespace weft
