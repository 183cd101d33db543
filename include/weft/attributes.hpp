// Attributes: what an op was told besides its operands. An op's options list themselves once,
//   struct PoolOptions { Size2 window; Size2 stride = 1; };
//   template <class V> void fields(V& visit, PoolOptions& o) { visit("window", o.window); visit("stride",
//   o.stride); }
// and from that list come diagram text, replay, the samples' grids and the names in error reports.
#pragma once

#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "weft/shape.hpp"

namespace weft {

class AttributeValue {
 public:
  using Variant = std::variant<bool, std::int64_t, double, Ints, std::string>;

  // Compiled in the library, once: a variant's are long.
  AttributeValue(bool value);
  AttributeValue(std::int64_t value);
  AttributeValue(std::integral auto value) : AttributeValue(static_cast<std::int64_t>(value)) {}
  AttributeValue(double value);
  AttributeValue(const Ints& value);
  AttributeValue(std::initializer_list<std::int64_t> value) : AttributeValue(Ints(value)) {}
  AttributeValue(std::string value);
  AttributeValue(const char* value) : AttributeValue(std::string(value)) {}
  AttributeValue(const AttributeValue&);
  AttributeValue(AttributeValue&&) noexcept;
  AttributeValue& operator=(const AttributeValue&);
  AttributeValue& operator=(AttributeValue&&) noexcept;
  ~AttributeValue();

  // The value as a T (bool, std::int64_t, double, Ints, std::string); an integer is read as a double too.
  // Throws Error where it is something else.
  template <class T>
  T as() const;

  template <class T>
  bool is() const {
    return std::holds_alternative<T>(value_);
  }
  friend bool operator==(const AttributeValue&, const AttributeValue&) = default;

 private:
  Variant value_;
};

std::string to_string(const AttributeValue& value);  // "true", "2", "0.5", "(2, 3)", "same"

// Names and values in the order in which the op lists them.
class Attributes {
 public:
  using Entry = std::pair<std::string, AttributeValue>;

  Attributes();
  Attributes(std::initializer_list<Entry> entries);
  Attributes(const Attributes&);
  Attributes(Attributes&&) noexcept;
  Attributes& operator=(const Attributes&);
  Attributes& operator=(Attributes&&) noexcept;
  ~Attributes();

  void set(std::string_view name, AttributeValue value);  // replaces, or appends
  const AttributeValue* find(std::string_view name) const;
  bool empty() const { return entries_.empty(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  friend bool operator==(const Attributes&, const Attributes&) = default;

 private:
  std::vector<Entry> entries_;
};

std::string to_string(const Attributes& attributes);  // "stride=(2, 3) padding=same"

namespace detail {

// An enum that is an attribute has a function `names_of(E)`: its values' names, in order.
template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E e) {
  names_of(e)[0];
};

// A class that is an attribute converts itself.
template <class T>
concept AttributeClass = requires(const T& value, const AttributeValue& attribute) {
  { value.to_attribute() } -> std::same_as<AttributeValue>;
  { T::from_attribute(attribute) } -> std::same_as<T>;
};

template <class T>
concept Optional = requires(const T& value) {
  value.has_value();
};

[[noreturn]] void throw_unknown_name(const std::string& name, std::span<const std::string_view> known);

template <class T>
AttributeValue to_attribute(const T& value) {
  if constexpr (NamedEnum<T>) {
    return std::string(names_of(value)[static_cast<std::size_t>(value)]);
  } else if constexpr (AttributeClass<T>) {
    return value.to_attribute();
  } else if constexpr (std::is_same_v<T, Shape>) {
    return value.extents();
  } else {
    return value;
  }
}

template <class T>
T from_attribute(const AttributeValue& attribute) {
  if constexpr (NamedEnum<T>) {
    const std::string name = attribute.as<std::string>();
    const auto& names = names_of(T{});
    for (std::size_t i = 0; i < std::size(names); ++i) {
      if (names[i] == name) return static_cast<T>(i);
    }
    throw_unknown_name(name, names);
  } else if constexpr (AttributeClass<T>) {
    return T::from_attribute(attribute);
  } else if constexpr (std::is_same_v<T, Shape>) {
    return Shape(attribute.as<Ints>());
  } else if constexpr (std::is_same_v<T, bool> || std::is_floating_point_v<T> || !std::is_arithmetic_v<T>) {
    return attribute.as<T>();
  } else {
    return static_cast<T>(attribute.as<std::int64_t>());
  }
}

}  // namespace detail

// Every field of `options`; an optional one where it has a value.
template <class Options>
Attributes attributes_of(Options options) {
  Attributes attributes;
  auto write = [&]<class T>(std::string_view name, T& value) {
    if constexpr (detail::Optional<T>) {
      if (value) attributes.set(name, detail::to_attribute(*value));
    } else {
      attributes.set(name, detail::to_attribute(value));
    }
  };
  fields(write, options);
  return attributes;
}

// The options that have these attributes; what is not named keeps its default.
template <class Options>
Options options_of(const Attributes& attributes) {
  Options options;
  auto read = [&]<class T>(std::string_view name, T& value) {
    const AttributeValue* found = attributes.find(name);
    if (!found) return;
    if constexpr (detail::Optional<T>) {
      value = detail::from_attribute<typename T::value_type>(*found);
    } else {
      value = detail::from_attribute<T>(*found);
    }
  };
  fields(read, options);
  return options;
}

}  // namespace weft
