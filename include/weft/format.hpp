// Printing through fmt: fmt::print("{}", tensor) and the like.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "weft/attributes.hpp"
#include "weft/graph.hpp"
#include "weft/tensor.hpp"

namespace weft {
std::string to_string(const Var& var);              // its value, and where it stands in the record
std::string to_string(const Parameter& parameter);  // "conv1/w f32[4, 4, 3, 8]"
}  // namespace weft

template <>
struct fmt::formatter<weft::DType> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(weft::DType dtype, Context& context) const {
    return fmt::formatter<std::string_view>::format(weft::name(dtype), context);
  }
};

namespace weft::detail {
template <class T>
struct TextFormatter : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const T& value, Context& context) const {
    return fmt::formatter<std::string_view>::format(to_string(value), context);
  }
};
}  // namespace weft::detail

template <>
struct fmt::formatter<weft::Shape> : weft::detail::TextFormatter<weft::Shape> {};
template <>
struct fmt::formatter<weft::Ints> : weft::detail::TextFormatter<weft::Ints> {};
template <>
struct fmt::formatter<weft::TensorType> : weft::detail::TextFormatter<weft::TensorType> {};
template <>
struct fmt::formatter<weft::Tensor> : weft::detail::TextFormatter<weft::Tensor> {};
template <>
struct fmt::formatter<weft::AttributeValue> : weft::detail::TextFormatter<weft::AttributeValue> {};
template <>
struct fmt::formatter<weft::Attributes> : weft::detail::TextFormatter<weft::Attributes> {};
template <>
struct fmt::formatter<weft::SourceLocation> : weft::detail::TextFormatter<weft::SourceLocation> {};
template <>
struct fmt::formatter<weft::Var> : weft::detail::TextFormatter<weft::Var> {};
template <>
struct fmt::formatter<weft::Parameter> : weft::detail::TextFormatter<weft::Parameter> {};
