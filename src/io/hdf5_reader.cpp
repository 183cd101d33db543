#include "io/hdf5_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace weft {

std::unique_ptr<FileReader> open_hdf5(const std::string& file, std::int64_t max_bytes) {
  return std::make_unique<hdf5::Reader>(file, max_bytes);
}

namespace hdf5 {

namespace {

constexpr std::size_t most_objects = 1'000'000;  // that objects() lists

Handle open_file(const std::string& file) {
  const Session session;
  Handle handle(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!handle) io::fail(file, "", fmt::format("is an HDF5 file, but damaged{}", reason()));
  return handle;
}

// Links that lead out of the file are not followed.
Handle link_access() {
  const Session session;
  Handle access(H5Pcreate(H5P_LINK_ACCESS), H5Pclose);
  const auto refuse = [](const char*, const char*, const char*, const char*, unsigned*, hid_t,
                         void*) -> herr_t { return -1; };
  H5Pset_elink_cb(access.id(), refuse, nullptr);
  return access;
}

// The data sets and groups of a file, for a message: "train_set_x, train_set_y"; the first few.
std::string names_in(hid_t file) {
  constexpr std::size_t most = 12;
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* context) -> herr_t {
    auto& list = *static_cast<std::vector<std::string>*>(context);
    list.emplace_back(name);
    return list.size() > most ? 1 : 0;
  };
  H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, add, &names);
  if (names.empty()) return "nothing";
  if (names.size() > most) names.back() = "...";
  return fmt::format("{}", fmt::join(names, ", "));
}

const std::string& or_root(const std::string& name) {
  static const std::string root = "/";
  return name.empty() ? root : name;
}

// Why the elements of a data set are not in this file; empty where they are.
std::string elsewhere(hid_t properties) {
  if (H5Pget_layout(properties) == H5D_VIRTUAL) return "is virtual: it shows other data sets";
  if (H5Pget_layout(properties) != H5D_CHUNKED && H5Pget_external_count(properties) > 0)
    return "has its elements in another file, which is not read";
  return {};
}

// "chunks of (1000, 28, 28), deflate"; sets the rows of a chunk.
std::string storage_of(hid_t properties, std::int64_t& chunk_rows) {
  std::array<hsize_t, H5S_MAX_RANK> chunk{};
  const int rank = H5Pget_layout(properties) == H5D_CHUNKED
                       ? H5Pget_chunk(properties, static_cast<int>(chunk.size()), chunk.data())
                       : 0;
  if (rank <= 0) return "contiguous";
  chunk_rows = static_cast<std::int64_t>(std::min<hsize_t>(chunk[0], INT64_MAX));
  std::string text = fmt::format("chunks of ({})", fmt::join(chunk.begin(), chunk.begin() + rank, ", "));
  const int filters = H5Pget_nfilters(properties);
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    std::array<char, 64> name{};
    const H5Z_filter_t filter = H5Pget_filter2(properties, static_cast<unsigned>(i), &flags, &values, nullptr,
                                               name.size() - 1, name.data(), &config);
    text += fmt::format(", {}", name[0] ? name.data() : fmt::format("filter {}", filter).c_str());
  }
  return text;
}

std::string link_text(hid_t file, const std::string& name, const H5L_info_t& info) {
  if (info.type >= H5L_TYPE_UD_MIN) return "is a link to another file, which is not followed";
  std::string target(std::min<std::size_t>(info.u.val_size, 4096), '\0');
  if (H5Lget_val(file, name.c_str(), target.data(), target.size(), H5P_DEFAULT) < 0) target.clear();
  return fmt::format("is a link to '{}'", target.c_str());
}

}  // namespace

Reader::Reader(const std::string& file, std::int64_t max_bytes)
    : file_(file), max_bytes_(max_bytes), handle_(open_file(file)), access_(link_access()) {}

Reader::~Reader() {
  const Session session;
  handle_.close();
  access_.close();
}

void Reader::fail(const std::string& name, std::string_view problem) const { io::fail(file_, name, problem); }

