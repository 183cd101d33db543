// Errors: every one is a weft::Error whose text is one line: the op first, what was found, what was needed,
// where.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weft {

// A line of the user's source. Public functions take one as last parameter, filled in at the call:
//   Var relu(const Var& x, SourceLocation at = SourceLocation::current());
struct SourceLocation {
  const char* file = nullptr;  // null: unknown
  std::int64_t line = 0;       // as wide as a pointer: handed on without its padding being masked

  static constexpr SourceLocation current(const char* file = __builtin_FILE(),
                                          std::int64_t line = __builtin_LINE()) {
    return {file, line};
  }
};

// "model.cpp:21", the folder left out; empty where the location is unknown.
std::string to_string(SourceLocation at);

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& text) : std::runtime_error(text), text_(text) {}
  const char* what() const noexcept override { return text_.c_str(); }

  // Appends where the error was met; the engine names the gradient it was computing.
  void add_context(std::string_view context) { text_.append(" ").append(context); }

 private:
  std::string text_;
};

class ShapeError : public Error {  // extents, axes, windows, strides
  using Error::Error;
};
class DTypeError : public Error {  // element types
  using Error::Error;
};
class GraphError : public Error {  // vars of two graphs, stale vars, released values, updated parameters
  using Error::Error;
};
class FileError : public Error {  // files and folders, with their path
  using Error::Error;
};

}  // namespace weft
