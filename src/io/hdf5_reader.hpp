// Reading HDF5 files.
#pragma once

#include "io/file_reader.hpp"
#include "io/hdf5_file.hpp"

namespace weft::hdf5 {

class Reader final : public FileReader {
 public:
  Reader(const std::string& file, std::int64_t max_bytes);
  ~Reader() override;

  FileKind kind() const override { return FileKind::hdf5; }
  std::vector<FileObject> objects() override;
  bool contains(const std::string& name) override;
  FileObject object(const std::string& name) override;
  Tensor read(const std::string& name) override;
  Tensor read_rows(const std::string& name, std::int64_t first, std::int64_t count) override;
  std::vector<std::string> read_strings(const std::string& name) override;
  FileAttributes attributes(const std::string& name) override;

 private:
  // A data set, or an attribute of an object.
  struct Array {
    std::string name;  // for messages
    hid_t id;
    Handle type, space;
    bool is_attribute;
  };

  [[noreturn]] void fail(const std::string& name, std::string_view problem) const;
  [[noreturn]] void fail_missing(const std::string& name) const;
  void require_inside(const std::string& name) const;
  Handle open(const std::string& name) const;
  Handle open_dataset(const std::string& name) const;
  Array array(const std::string& name, const Handle& dataset) const;

  Shape shape_of(const Array& array) const;
  DType dtype_of(const Array& array) const;
  Tensor read_tensor(const Array& array) const;
  std::vector<std::string> strings_of(const Array& array) const;
  std::vector<std::string> fixed_strings(const Array& array, std::size_t count) const;
  std::vector<std::string> variable_strings(const Array& array, std::size_t count) const;
  FileObject describe(const std::string& name) const;
  void describe_dataset(FileObject& object, const Handle& dataset) const;
  FileAttribute attribute(const std::string& name, const Handle& attribute) const;

  std::string file_;
  std::int64_t max_bytes_;
  Handle handle_, access_;
};

}  // namespace weft::hdf5
