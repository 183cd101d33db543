// Short names of an op's samples, from what they set.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "weft/gradcheck.hpp"

namespace weft {

namespace {

std::string_view pattern_name(Pattern pattern) {
  constexpr std::string_view names[] = {"generic",  "ties",  "zeros", "equal",
                                        "negative", "large", "tiny",  "special"};
  return names[static_cast<std::size_t>(pattern)];
}

// Nothing that a shell would touch, nor ':', which separates the parts of a token.
std::string shell_safe(std::string text) {
  constexpr std::string_view marks = "._-+";
  for (char& c : text) {
    const bool is_alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!is_alphanumeric && marks.find(c) == std::string_view::npos) c = '-';
  }
  return text;
}

std::string value_text(const AttributeValue& value) {
  if (value.is<bool>()) return value.as<bool>() ? "1" : "0";
  if (!value.is<Ints>()) return to_string(value);
  const Ints ints = value.as<Ints>();
  return fmt::format("{}", fmt::join(ints.begin(), ints.end(), "x"));
}

// The shortest beginning of an attribute's name that no other one's name has, of at least a letter.
std::string_view short_name(const OpInfo& info, std::string_view name) {
  for (std::size_t length = 1; length < name.size(); ++length) {
    const std::string_view prefix = name.substr(0, length);
    const auto starts = [&](const Attribute& other) {
      return other.name != name && other.name.starts_with(prefix);
    };
    if (std::ranges::none_of(info.attributes, starts)) return prefix;
  }
  return name;
}

std::string attributes_name(const OpInfo& info, const Sample& sample) {
  std::string out;
  for (const auto& [name, value] : sample.attributes) {
    out += fmt::format("{}{}{}", out.empty() ? "" : "_", short_name(info, name), value_text(value));
  }
  return out;
}

std::string shapes_name(const Sample& sample) {
  std::string out;
  for (const Shape& shape : sample.shapes) {
    if (!out.empty()) out += ".";
    out += shape.rank() == 0 ? "scalar" : fmt::format("{}", fmt::join(shape.begin(), shape.end(), "x"));
  }
  return out;
}

// Which names occur more than once, or are empty.
std::vector<bool> unclear(const std::vector<std::string>& names) {
  std::map<std::string_view, int> count;
  for (const std::string& name : names) ++count[name];
  std::vector<bool> result;
  for (const std::string& name : names) result.push_back(name.empty() || count[name] > 1);
  return result;
}

void append(std::string& name, std::string_view more) {
  if (!name.empty()) name += "_";
  name += more;
}

}  // namespace

std::vector<std::string> sample_names(const OpInfo& info) {
  const std::vector<Sample>& samples = info.samples.list();
  std::vector<std::string> names;
  for (const Sample& sample : samples) names.push_back(shell_safe(attributes_name(info, sample)));
  std::vector<bool> more = unclear(names);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (more[i] && samples[i].pattern != Pattern::generic) append(names[i], pattern_name(samples[i].pattern));
  }
  more = unclear(names);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (more[i]) append(names[i], shapes_name(samples[i]));
  }
  std::set<std::string> taken;
  for (std::string& name : names) {
    const std::string first = name;
    for (int k = 2; !taken.insert(name).second; ++k) name = fmt::format("{}~{}", first, k);
  }
  return names;
}

}  // namespace weft
