// D5: what tells an op's failing samples from its passing ones.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "gradcheck/diagnosis.hpp"

namespace weft {

namespace {

struct Property {
  std::string text;  // "stride (1, 1)"
  std::function<bool(const Sample&)> holds;
};

using SampleList = std::span<const Sample* const>;

std::vector<Property> attribute_properties(const OpInfo& info, SampleList samples) {
  std::vector<Property> properties;
  for (const Attribute& attribute : info.attributes) {
    std::vector<AttributeValue> values;
    for (const Sample* sample : samples) {
      const AttributeValue* value = sample->attributes.find(attribute.name);
      if (value && std::ranges::find(values, *value) == values.end()) values.push_back(*value);
    }
    for (const AttributeValue& value : values) {
      properties.push_back(
          {fmt::format("{} {}", attribute.name, to_string(value)), [=](const Sample& sample) {
             const AttributeValue* own = sample.attributes.find(attribute.name);
             return own && *own == value;
           }});
    }
    properties.push_back({fmt::format("the default {}", attribute.name),
                          [=](const Sample& sample) { return !sample.attributes.find(attribute.name); }});
  }
  return properties;
}

void add_patterns(std::vector<Property>& properties) {
  constexpr std::pair<Pattern, const char*> patterns[] = {{Pattern::ties, "ties"},
                                                          {Pattern::zeros, "zeros"},
                                                          {Pattern::all_equal, "equal values"},
                                                          {Pattern::negative, "negatives"},
                                                          {Pattern::large, "large values"},
                                                          {Pattern::tiny, "tiny values"},
                                                          {Pattern::special, "NaN and infinities"}};
  for (const auto& [pattern, text] : patterns) {
    properties.push_back(
        {text, [pattern = pattern](const Sample& sample) { return sample.pattern == pattern; }});
  }
}

void add_extents(std::vector<Property>& properties, const OpInfo& info, const Sample& like) {
  for (std::size_t i = 0; i < like.shapes.size(); ++i) {
    const std::string_view name = info.arguments[std::min(i, info.arguments.size() - 1)].name;
    const std::vector<std::string> axes = axis_names(info, name, like.shapes[i]);
    for (int axis = 0; axis < like.shapes[i].rank(); ++axis) {
      const auto is_one = [=](const Sample& sample) {
        return i < sample.shapes.size() && axis < sample.shapes[i].rank() && sample.shapes[i][axis] == 1;
      };
      properties.push_back(
          {fmt::format("extent 1 along axis {} of {}", axes[static_cast<std::size_t>(axis)], name), is_one});
    }
  }
}

std::ptrdiff_t count(const Property& property, SampleList samples) {
  return std::ranges::count_if(samples, [&](const Sample* sample) { return property.holds(*sample); });
}

}  // namespace

std::string distinguishing_attribute(const OpInfo& info, SampleList passing, SampleList failing) {
  if (passing.empty() || failing.empty()) return {};
  std::vector<const Sample*> all(passing.begin(), passing.end());
  all.insert(all.end(), failing.begin(), failing.end());
  std::vector<Property> properties = attribute_properties(info, all);
  add_patterns(properties);
  add_extents(properties, info, *failing[0]);

  constexpr double by_chance = 0.1;  // that no failing sample has a property of that many samples
  const auto passed = std::ssize(passing), failed = std::ssize(failing);
  const Property* best = nullptr;
  std::ptrdiff_t most = 0;
  for (const Property& property : properties) {
    const std::ptrdiff_t good = count(property, passing), bad = count(property, failing);
    if (good == passed && bad == 0)
      return fmt::format("every sample with {} agrees, and no other", property.text);
    if (good == 0 && bad == failed)
      return fmt::format("only samples with {} disagree, and all of them", property.text);
    const double share = static_cast<double>(good) / static_cast<double>(passed + failed);
    if (bad == 0 && good > most && std::pow(1 - share, failed) < by_chance) {
      best = &property;
      most = good;
    }
  }
  return best ? fmt::format("every sample with {} agrees", best->text) : "";
}

}  // namespace weft
