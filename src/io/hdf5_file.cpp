#include "io/hdf5_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

namespace weft::hdf5 {

namespace {

std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

// What HDF5 says about the failure it met last, at its origin; empty where it says nothing.
std::string reason() {
  std::string text;
  const auto innermost = [](unsigned position, const H5E_error2_t* error, void* context) -> herr_t {
    if (position == 0 && error->desc) *static_cast<std::string*>(context) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &text);
  return text.empty() ? text : fmt::format(" (HDF5: {})", text);
}

// h5py's boolean: an enumeration of FALSE = 0 and TRUE = 1 on one byte.
Handle boolean_type() {
  Handle type(H5Tenum_create(H5T_NATIVE_INT8), H5Tclose);
  for (const auto& [name, value] : {std::pair<const char*, std::int8_t>{"FALSE", 0}, {"TRUE", 1}}) {
    H5Tenum_insert(type.id(), name, &value);
  }
  return type;
}

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

// The data sets and groups of a file, for a message: "train_set_x, train_set_y"; the first few.
std::string names_in(const Handle& file) {
  constexpr std::size_t most = 12;
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* context) -> herr_t {
    auto& list = *static_cast<std::vector<std::string>*>(context);
    list.emplace_back(name);
    return list.size() > most ? 1 : 0;
  };
  H5Lvisit(file.id(), H5_INDEX_NAME, H5_ITER_INC, add, &names);
  if (names.empty()) return "nothing";
  const bool more = names.size() > most;
  if (more) names.back() = "...";
  return fmt::format("{}", fmt::join(names, ", "));
}

double physical_memory() {  // bytes
  return static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// A damaged file may hold bytes that are no bool.
void make_valid(Tensor& tensor) {
  if (tensor.dtype() != DType::boolean) return;
  auto* bytes = static_cast<std::uint8_t*>(tensor.mutable_data());
  for (std::int64_t i = 0; i < tensor.elements(); ++i) bytes[i] = bytes[i] != 0;
}

Handle open_for_reading(const std::string& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) fail(file, "", "is missing");
  if (std::filesystem::is_directory(file, error)) fail(file, "", "is a folder, needed an HDF5 file");
  if (::access(file.c_str(), R_OK) != 0)
    fail(file, "", fmt::format("cannot be read: {}", std::strerror(errno)));
  Handle handle(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (handle) return handle;
  const std::string why = reason();
  if (H5Fis_hdf5(file.c_str()) <= 0) fail(file, "", "is no HDF5 file");
  fail(file, "", fmt::format("is an HDF5 file, but damaged{}", why));
}

}  // namespace

void fail(const std::string& file, std::string_view dataset, std::string_view problem) {
  if (dataset.empty()) throw FileError(fmt::format("{}: {}", file, problem));
  throw FileError(fmt::format("{}: data set '{}' {}", file, dataset, problem));
}

Session::Session() : lock_(library_mutex()) {
  H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Session::~Session() {
  H5Eclear2(H5E_DEFAULT);
  H5Eset_auto2(H5E_DEFAULT, print_, print_data_);
}

// ---- reading ----------------------------------------------------------------------------------------------

Reader::Reader(std::string file) : file_(std::move(file)), handle_(open_for_reading(file_)) {}

Handle Reader::open(const std::string& dataset) const {
  Handle object(dataset.empty() ? H5I_INVALID_HID : H5Oopen(handle_.id(), dataset.c_str(), H5P_DEFAULT),
                H5Oclose);
  if (!object) fail_missing(dataset);
  if (H5Iget_type(object.id()) != H5I_DATASET) fail(file_, dataset, "is a group, needed a data set");
  return object;
}

void Reader::fail_missing(const std::string& dataset) const {
  fail(file_, dataset.empty() ? "(no name)" : dataset,
       fmt::format("is missing; the file has: {}", names_in(handle_)));
}

DType Reader::dtype_of(const Handle& type, const std::string& name) const {
  const H5T_class_t kind = H5Tget_class(type.id());
  const std::size_t bytes = H5Tget_size(type.id());
  if (kind == H5T_FLOAT) return bytes <= 4 ? DType::f32 : DType::f64;
  if (kind == H5T_ENUM && H5Tequal(type.id(), boolean_type().id()) > 0) return DType::boolean;
  if (kind != H5T_INTEGER) fail(file_, name, fmt::format("has {}, needed numbers", class_name(kind)));
  const std::size_t value_bytes =
      H5Tget_sign(type.id()) == H5T_SGN_2 ? bytes : bytes + 1;  // of a signed type
  if (value_bytes > 8) fail(file_, name, "has integers that do not fit into i64");
  if (value_bytes > 4) return DType::i64;
  return bytes == 1 && value_bytes == 2 ? DType::u8 : DType::i32;
}

TensorType Reader::type_of(const Handle& dataset, const std::string& name) const {
  const Handle space(H5Dget_space(dataset.id()), H5Sclose);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose);
  if (!space || !type) fail(file_, name, fmt::format("cannot be read{}", reason()));
  if (H5Sget_simple_extent_type(space.id()) == H5S_NULL) fail(file_, name, "is empty: it has no shape");
  const int rank = H5Sget_simple_extent_ndims(space.id());
  if (rank > Shape::max_rank)
    fail(file_, name, fmt::format("has rank {}, at most {} is supported", rank, Shape::max_rank));
  std::array<hsize_t, Shape::max_rank> extents{};
  H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr);
  Ints shape;
  for (int axis = 0; axis < rank; ++axis)
    shape.push_back(static_cast<std::int64_t>(extents[static_cast<std::size_t>(axis)]));

