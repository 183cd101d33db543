#include "io/hdf5_file.hpp"

#include <fmt/format.h>

#include <cstdint>

namespace weft::hdf5 {

namespace {

std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

Handle boolean_type() {
  Handle type(H5Tenum_create(H5T_NATIVE_INT8), H5Tclose);
  for (const auto& [name, value] : {std::pair<const char*, std::int8_t>{"FALSE", 0}, {"TRUE", 1}}) {
    H5Tenum_insert(type.id(), name, &value);
  }
  return type;
}

}  // namespace

Session::Session() : lock_(library_mutex()) {
  H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLget_loading_state(&plugins_);
  H5PLset_loading_state(0);
}

Session::~Session() {
  H5PLset_loading_state(plugins_);
  H5Eclear2(H5E_DEFAULT);
  H5Eset_auto2(H5E_DEFAULT, print_, print_data_);
}

std::string reason() {
  std::string text;
  const auto innermost = [](unsigned position, const H5E_error2_t* error, void* context) -> herr_t {
    if (position == 0 && error->desc) *static_cast<std::string*>(context) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &text);
  return text.empty() ? text : fmt::format(" (HDF5: {})", text);
}

bool is_boolean(hid_t type) { return H5Tequal(type, boolean_type().id()) > 0; }

Handle memory_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return {H5Tcopy(H5T_NATIVE_FLOAT), H5Tclose};
    case DType::f64:
      return {H5Tcopy(H5T_NATIVE_DOUBLE), H5Tclose};
    case DType::i32:
      return {H5Tcopy(H5T_NATIVE_INT32), H5Tclose};
    case DType::i64:
      return {H5Tcopy(H5T_NATIVE_INT64), H5Tclose};
    case DType::u8:
      return {H5Tcopy(H5T_NATIVE_UINT8), H5Tclose};
    case DType::boolean:
      break;
  }
  return boolean_type();
}

}  // namespace weft::hdf5
