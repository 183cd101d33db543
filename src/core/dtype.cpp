#include "weft/dtype.hpp"

#include <fmt/core.h>

#include "weft/error.hpp"

namespace weft {

std::string_view name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
    case DType::u8:
      return "u8";
    case DType::boolean:
      break;
  }
  return "boolean";
}

void detail::throw_not_floating(DType dtype) {
  throw DTypeError(fmt::format("needs f32 or f64, found {}: convert with .to(DType::f32)", name(dtype)));
}

}  // namespace weft
