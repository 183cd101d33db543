// Elements as safetensors and npy files hold them: one after the other, in either byte order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/file_reader.hpp"

namespace weft::io {

struct PlainElement {
  enum class Kind : std::uint8_t { boolean, integer, natural, floating, brain } kind = Kind::floating;
  int bytes = 4;
  bool big_endian = false;
};

// Nothing where no dtype holds all values of that kind.
std::optional<DType> dtype_of(const PlainElement& element);

// Sets every element of `tensor`, of dtype_of(element), from the bytes of as many.
void convert(std::string_view bytes, const PlainElement& element, Tensor& tensor);

// A file that is a list of plain arrays.
class PlainReader : public FileReader {
 public:
  std::vector<FileObject> objects() override;
  bool contains(const std::string& name) override;
  FileObject object(const std::string& name) override;
  Tensor read(const std::string& name) override;
  Tensor read_rows(const std::string& name, std::int64_t first, std::int64_t count) override;
  std::vector<std::string> read_strings(const std::string& name) override;

 protected:
  struct Array {
    FileObject object;
    PlainElement element;
    std::uint64_t position = 0;  // of its bytes, or its entry
    std::uint64_t skipped = 0;   // bytes in front of the elements
    bool column_major = false;
  };
  PlainReader(std::string file, std::int64_t max_bytes) : file_(std::move(file)), max_bytes_(max_bytes) {}
  void add(Array array);  // throws where its name is taken
  const Array& find(const std::string& name) const;
  const Array& find_tensor(const std::string& name) const;
  // Fills `to` with the bytes of the array's elements from byte `first` on.
  virtual void load(const Array& array, std::uint64_t first, std::string& to) = 0;
  [[noreturn]] void fail(const std::string& name, std::string_view problem) const;

  std::string file_;
  std::int64_t max_bytes_;

 private:
  Tensor read_elements(const Array& array, const Shape& shape, std::uint64_t first_element);

  std::vector<Array> arrays_;
  std::unordered_map<std::string, std::size_t> positions_;  // in arrays_, by name
};

}  // namespace weft::io