void Reader::fail_missing(const std::string& name) const {
  fail(name.empty() ? "(no name)" : name,
       fmt::format("is missing; the file has: {}", names_in(handle_.id())));
}

// ---- finding ----------------------------------------------------------------------------------------------

// Names the link on the way to `name` that leads out of the file.
void Reader::require_inside(const std::string& name) const {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = name.find('/', end + 1);
    const std::string part = name.substr(0, end);
    H5L_info_t info{};
    if (part.empty() || part == "/") continue;
    if (H5Lget_info(handle_.id(), part.c_str(), &info, access_.id()) < 0) return;
    if (info.type >= H5L_TYPE_UD_MIN) fail(part, link_text(handle_.id(), part, info));
  }
}

Handle Reader::open(const std::string& name) const {
  if (name.find('\0') != std::string::npos) fail(name.c_str(), "has a zero byte in its name");
  require_inside(name);
  Handle object(H5Oopen(handle_.id(), or_root(name).c_str(), access_.id()), H5Oclose);
  if (object) return object;
  const std::string why = reason();
  H5L_info_t info{};
  if (name.empty() || H5Lget_info(handle_.id(), name.c_str(), &info, access_.id()) < 0) fail_missing(name);
  if (info.type == H5L_TYPE_HARD) fail(name, fmt::format("cannot be opened, the file is damaged{}", why));
  fail(name, link_text(handle_.id(), name, info) + ", which leads to nothing in this file");
}

Handle Reader::open_dataset(const std::string& name) const {
  if (name.empty()) fail_missing(name);
  Handle object = open(name);
  if (H5Iget_type(object.id()) != H5I_DATASET) fail(name, "is a group, needed a data set");
  const Handle properties(H5Dget_create_plist(object.id()), H5Pclose);
  const std::string problem = elsewhere(properties.id());
  if (!problem.empty()) fail(name, problem);
  return object;
}

bool Reader::contains(const std::string& name) {
  const Session session;
  if (name.empty() || name.find('\0') != std::string::npos) return false;
  require_inside(name);
  const Handle object(H5Oopen(handle_.id(), name.c_str(), access_.id()), H5Oclose);
  return static_cast<bool>(object);
}

FileObject Reader::object(const std::string& name) {
  const Session session;
  return describe(name);
}

FileObject Reader::describe(const std::string& name) const {
  FileObject result{.name = name};
  const Handle opened = open(name);
  const H5I_type_t type = H5Iget_type(opened.id());
  if (type == H5I_GROUP) return result;
  result.kind = FileObject::Kind::other;
  result.storage = "is a stored type";
  if (type == H5I_DATASET) describe_dataset(result, opened);
  return result;
}

void Reader::describe_dataset(FileObject& object, const Handle& dataset) const {
  const Handle properties(H5Dget_create_plist(dataset.id()), H5Pclose);
  object.storage = elsewhere(properties.id());
  if (!object.storage.empty()) return;
  const std::string prefix = fmt::format("{}: data set '{}' ", file_, object.name);
  try {
    const Array found = array(object.name, dataset);
    object.shape = shape_of(found);
    const bool is_text = H5Tget_class(found.type.id()) == H5T_STRING;
    if (!is_text) object.dtype = dtype_of(found);
    object.kind = is_text ? FileObject::Kind::strings : FileObject::Kind::tensor;
    object.storage = storage_of(properties.id(), object.chunk_rows);
  } catch (const FileError& error) {
    object.storage = std::string(error.what()).substr(prefix.size());
  }
}

std::vector<FileObject> Reader::objects() {
  const Session session;
  using Links = std::vector<std::pair<std::string, H5L_info_t>>;
  Links links;
  const auto add = [](hid_t, const char* name, const H5L_info_t* info, void* context) -> herr_t {
    auto& list = *static_cast<Links*>(context);
    list.emplace_back(name, *info);
    return list.size() < most_objects ? 0 : 1;
  };
  if (H5Lvisit(handle_.id(), H5_INDEX_NAME, H5_ITER_INC, add, &links) < 0)
    fail("", fmt::format("cannot be listed, the file is damaged{}", reason()));
  std::vector<FileObject> objects;
  for (const auto& [name, info] : links) {
    if (info.type == H5L_TYPE_HARD) {
      objects.push_back(describe(name));
    } else {
      objects.push_back(
          {.name = name, .kind = FileObject::Kind::other, .storage = link_text(handle_.id(), name, info)});
    }
  }
  return objects;
}

