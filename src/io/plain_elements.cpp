#include "io/plain_elements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "weft/ops.hpp"

namespace weft::io {

static_assert(std::endian::native == std::endian::little, "files are read on little-endian machines");

namespace {

// IEEE 754 binary16.
float half_to_float(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

template <class T>
T value_at(const char* bytes, bool big_endian) {
  std::array<char, sizeof(T)> raw;
  std::memcpy(raw.data(), bytes, sizeof(T));
  if (big_endian) std::ranges::reverse(raw);
  return std::bit_cast<T>(raw);
}

// Calls f(T{}) with the C++ type that such an element has.
template <class F>
void visit(const PlainElement& e, F&& f) {
  using Kind = PlainElement::Kind;
  if (e.kind == Kind::floating && e.bytes == 4) return f(float{});
  if (e.kind == Kind::floating && e.bytes == 8) return f(double{});
  if (e.kind == Kind::natural && e.bytes == 4) return f(std::uint32_t{});
  if (e.kind == Kind::integer && e.bytes == 1) return f(std::int8_t{});
  if (e.kind == Kind::integer && e.bytes == 2) return f(std::int16_t{});
  if (e.kind == Kind::integer && e.bytes == 4) return f(std::int32_t{});
  if (e.kind == Kind::integer && e.bytes == 8) return f(std::int64_t{});
  if (e.bytes == 2) return f(std::uint16_t{});  // half, brain or natural
  return f(std::uint8_t{});
}

template <class To, class From>
To converted(From value, PlainElement::Kind kind) {
  if constexpr (std::is_same_v<To, float> && std::is_same_v<From, std::uint16_t>) {
    if (kind == PlainElement::Kind::brain) return std::bit_cast<float>(std::uint32_t{value} << 16);
    return half_to_float(value);
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace

std::optional<DType> dtype_of(const PlainElement& e) {
  switch (e.kind) {
    case PlainElement::Kind::boolean:
      return DType::boolean;
    case PlainElement::Kind::brain:
      return DType::f32;
    case PlainElement::Kind::floating:
      if (e.bytes > 8) return std::nullopt;
      return e.bytes <= 4 ? DType::f32 : DType::f64;
    case PlainElement::Kind::integer:
      return e.bytes <= 4 ? DType::i32 : DType::i64;
    case PlainElement::Kind::natural:
      break;
  }
  if (e.bytes > 4) return std::nullopt;
  return e.bytes == 1 ? DType::u8 : e.bytes == 2 ? DType::i32 : DType::i64;
}

void convert(std::string_view bytes, const PlainElement& element, Tensor& tensor) {
  visit_dtype(tensor.dtype(), [&]<class To>() {
    visit(element, [&]<class From>(From) {
      const char* from = bytes.data();
      for (To& value : tensor.mutable_values<To>()) {
        value = converted<To>(value_at<From>(from, element.big_endian), element.kind);
        from += sizeof(From);
      }
    });
  });
}

void PlainReader::fail(const std::string& name, std::string_view problem) const {
  io::fail(file_, name, problem);
}

void PlainReader::add(Array array) {
  if (!positions_.emplace(array.object.name, arrays_.size()).second)
    fail(array.object.name, "is there twice");
  arrays_.push_back(std::move(array));
}

const PlainReader::Array& PlainReader::find(const std::string& name) const {
  const auto found = positions_.find(name);
  if (found != positions_.end()) return arrays_[found->second];
  std::string names;
  for (std::size_t i = 0; i < std::min<std::size_t>(arrays_.size(), 12); ++i)
    names += fmt::format("{}{}", i ? ", " : "", arrays_[i].object.name);
  if (arrays_.size() > 12) names += ", ...";
  fail(name.empty() ? "(no name)" : name,
       fmt::format("is missing; the file has: {}", names.empty() ? "nothing" : names));
}

const PlainReader::Array& PlainReader::find_tensor(const std::string& name) const {
  const Array& array = find(name);
  if (array.object.kind != FileObject::Kind::tensor) fail(name, array.object.storage);
  return array;
}

std::vector<FileObject> PlainReader::objects() {
  std::vector<FileObject> objects;
  for (const Array& array : arrays_) objects.push_back(array.object);
  return objects;
}

bool PlainReader::contains(const std::string& name) { return positions_.contains(name); }

FileObject PlainReader::object(const std::string& name) { return find(name).object; }

Tensor PlainReader::read_elements(const Array& array, const Shape& shape, std::uint64_t first_element) {
  const auto size = static_cast<std::uint64_t>(array.element.bytes);
  Tensor tensor = allocate(file_, array.object.name, {shape, array.object.dtype}, max_bytes_);
  std::string bytes(static_cast<std::size_t>(tensor.elements()) * size, '\0');
  if (bytes.empty()) return tensor;
  load(array, first_element * size, bytes);
  convert(bytes, array.element, tensor);
  return tensor;
}

Tensor PlainReader::read(const std::string& name) {
  const Array& array = find_tensor(name);
  if (!array.column_major) return read_elements(array, array.object.shape, 0);
  Ints reversed;
  for (int axis = array.object.shape.rank() - 1; axis >= 0; --axis)
    reversed.push_back(array.object.shape[axis]);
  return transpose(read_elements(array, Shape(reversed), 0)).value();
}

Tensor PlainReader::read_rows(const std::string& name, std::int64_t first, std::int64_t count) {
  const Array& array = find_tensor(name);
  const Shape& shape = array.object.shape;
  require_rows(file_, name, shape, first, count);
  if (array.column_major) {
    Ints begin{first}, size{count};
    return slice(read(name), {.begin = begin, .size = size}).value();
  }
  const std::int64_t row = shape.without(0).elements();
  return read_elements(array, shape.with(0, count), static_cast<std::uint64_t>(first * row));
}

std::vector<std::string> PlainReader::read_strings(const std::string& name) {
  find(name);
  fail(name, "has no strings");
}

}  // namespace weft::io
