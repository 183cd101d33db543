#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "io/file_reader.hpp"
#include "io/hdf5_file.hpp"
#include "weft/hdf5.hpp"

namespace weft {

namespace {

using hdf5::Handle;
using hdf5::reason;
using hdf5::Session;

constexpr std::size_t growth = 4 << 20;        // bytes, of the file in memory
constexpr std::int64_t chunk_bytes = 1 << 20;  // of a compressed chunk, about

// The file is made in memory: HDF5 1.10 does not recover from a full disk, and a plain write does.
Handle create_in_memory(const std::string& file) {
  const Session session;
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(access.id(), growth, false);
  static std::uint64_t made = 0;  // HDF5 takes two of one name for the same file
  const std::string name = fmt::format("{}#{}", file, ++made);
  Handle handle(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose);
  if (!handle) io::fail(file, "", fmt::format("cannot be made{}", reason()));
  return handle;
}

Handle utf8_names(hid_t property_class) {
  Handle properties(H5Pcreate(property_class), H5Pclose);
  H5Pset_char_encoding(properties.id(), H5T_CSET_UTF8);
  if (property_class == H5P_LINK_CREATE) H5Pset_create_intermediate_group(properties.id(), 1);
  return properties;
}

Handle string_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

Handle space_of(const Shape& shape) {
  std::array<hsize_t, Shape::max_rank> extents{};
  std::copy(shape.begin(), shape.end(), extents.begin());
  const hid_t id =
      shape.rank() == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(shape.rank(), extents.data(), nullptr);
  return {id, H5Sclose};
}

// Without the time of day: the same contents are the same bytes.
Handle plain_storage() {
  Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(properties.id(), false);
  return properties;
}

// Chunks and filters, where the options ask for them and the tensor has rows.
Handle storage_for(const Tensor& tensor, const Hdf5Options& options) {
  Handle properties = plain_storage();
  if ((options.compression == 0 && options.chunk_rows == 0) || tensor.rank() == 0 || tensor.elements() == 0)
    return properties;
  const std::int64_t rows = tensor.extent(0), row_bytes = static_cast<std::int64_t>(tensor.bytes()) / rows;
  const std::int64_t wanted = options.chunk_rows > 0 ? options.chunk_rows : chunk_bytes / row_bytes;
  std::array<hsize_t, Shape::max_rank> chunk{};
  std::copy(tensor.shape().begin(), tensor.shape().end(), chunk.begin());
  chunk[0] = static_cast<hsize_t>(std::clamp<std::int64_t>(wanted, 1, rows));
  H5Pset_chunk(properties.id(), tensor.rank(), chunk.data());
  if (options.compression > 0) {
    H5Pset_shuffle(properties.id());
    H5Pset_deflate(properties.id(), static_cast<unsigned>(options.compression));
  }
  return properties;
}

std::vector<const char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<const char*> pointers;
  for (const std::string& text : strings) pointers.push_back(text.c_str());
  return pointers;
}

}  // namespace

struct Hdf5Writer::State {
  std::string file;
  Handle handle;

  explicit State(const std::string& file) : file(file), handle(create_in_memory(file)) {}
  ~State() {
    const Session session;
    handle.close();
  }
  [[noreturn]] void fail(const std::string& name, std::string_view problem) const {
    io::fail(file, name, fmt::format("{}{}", problem, reason()));
  }
  void require_name(const std::string& name) const {
    if (name.find('\0') != std::string::npos) io::fail(file, name.c_str(), "has a zero byte in its name");
  }
  Handle create(const std::string& name, const Handle& type, const Handle& space,
                const Handle& storage) const {
    require_name(name);
    const Handle links = utf8_names(H5P_LINK_CREATE);
    Handle created(
        H5Dcreate2(handle.id(), name.c_str(), type.id(), space.id(), links.id(), storage.id(), H5P_DEFAULT),
        H5Dclose);
    if (!created) fail(name, "cannot be made");
    return created;
  }
  void set(const std::string& name, const std::string& attribute, const FileAttribute& value) const;
};

