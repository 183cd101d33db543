// User text on its way into DOT: no string of a user breaks the file or a picture made of it.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace weft::diagram {

inline constexpr std::size_t max_label_columns = 80;
inline constexpr std::size_t max_string_bytes = 4000;  // Graphviz refuses quoted strings over 16,384 bytes

// Valid UTF-8 without control characters other than newline and without bidirectional overrides. What is no
// UTF-8 becomes U+FFFD.
std::string sanitized(std::string_view text);

// Columns of the longest line of sanitized text in a fixed-width font; East Asian wide characters take two.
std::size_t columns(std::string_view text);

// `text`, sanitized, if it fits into `max_columns`, else its beginning and "...".
std::string shortened(std::string_view text, std::size_t max_columns, bool& cut);

// What Graphviz interprets in a string: in labels and tooltips also character entities.
enum class StringKind : bool { value, label };

// Appends `text`, sanitized and escaped, without quotes. Returns whether it was cut to 4,000 bytes; it then
// ends in "...".
bool append_escaped(fmt::memory_buffer& out, std::string_view text, StringKind kind);

}  // namespace weft::diagram