  const DType dtype = dtype_of(type, name);
  try {
    return {Shape(shape), dtype};
  } catch (const ShapeError& error) {
    fail(file_, name, fmt::format("has a shape that no tensor can have: {}", error.what()));
  }
}

Tensor Reader::allocate(const TensorType& type, const std::string& name) const {
  const double bytes = static_cast<double>(type.shape.elements()) * static_cast<double>(size_of(type.dtype));
  if (bytes > physical_memory()) {
    fail(file_, name, fmt::format("is {}, which is more than this machine's memory", to_string(type)));
  }
  return Tensor(type.shape, type.dtype);
}

TensorType Reader::type(const std::string& dataset) const { return type_of(open(dataset), dataset); }

Tensor Reader::read(const std::string& dataset) const {
  const Handle opened = open(dataset);
  const TensorType type = type_of(opened, dataset);
  Tensor tensor = allocate(type, dataset);
  if (tensor.elements() == 0) return tensor;
  const Handle memory = memory_type(type.dtype);
  if (H5Dread(opened.id(), memory.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.mutable_data()) < 0) {
    fail(file_, dataset, fmt::format("cannot be read, the file is damaged{}", reason()));
  }
  make_valid(tensor);
  return tensor;
}

Tensor Reader::read_rows(const std::string& dataset, std::int64_t first, std::int64_t count) const {
  const Handle opened = open(dataset);
  TensorType type = type_of(opened, dataset);
  if (type.shape.rank() == 0) fail(file_, dataset, "is a scalar, needed rows");
  if (first < 0 || count < 0 || first > type.shape[0] - count) {
    fail(file_, dataset, fmt::format("has {} rows, needed {} from row {} on", type.shape[0], count, first));
  }
  std::array<hsize_t, Shape::max_rank> begin{}, size{};
  type.shape = type.shape.with(0, count);
  for (int axis = 0; axis < type.shape.rank(); ++axis) {
    size[static_cast<std::size_t>(axis)] = static_cast<hsize_t>(type.shape[axis]);
  }
  begin[0] = static_cast<hsize_t>(first);
  Tensor tensor = allocate(type, dataset);
  if (tensor.elements() == 0) return tensor;
  const Handle memory = memory_type(type.dtype);
  const Handle rows(H5Dget_space(opened.id()), H5Sclose);
  const Handle whole(H5Screate_simple(type.shape.rank(), size.data(), nullptr), H5Sclose);
  if (H5Sselect_hyperslab(rows.id(), H5S_SELECT_SET, begin.data(), nullptr, size.data(), nullptr) < 0 ||
      H5Dread(opened.id(), memory.id(), whole.id(), rows.id(), H5P_DEFAULT, tensor.mutable_data()) < 0) {
    fail(file_, dataset, fmt::format("cannot be read, the file is damaged{}", reason()));
  }
  make_valid(tensor);
  return tensor;
}

// ---- writing ----------------------------------------------------------------------------------------------

Writer::Writer(std::string file)
    : file_(std::move(file)),
      beside_(fmt::format("{}.{}.part", file_, ::getpid())),
      handle_(H5Fcreate(beside_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose) {
  if (handle_) return;
  const std::string folder = std::filesystem::path(file_).parent_path().string();
  std::error_code error;
  if (!folder.empty() && !std::filesystem::is_directory(folder, error)) {
    fail(file_, "", fmt::format("cannot be written: there is no folder {}", folder));
  }
  fail(file_, "", fmt::format("cannot be written{}", reason()));
}

Writer::~Writer() {
  handle_.close();
  std::remove(beside_.c_str());
}

void Writer::write(const std::string& dataset, const Tensor& tensor) {
  if (!tensor.defined()) fail(file_, dataset, "cannot be written: its tensor is empty");
  std::array<hsize_t, Shape::max_rank> extents{};
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    extents[static_cast<std::size_t>(axis)] = static_cast<hsize_t>(tensor.extent(axis));
  }
  const Handle space(
      tensor.rank() == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(tensor.rank(), extents.data(), nullptr),
      H5Sclose);
  const Handle type = memory_type(tensor.dtype());
  const Handle groups(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(groups.id(), 1);
  const Handle created(
      H5Dcreate2(handle_.id(), dataset.c_str(), type.id(), space.id(), groups.id(), H5P_DEFAULT, H5P_DEFAULT),
      H5Dclose);
  if (!created) fail(file_, dataset, fmt::format("cannot be made{}", reason()));
  if (tensor.elements() > 0 &&
      H5Dwrite(created.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.data()) < 0) {
    fail(file_, dataset, fmt::format("cannot be written{}", reason()));
  }
}

void Writer::commit() {
  if (H5Fflush(handle_.id(), H5F_SCOPE_LOCAL) < 0 || !handle_.close()) {
    fail(file_, "", fmt::format("cannot be written{}", reason()));
  }
  if (std::rename(beside_.c_str(), file_.c_str()) != 0) {
    fail(file_, "", fmt::format("cannot be written: {}", std::strerror(errno)));
  }
}

}  // namespace weft::hdf5