// ---- reading ----------------------------------------------------------------------------------------------

Tensor Reader::read(const std::string& name) {
  const Session session;
  const Handle dataset = open_dataset(name);
  return read_tensor(array(name, dataset));
}

Tensor Reader::read_rows(const std::string& name, std::int64_t first, std::int64_t count) {
  const Session session;
  const Handle dataset = open_dataset(name);
  const Array found = array(name, dataset);
  const Shape shape = shape_of(found);
  io::require_rows(file_, name, shape, first, count);
  const TensorType type{shape.with(0, count), dtype_of(found)};
  Tensor tensor = io::allocate(file_, name, type, max_bytes_);
  if (tensor.elements() == 0) return tensor;
  std::array<hsize_t, Shape::max_rank> begin{static_cast<hsize_t>(first)}, size{};
  std::copy(type.shape.begin(), type.shape.end(), size.begin());
  const Handle memory = memory_type(type.dtype);
  const Handle whole(H5Screate_simple(type.shape.rank(), size.data(), nullptr), H5Sclose);
  if (H5Sselect_hyperslab(found.space.id(), H5S_SELECT_SET, begin.data(), nullptr, size.data(), nullptr) <
          0 ||
      H5Dread(dataset.id(), memory.id(), whole.id(), found.space.id(), H5P_DEFAULT, tensor.mutable_data()) <
          0) {
    fail(name, fmt::format("cannot be read, the file is damaged{}", reason()));
  }
  io::make_valid(tensor);
  return tensor;
}

std::vector<std::string> Reader::read_strings(const std::string& name) {
  const Session session;
  const Handle dataset = open_dataset(name);
  return strings_of(array(name, dataset));
}

FileAttributes Reader::attributes(const std::string& name) {
  const Session session;
  const Handle object = open(name);
  H5O_info_t info{};
  if (H5Oget_info2(object.id(), &info, H5O_INFO_NUM_ATTRS) < 0)
    fail(name, fmt::format("has attributes that cannot be read, the file is damaged{}", reason()));
  FileAttributes result;
  for (hsize_t i = 0; i < std::min<hsize_t>(info.num_attrs, most_objects); ++i) {
    const Handle opened(
        H5Aopen_by_idx(object.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    std::string known(opened ? std::max<ssize_t>(H5Aget_name(opened.id(), 0, nullptr), 0) : 0, '\0');
    if (!opened || H5Aget_name(opened.id(), known.size() + 1, known.data()) < 0)
      fail(name, fmt::format("has an attribute that cannot be read, the file is damaged{}", reason()));
    result.emplace_back(known, attribute(fmt::format("{}@{}", name, known), opened));
  }
  return result;
}

// What weft has no type for is shown as what is said about it.
FileAttribute Reader::attribute(const std::string& name, const Handle& opened) const {
  const Array found{
      name, opened.id(), {H5Aget_type(opened.id()), H5Tclose}, {H5Aget_space(opened.id()), H5Sclose}, true};
  if (!found.type || !found.space) fail(name, fmt::format("cannot be read{}", reason()));
  const bool is_null = H5Sget_simple_extent_type(found.space.id()) == H5S_NULL;
  const H5T_class_t kind = H5Tget_class(found.type.id());
  if (is_null) return std::vector<std::string>{};
  if (kind == H5T_STRING) {
    std::vector<std::string> strings = strings_of(found);
    if (H5Sget_simple_extent_ndims(found.space.id()) == 0 && strings.size() == 1) return strings[0];
    return strings;
  }
  if (kind != H5T_FLOAT && kind != H5T_INTEGER && !is_boolean(found.type.id()))
    return std::string("(neither numbers nor strings)");
  return read_tensor(found);
}

}  // namespace hdf5
}  // namespace weft
