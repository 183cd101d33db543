#include "io/file_reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>

namespace weft::io {

void fail(const std::string& file, std::string_view name, std::string_view problem) {
  if (name.empty()) throw FileError(fmt::format("{}: {}", file, problem));
  throw FileError(fmt::format("{}: data set '{}' {}", file, name, problem));
}

Shape require_shape(const std::string& file, const std::string& name, std::span<const std::int64_t> extents) {
  if (extents.size() > Shape::max_rank) {
    fail(file, name, fmt::format("has rank {}, at most {} is supported", extents.size(), Shape::max_rank));
  }
  try {
    return Shape(extents);
  } catch (const ShapeError& error) {
    fail(file, name, fmt::format("has a shape that no tensor can have: {}", error.what()));
  }
}

std::int64_t byte_limit(const ReadOptions& options) {
  const std::int64_t memory = ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE);
  return options.max_bytes > 0 ? std::min(options.max_bytes, memory) : memory;
}

Tensor allocate(const std::string& file, const std::string& name, const TensorType& type,
                std::int64_t max_bytes) {
  const double bytes = static_cast<double>(type.shape.elements()) * static_cast<double>(size_of(type.dtype));
  if (bytes > static_cast<double>(max_bytes)) {
    const bool all = max_bytes == byte_limit({});
    const std::string most = all ? "this machine's memory" : fmt::format("the {} bytes allowed", max_bytes);
    fail(file, name, fmt::format("is {}, which is more than {}", to_string(type), most));
  }
  try {
    return Tensor(type.shape, type.dtype);
  } catch (const std::bad_alloc&) {
    fail(file, name, fmt::format("is {}, for which there is no memory", to_string(type)));
  }
}

void require_rows(const std::string& file, const std::string& name, const Shape& shape, std::int64_t first,
                  std::int64_t count) {
  if (shape.rank() == 0) fail(file, name, "is a scalar, needed rows");
  if (first < 0 || count < 0 || first > shape[0] - count) {
    fail(file, name, fmt::format("has {} rows, needed {} from row {} on", shape[0], count, first));
  }
}

void make_valid(Tensor& tensor) {
  if (tensor.dtype() != DType::boolean) return;
  auto* bytes = static_cast<std::uint8_t*>(tensor.mutable_data());
  for (std::int64_t i = 0; i < tensor.elements(); ++i) bytes[i] = bytes[i] != 0;
}

std::uint32_t crc32(const Tensor& tensor) {
  return static_cast<std::uint32_t>(::crc32_z(0, static_cast<const Bytef*>(tensor.data()), tensor.bytes()));
}

namespace {

// A descriptor that closes itself.
struct Descriptor {
  int fd;
  explicit Descriptor(int fd) : fd(fd) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// False leaves the reason in errno.
bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), std::min<std::size_t>(bytes.size(), 1 << 30));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

bool write_file(const std::string& file, std::span<const std::string_view> parts) {
  const Descriptor out(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (out.fd < 0) return false;
  for (const std::string_view part : parts) {
    if (!write_all(out.fd, part)) return false;
  }
  return ::fsync(out.fd) == 0;
}

}  // namespace

void replace_file(const std::string& file, std::span<const std::string_view> parts) {
  const std::string folder = std::filesystem::path(file).parent_path().string();
  std::error_code error;
  if (!folder.empty() && !std::filesystem::is_directory(folder, error)) {
    fail(file, "", fmt::format("cannot be written: there is no folder {}", folder));
  }
  const std::string beside = fmt::format("{}.{}.part", file, ::getpid());
  if (!write_file(beside, parts) || std::rename(beside.c_str(), file.c_str()) != 0) {
    const int reason = errno;
    std::remove(beside.c_str());
    fail(file, "", fmt::format("cannot be written: {}", std::strerror(reason)));
  }
  const Descriptor place(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (place.fd >= 0) ::fsync(place.fd);  // the name too; some file systems cannot, and need not
}

}  // namespace weft::io