// Replaces an attribute of that name.
void Hdf5Writer::State::set(const std::string& name, const std::string& attribute,
                            const FileAttribute& value) const {
  require_name(attribute);
  const std::string where = fmt::format("{}@{}", name, attribute);
  const Handle object(H5Oopen(handle.id(), name.empty() ? "/" : name.c_str(), H5P_DEFAULT), H5Oclose);
  if (!object) fail(name, "is missing");
  if (H5Aexists(object.id(), attribute.c_str()) > 0) H5Adelete(object.id(), attribute.c_str());
  const auto* tensor = std::get_if<Tensor>(&value);
  const auto* text = std::get_if<std::string>(&value);
  const auto* list = std::get_if<std::vector<std::string>>(&value);
  if (tensor && !tensor->defined()) io::fail(file, where, "cannot be written: its tensor is empty");
  const std::vector<const char*> pointers = list ? pointers_to(*list) : std::vector<const char*>{};
  const char* single = text ? text->c_str() : nullptr;
  const Handle type = tensor ? hdf5::memory_type(tensor->dtype()) : string_type();
  const Handle space = space_of(tensor ? tensor->shape()
                                : list ? Shape{static_cast<std::int64_t>(list->size())}
                                       : Shape{});
  const Handle names = utf8_names(H5P_ATTRIBUTE_CREATE);
  const Handle created(
      H5Acreate2(object.id(), attribute.c_str(), type.id(), space.id(), names.id(), H5P_DEFAULT), H5Aclose);
  if (!created) fail(where, "cannot be made");
  const void* elements = tensor ? tensor->data()
                         : list ? static_cast<const void*>(pointers.data())
                                : static_cast<const void*>(&single);
  const bool is_empty = (tensor && tensor->elements() == 0) || (list && list->empty());
  if (!is_empty && H5Awrite(created.id(), type.id(), elements) < 0) fail(where, "cannot be written");
}

Hdf5Writer::Hdf5Writer(const std::string& file) : state_(std::make_unique<State>(file)) {}
Hdf5Writer::Hdf5Writer(Hdf5Writer&&) noexcept = default;
Hdf5Writer::~Hdf5Writer() = default;

void Hdf5Writer::write(const std::string& name, const Tensor& tensor, const Hdf5Options& options) {
  const Session session;
  if (!tensor.defined()) io::fail(state_->file, name, "cannot be written: its tensor is empty");
  if (options.compression < 0 || options.compression > 9 || options.chunk_rows < 0) {
    io::fail(
        state_->file, name,
        fmt::format("cannot be written with compression {} in chunks of {} rows: needed 0 to 9, and 0 or "
                    "more",
                    options.compression, options.chunk_rows));
  }
  const Handle type = hdf5::memory_type(tensor.dtype());
  const Handle created = state_->create(name, type, space_of(tensor.shape()), storage_for(tensor, options));
  if (tensor.elements() > 0 &&
      H5Dwrite(created.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.data()) < 0) {
    state_->fail(name, "cannot be written");
  }
  for (const auto& [attribute, value] : options.attributes) state_->set(name, attribute, value);
  if (options.checksum)
    state_->set(name, "crc32", Tensor::scalar(static_cast<double>(io::crc32(tensor)), DType::i64));
}

void Hdf5Writer::write_strings(const std::string& name, const std::vector<std::string>& strings) {
  const Session session;
  const std::vector<const char*> pointers = pointers_to(strings);
  const Handle type = string_type();
  const Handle storage = plain_storage();
  const Handle created =
      state_->create(name, type, space_of({static_cast<std::int64_t>(strings.size())}), storage);
  if (!strings.empty() &&
      H5Dwrite(created.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) < 0) {
    state_->fail(name, "cannot be written");
  }
}

void Hdf5Writer::make_group(const std::string& name) {
  const Session session;
  state_->require_name(name);
  if (H5Lexists(state_->handle.id(), name.c_str(), H5P_DEFAULT) > 0) return;
  const Handle links = utf8_names(H5P_LINK_CREATE);
  const Handle group(H5Gcreate2(state_->handle.id(), name.c_str(), links.id(), H5P_DEFAULT, H5P_DEFAULT),
                     H5Gclose);
  if (!group) state_->fail(name, "cannot be made");
}

void Hdf5Writer::set_attribute(const std::string& name, const std::string& attribute,
                               const FileAttribute& value) {
  const Session session;
  state_->set(name, attribute, value);
}

void Hdf5Writer::commit() {
  const Session session;
  const hid_t id = state_->handle.id();
  void** memory = nullptr;
  const bool is_flushed = H5Fflush(id, H5F_SCOPE_LOCAL) >= 0;
  const ssize_t size = H5Fget_file_image(id, nullptr, 0);  // what is used of the memory
  if (!is_flushed || size < 0 || H5Fget_vfd_handle(id, H5P_DEFAULT, reinterpret_cast<void**>(&memory)) < 0)
    state_->fail("", "cannot be written");
  const std::string_view image(static_cast<const char*>(*memory), static_cast<std::size_t>(size));
  io::replace_file(state_->file, std::span(&image, 1));
}

void write_tensors(const std::string& file, std::span<const NamedTensor> tensors,
                   const Hdf5Options& options) {
  Hdf5Writer writer(file);
  for (const auto& [name, tensor] : tensors) writer.write(name, tensor, options);
  writer.commit();
}

void write_tensors(const std::string& file, std::initializer_list<NamedTensor> tensors,
                   const Hdf5Options& options) {
  write_tensors(file, std::span(tensors.begin(), tensors.size()), options);
}

}  // namespace weft
