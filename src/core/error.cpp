#include "weft/error.hpp"

#include <fmt/core.h>

namespace weft {

std::string to_string(SourceLocation at) {
  if (!at.file) return {};
  std::string_view file = at.file;
  if (const auto slash = file.find_last_of('/'); slash != std::string_view::npos)
    file.remove_prefix(slash + 1);
  return fmt::format("{}:{}", file, at.line);
}

}  // namespace weft
