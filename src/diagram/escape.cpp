#include "diagram/escape.hpp"

#include <algorithm>
#include <array>

namespace weft::diagram {

namespace {

constexpr char32_t replacement = 0xFFFD;
constexpr std::string_view dots = "...";
constexpr std::size_t longest_escape = 5;                   // "&amp;"
constexpr std::size_t longest_look = 4 * max_string_bytes;  // no more of a text is ever read

struct CodePoint {
  char32_t value;
  std::size_t bytes;
};

// The first code point of `text`, which is not empty; U+FFFD of one byte where it is no UTF-8 (RFC 3629).
CodePoint decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {replacement, 1};
  char32_t value = lead & (0x7Fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {replacement, 1};
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  constexpr std::array<char32_t, 5> smallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < smallest[bytes] || value > 0x10FFFF || surrogate) return {replacement, 1};
  return {value, bytes};
}

bool is_dropped(char32_t c) {
  const bool control = (c < 0x20 && c != '\n') || (c >= 0x7F && c < 0xA0);
  const bool direction = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  return control || direction;
}

// Not a character, and not allowed in XML.
bool is_noncharacter(char32_t c) { return (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF); }

// Unicode's East Asian Width W and F, and the emoji, in blocks.
bool is_wide(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  constexpr std::array<Range, 11> wide = {{{0x1100, 0x115F},
                                           {0x2E80, 0x303E},
                                           {0x3041, 0xA4CF},
                                           {0xAC00, 0xD7A3},
                                           {0xF900, 0xFAFF},
                                           {0xFE30, 0xFE6F},
                                           {0xFF00, 0xFF60},
                                           {0xFFE0, 0xFFE6},
                                           {0x1F300, 0x1F64F},
                                           {0x1F900, 0x1F9FF},
                                           {0x20000, 0x3FFFD}}};
  return std::any_of(wide.begin(), wide.end(), [c](Range r) { return c >= r.first && c <= r.last; });
}

std::size_t columns_of(char32_t c) { return c >= 0x1100 && is_wide(c) ? 2 : 1; }

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= 0x20 && c < 0x7F) || c == '\n'; });
}

std::string_view escape(char c, StringKind kind) {
  switch (c) {
    case '\\':
      return "\\\\";
    case '"':
      return "\\\"";
    case '\n':
      return "\\n";
    case '&':
      return kind == StringKind::label ? "&amp;" : "";
    default:
      return "";
  }
}

// Most texts are short ASCII: one pass. Appends nothing and returns false where a character is not.
bool append_plain(fmt::memory_buffer& out, std::string_view text, StringKind kind) {
  const std::size_t begin = out.size();
  out.resize(begin + longest_escape * text.size());
  char* end = out.data() + begin;
  for (const char c : text) {
    const bool is_verbatim = c >= 0x20 && c < 0x7F && c != '\\' && c != '"' && c != '&';
    if (is_verbatim) {
      *end++ = c;
      continue;
    }
    const std::string_view special = escape(c, kind);
    if (special.empty() && c != '&') {
      out.resize(begin);
      return false;
    }
    end = special.empty() ? std::fill_n(end, 1, c) : std::copy(special.begin(), special.end(), end);
  }
  out.resize(static_cast<std::size_t>(end - out.data()));
  return true;
}

}  // namespace

std::string sanitized(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint c = decode(text);
    if (is_noncharacter(c.value) || (c.value == replacement && c.bytes == 1))
      out += "\uFFFD";
    else if (!is_dropped(c.value))
      out += text.substr(0, c.bytes);
    text.remove_prefix(c.bytes);
  }
  return out;
}

std::size_t columns(std::string_view text) {
  std::size_t longest = 0, line = 0;
  for (; !text.empty() && static_cast<unsigned char>(text[0]) < 0x80; text.remove_prefix(1)) {
    line = text[0] == '\n' ? 0 : line + 1;
    longest = std::max(longest, line);
  }
  while (!text.empty()) {
    const CodePoint c = decode(text);
    line = c.value == '\n' ? 0 : line + columns_of(c.value);
    longest = std::max(longest, line);
    text.remove_prefix(c.bytes);
  }
  return longest;
}

std::string shortened(std::string_view text, std::size_t max_columns, bool& cut) {
  if (text.size() <= max_columns && is_plain(text)) return std::string(text);
  std::string clean = sanitized(text.substr(0, longest_look));
  std::size_t width = 0, end = 0, kept = 0;  // kept: what leaves room for the dots
  while (end < clean.size()) {
    const CodePoint c = decode(std::string_view(clean).substr(end));
    width += columns_of(c.value);
    if (width > max_columns) break;
    end += c.bytes;
    if (width + dots.size() <= max_columns) kept = end;
  }
  if (end < clean.size() || text.size() > longest_look) {
    cut = true;
    clean.replace(kept, std::string::npos, dots);
  }
  return clean;
}

bool append_escaped(fmt::memory_buffer& out, std::string_view text, StringKind kind) {
  if (text.size() <= max_string_bytes / longest_escape && append_plain(out, text, kind)) return false;
  const std::string clean = sanitized(text.substr(0, longest_look));
  std::string_view rest = clean;
  const std::size_t begin = out.size();
  std::size_t kept = begin;  // what leaves room for the dots
  while (!rest.empty()) {
    const std::size_t bytes = decode(rest).bytes;
    const std::string_view special = bytes == 1 ? escape(rest[0], kind) : "";
    const std::string_view written = special.empty() ? rest.substr(0, bytes) : special;
    if (out.size() - begin + written.size() > max_string_bytes) break;
    out.append(written);
    if (out.size() - begin + dots.size() <= max_string_bytes) kept = out.size();
    rest.remove_prefix(bytes);
  }
  const bool cut = !rest.empty() || text.size() > longest_look;
  if (cut) {
    out.resize(kept);
    out.append(dots);
  }
  return cut;
}

}  // namespace weft::diagram
