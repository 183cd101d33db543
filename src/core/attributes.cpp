#include "weft/attributes.hpp"

#include <fmt/format.h>

namespace weft {

AttributeValue::AttributeValue(bool value) : value_(value) {}
AttributeValue::AttributeValue(std::int64_t value) : value_(value) {}
AttributeValue::AttributeValue(double value) : value_(value) {}
AttributeValue::AttributeValue(const Ints& value) : value_(value) {}
AttributeValue::AttributeValue(std::string value) : value_(std::move(value)) {}
AttributeValue::AttributeValue(const AttributeValue&) = default;
AttributeValue::AttributeValue(AttributeValue&&) noexcept = default;
AttributeValue& AttributeValue::operator=(const AttributeValue&) = default;
AttributeValue& AttributeValue::operator=(AttributeValue&&) noexcept = default;
AttributeValue::~AttributeValue() = default;

Attributes::Attributes() = default;
Attributes::Attributes(std::initializer_list<Entry> entries) : entries_(entries) {}
Attributes::Attributes(const Attributes&) = default;
Attributes::Attributes(Attributes&&) noexcept = default;
Attributes& Attributes::operator=(const Attributes&) = default;
Attributes& Attributes::operator=(Attributes&&) noexcept = default;
Attributes::~Attributes() = default;

template <class T>
T AttributeValue::as() const {
  if (const T* value = std::get_if<T>(&value_)) return *value;
  if constexpr (std::is_same_v<T, double>) {
    if (const auto* integer = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*integer);
  }
  throw Error(fmt::format("attribute value {} is of another kind than what was asked for", to_string(*this)));
}

template bool AttributeValue::as() const;
template std::int64_t AttributeValue::as() const;
template double AttributeValue::as() const;
template Ints AttributeValue::as() const;
template std::string AttributeValue::as() const;

std::string to_string(const AttributeValue& value) {
  if (value.is<bool>()) return value.as<bool>() ? "true" : "false";
  if (value.is<std::int64_t>()) return fmt::format("{}", value.as<std::int64_t>());
  if (value.is<double>()) return fmt::format("{}", value.as<double>());
  if (value.is<Ints>()) return to_string(value.as<Ints>());
  return value.as<std::string>();
}

void Attributes::set(std::string_view name, AttributeValue value) {
  for (Entry& entry : entries_) {
    if (entry.first == name) {
      entry.second = std::move(value);
      return;
    }
  }
  entries_.emplace_back(name, std::move(value));
}

const AttributeValue* Attributes::find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

std::string to_string(const Attributes& attributes) {
  std::string out;
  for (const auto& [name, value] : attributes) {
    out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, to_string(value));
  }
  return out;
}

void detail::throw_unknown_name(const std::string& name, std::span<const std::string_view> known) {
  throw Error(fmt::format("unknown value '{}': known are {}", name, fmt::join(known, ", ")));
}

}  // namespace weft
