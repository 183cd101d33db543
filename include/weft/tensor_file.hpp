// Files of named tensors: HDF5, safetensors, npz, all read through one class. Every failure is a FileError
// that names the file, the object, what was found and what was needed. Nothing outside the file is read:
// links to other files, external storage, virtual data sets and filter plug-ins are errors. Files are written
// beside their place, flushed to the disk and moved there when they are whole.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "weft/tensor.hpp"

namespace weft {

enum class FileKind : std::uint8_t { hdf5, safetensors, npz };
std::string_view name(FileKind kind);  // "HDF5"

struct ReadOptions {
  // The file is read by a helper process (weft-reader), whose memory and time are limited and whose death is
  // a FileError: libhdf5 1.10 can crash on damaged files. For files from strangers.
  bool isolated = false;
  double seconds = 60;  // isolated: that one answer may take
  // Of one tensor; 0: the machine's memory. Beside a tensor, reading a safetensors or npz file takes its
  // bytes as they are in the file, at most 40 bytes for each of the file's, and 1 MB; what libhdf5 takes is
  // limited in isolation only.
  std::int64_t max_bytes = 0;
};

// Something in a file. Names are paths without a leading '/': "conv1/w".
struct FileObject {
  enum class Kind : std::uint8_t { group, tensor, strings, other };
  std::string name;
  Kind kind = Kind::group;
  Shape shape = {};             // of a tensor or of strings
  DType dtype = DType::f32;     // of a tensor: what it is read as
  std::int64_t chunk_rows = 0;  // how many rows are stored together; 0: all
  std::string storage = {};     // for people: "chunks of (64, 64, 64, 3), deflate"; of `other`: what it is
};

using FileAttribute = std::variant<Tensor, std::string, std::vector<std::string>>;
using FileAttributes = std::vector<std::pair<std::string, FileAttribute>>;

class FileReader;

// A file that is open for reading. Floating-point numbers of at most 4 bytes are read as f32, others as f64;
// integers as the smallest of u8, i32, i64 that holds them all; h5py's booleans as boolean. May be used from
// several threads, one after the other.
class TensorFile {
 public:
  explicit TensorFile(const std::string& file, const ReadOptions& options = {});
  TensorFile(TensorFile&&) noexcept;
  TensorFile& operator=(TensorFile&&) noexcept;
  ~TensorFile();

  const std::string& path() const { return path_; }
  FileKind kind() const;
  std::vector<FileObject> objects() const;  // groups before what they hold
  bool contains(const std::string& name) const;
  FileObject object(const std::string& name) const;
  TensorType type(const std::string& name) const;  // throws where it is no tensor
  Tensor read(const std::string& name) const;
  // Rows [first, first + count) along the first axis.
  Tensor read_rows(const std::string& name, std::int64_t first, std::int64_t count) const;
  std::vector<std::string> read_strings(const std::string& name) const;  // fixed or variable length
  FileAttributes attributes(const std::string& name = "") const;         // "": of the file
  // nullptr where there is none of that name.
  static const FileAttribute* find(const FileAttributes& attributes, std::string_view name);

 private:
  std::string path_;
  std::unique_ptr<FileReader> reader_;
};

Tensor read_tensor(const std::string& file, const std::string& name, const ReadOptions& options = {});
Tensor read_rows(const std::string& file, const std::string& name, std::int64_t first, std::int64_t count,
                 const ReadOptions& options = {});

using NamedTensor = std::pair<std::string, Tensor>;

// safetensors (huggingface.co/docs/safetensors): a JSON header and the plain elements. `metadata` are the
// strings of its "__metadata__".
void write_safetensors(const std::string& file, std::span<const NamedTensor> tensors,
                       std::span<const std::pair<std::string, std::string>> metadata = {});
// NumPy's npz: a zip archive of .npy arrays, stored or deflated. Throws FileError where weft was built
// without libzip.
void write_npz(const std::string& file, std::span<const NamedTensor> tensors, bool compressed = false);

}  // namespace weft
