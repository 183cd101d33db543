// What each kind of file is to TensorFile.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weft/error.hpp"
#include "weft/tensor_file.hpp"

namespace weft {

class FileReader {
 public:
  virtual ~FileReader() = default;
  virtual FileKind kind() const = 0;
  virtual std::vector<FileObject> objects() = 0;
  virtual bool contains(const std::string& name) = 0;
  virtual FileObject object(const std::string& name) = 0;
  virtual Tensor read(const std::string& name) = 0;
  virtual Tensor read_rows(const std::string& name, std::int64_t first, std::int64_t count) = 0;
  virtual std::vector<std::string> read_strings(const std::string& name) = 0;
  virtual FileAttributes attributes(const std::string& name) = 0;
};

std::unique_ptr<FileReader> open_reader(const std::string& file, const ReadOptions& options);  // by its kind
std::unique_ptr<FileReader> open_hdf5(const std::string& file, std::int64_t max_bytes);
std::unique_ptr<FileReader> open_safetensors(const std::string& file, std::int64_t max_bytes);
std::unique_ptr<FileReader> open_npz(const std::string& file, std::int64_t max_bytes);
std::unique_ptr<FileReader> open_isolated(const std::string& file, const ReadOptions& options);

namespace io {

// Throws FileError "FILE: data set 'NAME' PROBLEM"; without the name where it is empty.
[[noreturn]] void fail(const std::string& file, std::string_view name, std::string_view problem);

// Throw FileError for what can be no tensor, or is larger than allowed.
Shape require_shape(const std::string& file, const std::string& name, std::span<const std::int64_t> extents);
Tensor allocate(const std::string& file, const std::string& name, const TensorType& type,
                std::int64_t max_bytes);
void require_rows(const std::string& file, const std::string& name, const Shape& shape, std::int64_t first,
                  std::int64_t count);
std::int64_t byte_limit(const ReadOptions& options);

// Bytes that are no bool become true.
void make_valid(Tensor& tensor);

std::uint32_t crc32(const Tensor& tensor);  // of its elements' bytes

// Writes `parts`, one after the other, beside `file`, has them put on the disk, and moves them to `file`.
void replace_file(const std::string& file, std::span<const std::string_view> parts);

}  // namespace io
}  // namespace weft
