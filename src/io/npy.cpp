#include "io/npy.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace weft::io {

namespace {

// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, a Python literal of just this form.
class Literal {
 public:
  explicit Literal(std::string_view text) : rest_(text) {}

  bool accept(std::string_view token) {
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  std::optional<std::string> string() {
    if (!accept("'")) return std::nullopt;
    const std::size_t end = rest_.find('\'');
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::optional<std::vector<std::int64_t>> tuple() {
    std::vector<std::int64_t> values;
    if (!accept("(")) return std::nullopt;
    while (!accept(")")) {
      accept(" ");
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
      if (error != std::errc() || value < 0) return std::nullopt;
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      values.push_back(value);
      if (!accept(",") && !rest_.starts_with(')')) return std::nullopt;
    }
    return values;
  }

 private:
  std::string_view rest_;
};

std::optional<PlainElement> element_of(std::string_view descr) {
  if (descr.size() != 3) return std::nullopt;
  const int bytes = descr[2] - '0';
  if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) return std::nullopt;
  if (descr[0] != '<' && descr[0] != '>' && descr[0] != '|' && descr[0] != '=') return std::nullopt;
  using Kind = PlainElement::Kind;
  switch (descr[1]) {
    case 'f':
      if (bytes == 1) return std::nullopt;
      return PlainElement{Kind::floating, bytes, descr[0] == '>'};
    case 'i':
      return PlainElement{Kind::integer, bytes, descr[0] == '>'};
    case 'u':
      return PlainElement{Kind::natural, bytes, descr[0] == '>'};
    case 'b':
      if (bytes != 1) return std::nullopt;
      return PlainElement{Kind::boolean, 1};
  }
  return std::nullopt;
}

std::string parse_dictionary(std::string_view text, NpyHeader& header) {
  Literal literal(text);
  if (!literal.accept("{")) return "has a header that is no dictionary";
  bool has_descr = false, has_order = false, has_shape = false;
  while (!literal.accept("}")) {
    const auto key = literal.string();
    if (!key || !literal.accept(":")) return "has a damaged header";
    if (*key == "descr") {
      const auto descr = literal.string();
      if (!descr) return "has compounds, needed numbers";
      const auto element = element_of(*descr);
      if (!element) return fmt::format("has elements '{}', needed numbers", *descr);
      header.element = *element;
      has_descr = true;
    } else if (*key == "fortran_order") {
      header.column_major = literal.accept("True");
      if (!header.column_major && !literal.accept("False")) return "has a damaged header";
      has_order = true;
    } else if (*key == "shape") {
      auto shape = literal.tuple();
      if (!shape) return "has a damaged shape in its header";
      header.shape = std::move(*shape);
      has_shape = true;
    } else {
      return fmt::format("has '{}' in its header, which no array has", *key);
    }
    literal.accept(",");
  }
  return has_descr && has_order && has_shape ? "" : "has an incomplete header";
}

}  // namespace

NpyHeader parse_npy_header(std::string_view bytes) {
  NpyHeader header;
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i]));
  };
  if (bytes.size() < 12 || !bytes.starts_with("\x93NUMPY") || byte(6) < 1 || byte(6) > 3) {
    header.problem = "is no .npy array";
    return header;
  }
  const std::uint64_t begin = byte(6) == 1 ? 10 : 12;
  const std::uint64_t length = byte(8) | byte(9) << 8 | (begin == 12 ? byte(10) << 16 | byte(11) << 24 : 0);
  header.bytes = begin + length;
  if (header.bytes > bytes.size()) {
    header.problem = fmt::format("has a header of {} bytes, which is cut off or too long", length);
    return header;
  }
  header.problem = parse_dictionary(bytes.substr(begin, length), header);
  return header;
}

std::string npy_header(const TensorType& type) {
  constexpr std::array<std::string_view, 6> names{"<f4", "<f8", "<i4", "<i8", "|u1", "|b1"};
  std::string shape;
  for (const std::int64_t extent : type.shape) shape += fmt::format("{}, ", extent);
  if (type.shape.rank() > 1) shape.resize(shape.size() - 2);
  if (type.shape.rank() == 1) shape.resize(shape.size() - 1);
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                 names[static_cast<std::size_t>(type.dtype)], shape);
  text.resize((10 + text.size() + 1 + 63) / 64 * 64 - 11, ' ');
  text += '\n';
  const std::string length{static_cast<char>(text.size() & 255), static_cast<char>(text.size() >> 8)};
  return std::string("\x93NUMPY\x01\x00", 8) + length + text;
}

}  // namespace weft::io
