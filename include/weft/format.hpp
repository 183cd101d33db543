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

namespace weft::detail {

// Writes text as it is; "{}" takes no specification.
struct TextFormatter {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class T, class Context>
  auto format(const T& value, Context& context) const {
    if constexpr (std::is_same_v<T, DType>) {
      return fmt::format_to(context.out(), "{}", name(value));
    } else {
      return fmt::format_to(context.out(), "{}", to_string(value));
    }
  }
};

}  // namespace weft::detail

template <>
struct fmt::formatter<weft::DType> : weft::detail::TextFormatter {};
template <>
struct fmt::formatter<weft::Shape> : weft::detail::TextFormatter {};
template <>
struct fmt::formatter<weft::Ints> : weft::detail::TextFormatter {};
template <>
struct fmt::formatter<weft::TensorType> : weft::detail::TextFormatter {};
template <>
struct fmt::formatter<weft::Tensor> : weft::detail::TextFormatter {};
template <>
struct fmt::formatter<weft::AttributeValue> : weft::detail::TextFormatter {};
template <>
struct fmt::formatter<weft::Attributes> : weft::detail::TextFormatter {};
template <>
struct fmt::formatter<weft::SourceLocation> : weft::detail::TextFormatter {};
template <>
struct fmt::formatter<weft::Var> : weft::detail::TextFormatter {};
template <>
struct fmt::formatter<weft::Parameter> : weft::detail::TextFormatter {};
