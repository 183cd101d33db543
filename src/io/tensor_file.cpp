#include "weft/tensor_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "io/file_reader.hpp"

namespace weft {

std::string_view name(FileKind kind) {
  constexpr std::array<std::string_view, 3> names{"HDF5", "safetensors", "npz"};
  return names[static_cast<std::size_t>(kind)];
}

namespace {

void require_readable(const std::string& file) {
  std::error_code error;
  if (file.find('\0') != std::string::npos) io::fail(file, "", "is no path: it holds a zero byte");
  if (!std::filesystem::exists(file, error)) io::fail(file, "", "is missing");
  if (std::filesystem::is_directory(file, error)) io::fail(file, "", "is a folder, needed a file");
  if (!std::filesystem::is_regular_file(file, error)) io::fail(file, "", "is no regular file");
  if (::access(file.c_str(), R_OK) != 0)
    io::fail(file, "", fmt::format("cannot be read: {}", std::strerror(errno)));
}

// By the first bytes: HDF5's signature lies at 0 or a power of two from 512 on; a safetensors file begins
// with the length of a header that begins with '{'.
FileKind kind_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  const auto bytes_at = [&](std::streamoff position) {
    std::array<char, 9> bytes{};
    in.clear();
    in.seekg(position);
    in.read(bytes.data(), bytes.size());
    return std::string(bytes.data(), static_cast<std::size_t>(in.gcount()));
  };
  const std::string begin = bytes_at(0);
  if (begin.starts_with("PK\x03\x04") || begin.starts_with("PK\x05\x06")) return FileKind::npz;
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(file));
  for (std::streamoff position = 0; position < size; position = position == 0 ? 512 : 2 * position) {
    if (bytes_at(position).starts_with("\x89HDF\r\n\x1a\n")) return FileKind::hdf5;
  }
  if (begin.size() == 9 && begin[8] == '{') return FileKind::safetensors;
  io::fail(file, "", "is no HDF5, safetensors or npz file");
}

}  // namespace

std::unique_ptr<FileReader> open_reader(const std::string& file, const ReadOptions& options) {
  require_readable(file);
  if (options.isolated) return open_isolated(file, options);
  switch (kind_of(file)) {
    case FileKind::safetensors:
      return open_safetensors(file, io::byte_limit(options));
    case FileKind::npz:
      return open_npz(file, io::byte_limit(options));
    case FileKind::hdf5:
      break;
  }
  return open_hdf5(file, io::byte_limit(options));
}

TensorFile::TensorFile(const std::string& file, const ReadOptions& options)
    : path_(file), reader_(open_reader(file, options)) {}
TensorFile::TensorFile(TensorFile&&) noexcept = default;
TensorFile& TensorFile::operator=(TensorFile&&) noexcept = default;
TensorFile::~TensorFile() = default;

FileKind TensorFile::kind() const { return reader_->kind(); }
std::vector<FileObject> TensorFile::objects() const { return reader_->objects(); }
bool TensorFile::contains(const std::string& name) const { return reader_->contains(name); }
FileObject TensorFile::object(const std::string& name) const { return reader_->object(name); }
Tensor TensorFile::read(const std::string& name) const { return reader_->read(name); }
Tensor TensorFile::read_rows(const std::string& name, std::int64_t first, std::int64_t count) const {
  return reader_->read_rows(name, first, count);
}
std::vector<std::string> TensorFile::read_strings(const std::string& name) const {
  return reader_->read_strings(name);
}
FileAttributes TensorFile::attributes(const std::string& name) const { return reader_->attributes(name); }

TensorType TensorFile::type(const std::string& name) const {
  const FileObject found = object(name);
  if (found.kind == FileObject::Kind::tensor) return {found.shape, found.dtype};
  if (found.kind == FileObject::Kind::group) io::fail(path_, name, "is a group, needed a data set");
  if (found.kind == FileObject::Kind::strings) io::fail(path_, name, "has strings, needed numbers");
  io::fail(path_, name, found.storage);
}

const FileAttribute* TensorFile::find(const FileAttributes& attributes, std::string_view name) {
  for (const auto& [known, value] : attributes) {
    if (known == name) return &value;
  }
  return nullptr;
}

Tensor read_tensor(const std::string& file, const std::string& name, const ReadOptions& options) {
  return TensorFile(file, options).read(name);
}

Tensor read_rows(const std::string& file, const std::string& name, std::int64_t first, std::int64_t count,
                 const ReadOptions& options) {
  return TensorFile(file, options).read_rows(name, first, count);
}

}  // namespace weft
