// npz where weft is built without libzip.
#include "io/file_reader.hpp"

namespace weft {

std::unique_ptr<FileReader> open_npz(const std::string& file, std::int64_t) {
  io::fail(file, "", "is an npz file: this weft was built without libzip");
}

void write_npz(const std::string& file, std::span<const NamedTensor>, bool) {
  io::fail(file, "", "cannot be written: this weft was built without libzip");
}

}  // namespace weft
