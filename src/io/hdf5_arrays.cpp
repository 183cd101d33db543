// The elements of data sets and attributes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "io/hdf5_reader.hpp"

namespace weft::hdf5 {

namespace {

std::string_view class_name(H5T_class_t type) {
  constexpr std::array<std::string_view, 11> names{"integers",     "floating-point numbers",
                                                   "times",        "strings",
                                                   "bit fields",   "opaque data",
                                                   "compounds",    "references",
                                                   "enumerations", "variable-length lists",
                                                   "arrays"};
  const auto index = static_cast<std::size_t>(type);
  return type >= 0 && index < names.size() ? names[index] : "values of an unknown type";
}

// The text in the bytes of a fixed-length string.
std::string text_in(std::string_view bytes, H5T_str_t padding) {
  if (padding == H5T_STR_NULLTERM) return std::string(bytes.substr(0, bytes.find('\0')));
  const char pad = padding == H5T_STR_SPACEPAD ? ' ' : '\0';
  return std::string(bytes.substr(0, bytes.find_last_not_of(pad) + 1));
}

}  // namespace

Reader::Array Reader::array(const std::string& name, const Handle& dataset) const {
  Array found{name,
              dataset.id(),
              {H5Dget_type(dataset.id()), H5Tclose},
              {H5Dget_space(dataset.id()), H5Sclose},
              false};
  if (!found.type || !found.space) fail(name, fmt::format("cannot be read{}", reason()));
  return found;
}

Shape Reader::shape_of(const Array& array) const {
  if (H5Sget_simple_extent_type(array.space.id()) == H5S_NULL) fail(array.name, "is empty: it has no shape");
  const int rank = H5Sget_simple_extent_ndims(array.space.id());
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  if (rank < 0 || rank > H5S_MAX_RANK ||
      H5Sget_simple_extent_dims(array.space.id(), extents.data(), nullptr) < 0) {
    fail(array.name, fmt::format("has no readable shape, the file is damaged{}", reason()));
  }
  std::vector<std::int64_t> shape(extents.begin(), extents.begin() + rank);
  return io::require_shape(file_, array.name, shape);
}

DType Reader::dtype_of(const Array& array) const {
  const H5T_class_t kind = H5Tget_class(array.type.id());
  const std::size_t bytes = H5Tget_size(array.type.id());
  if (kind == H5T_FLOAT) return bytes <= 4 ? DType::f32 : DType::f64;
  if (is_boolean(array.type.id())) return DType::boolean;
  if (kind != H5T_INTEGER) fail(array.name, fmt::format("has {}, needed numbers", class_name(kind)));
  const std::size_t value_bytes =
      H5Tget_sign(array.type.id()) == H5T_SGN_2 ? bytes : bytes + 1;  // of a signed type
  if (value_bytes > 8) fail(array.name, "has integers that do not fit into i64");
  if (value_bytes > 4) return DType::i64;
  return bytes == 1 && value_bytes == 2 ? DType::u8 : DType::i32;
}

Tensor Reader::read_tensor(const Array& array) const {
  const TensorType type{shape_of(array), dtype_of(array)};
  Tensor tensor = io::allocate(file_, array.name, type, max_bytes_);
  if (tensor.elements() == 0) return tensor;
  const Handle memory = memory_type(type.dtype);
  const herr_t status = array.is_attribute ? H5Aread(array.id, memory.id(), tensor.mutable_data())
                                           : H5Dread(array.id, memory.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                                     tensor.mutable_data());
  if (status < 0) fail(array.name, fmt::format("cannot be read, the file is damaged{}", reason()));
  io::make_valid(tensor);
  return tensor;
}

std::vector<std::string> Reader::strings_of(const Array& array) const {
  const H5T_class_t kind = H5Tget_class(array.type.id());
  if (kind != H5T_STRING) fail(array.name, fmt::format("has {}, needed strings", class_name(kind)));
  const auto count = static_cast<std::size_t>(shape_of(array).elements());
  const bool is_variable = H5Tis_variable_str(array.type.id()) > 0;
  const std::size_t size = is_variable ? sizeof(char*) : H5Tget_size(array.type.id());
  if (size == 0 || count > static_cast<std::size_t>(max_bytes_) / size)
    fail(array.name, fmt::format("has {} strings of {} bytes: more than allowed", count, size));
  if (count == 0) return {};
  return is_variable ? variable_strings(array, count) : fixed_strings(array, count);
}

std::vector<std::string> Reader::fixed_strings(const Array& array, std::size_t count) const {
  const std::size_t size = H5Tget_size(array.type.id());
  std::string bytes(count * size, '\0');
  const herr_t status = array.is_attribute
                            ? H5Aread(array.id, array.type.id(), bytes.data())
                            : H5Dread(array.id, array.type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data());
  if (status < 0) fail(array.name, fmt::format("cannot be read, the file is damaged{}", reason()));
  std::vector<std::string> strings;
  const H5T_str_t padding = H5Tget_strpad(array.type.id());
  for (std::size_t i = 0; i < count; ++i)
    strings.push_back(text_in(std::string_view(bytes).substr(i * size, size), padding));
  return strings;
}

std::vector<std::string> Reader::variable_strings(const Array& array, std::size_t count) const {
  std::vector<char*> pointers(count, nullptr);
  const herr_t status =
      array.is_attribute ? H5Aread(array.id, array.type.id(), pointers.data())
                         : H5Dread(array.id, array.type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data());
  std::vector<std::string> strings;
  for (const char* text : pointers) strings.emplace_back(text && status >= 0 ? text : "");
  if (status >= 0) H5Dvlen_reclaim(array.type.id(), array.space.id(), H5P_DEFAULT, pointers.data());
  if (status < 0) fail(array.name, fmt::format("cannot be read, the file is damaged{}", reason()));
  return strings;
}

}  // namespace weft::hdf5
