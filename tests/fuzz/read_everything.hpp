// Puts an input into a file and reads all that is in it.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <weft/error.hpp>
#include <weft/tensor_file.hpp>

#include "fuzz.hpp"

inline const std::string& fuzz_file() {
  static const std::string path = [] {
    const char* memory = "/dev/shm";
    std::error_code error;
    const auto folder =
        std::filesystem::is_directory(memory, error) ? memory : std::filesystem::temp_directory_path();
    return (folder / std::filesystem::path("weft-fuzz-" + std::to_string(::getpid()))).string();
  }();
  static const int removed = std::atexit([] { std::remove(fuzz_file().c_str()); });
  (void)removed;
  return path;
}

inline void write_fuzz_file(const void* data, std::size_t size) {
  std::ofstream(fuzz_file(), std::ios::binary)
      .write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
}

inline std::string bytes_of_fuzz_file() {
  std::ifstream in(fuzz_file(), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A FileError is what a damaged file gives; everything else that is thrown ends the process.
inline void read_everything(const weft::ReadOptions& options) {
  try {
    const weft::TensorFile file(fuzz_file(), options);
    file.attributes();
    for (const weft::FileObject& object : file.objects()) {
      try {
        file.attributes(object.name);
        if (object.kind == weft::FileObject::Kind::tensor) {
          file.read(object.name);
          if (object.shape.rank() > 0 && object.shape[0] > 1) file.read_rows(object.name, 1, 1);
        }
        if (object.kind == weft::FileObject::Kind::strings) file.read_strings(object.name);
      } catch (const weft::FileError&) {
      }
    }
  } catch (const weft::FileError&) {
  }
}

// Of a safetensors or npz file, within the memory that tensor_file.hpp allows for it.
inline void read_plain(const std::uint8_t* data, std::size_t size) {
  if (size > largest_input) return;
  write_fuzz_file(data, size);
  const AllocationLimit limit(40 * size + largest_tensor + (1 << 20));
  read_everything({.max_bytes = largest_tensor});
}
