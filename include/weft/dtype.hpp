// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft {

enum class DType : std::uint8_t { f32, f64, i32, i64, u8, boolean };

std::string_view name(DType dtype);  // "f32"
namespace detail {
inline constexpr std::uint8_t bytes_of_elements[] = {4, 8, 4, 8, 1, sizeof(bool)};
}
constexpr std::size_t size_of(DType dtype) {  // bytes of one element
  return detail::bytes_of_elements[static_cast<std::size_t>(dtype)];
}
constexpr bool is_floating(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }
constexpr bool is_integer(DType dtype) { return !is_floating(dtype) && dtype != DType::boolean; }

// The C++ type of each DType, and back.
template <class T>
concept Element = std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, std::int32_t> ||
    std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::uint8_t> || std::is_same_v<T, bool>;

template <Element T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  if constexpr (std::is_same_v<T, double>) return DType::f64;
  if constexpr (std::is_same_v<T, std::int32_t>) return DType::i32;
  if constexpr (std::is_same_v<T, std::int64_t>) return DType::i64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return DType::u8;
  if constexpr (std::is_same_v<T, bool>) return DType::boolean;
}

namespace detail {
[[noreturn]] void throw_not_floating(DType dtype);
}

// Calls f.template operator()<T>() with the C++ type T of dtype.
template <class F>
decltype(auto) visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return std::forward<F>(f).template operator()<float>();
    case DType::f64:
      return std::forward<F>(f).template operator()<double>();
    case DType::i32:
      return std::forward<F>(f).template operator()<std::int32_t>();
    case DType::i64:
      return std::forward<F>(f).template operator()<std::int64_t>();
    case DType::u8:
      return std::forward<F>(f).template operator()<std::uint8_t>();
    case DType::boolean:
      break;
  }
  return std::forward<F>(f).template operator()<bool>();
}

// The same for f32 and f64 alone; throws DTypeError for others.
template <class F>
[[gnu::always_inline]] inline decltype(auto) visit_floating(DType dtype, F&& f) {
  if (dtype == DType::f32) [[likely]]
    return std::forward<F>(f).template operator()<float>();
  if (dtype != DType::f64) detail::throw_not_floating(dtype);
  return std::forward<F>(f).template operator()<double>();
}

}  // namespace weft
