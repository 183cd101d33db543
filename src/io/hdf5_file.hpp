// HDF5's C interface with handles that close themselves and failures that are FileErrors.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "weft/error.hpp"
#include "weft/tensor.hpp"

namespace weft::hdf5 {

// An id of HDF5's and the function that closes it.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  ~Handle() { close(); }

  explicit operator bool() const { return id_ >= 0; }
  hid_t id() const { return id_; }
  bool close() { return id_ < 0 || close_(std::exchange(id_, H5I_INVALID_HID)) >= 0; }

 private:
  hid_t id_;
  Close close_;
};

// While it lives, this thread is the only one of weft's inside HDF5, which is not made for several, and HDF5
// prints nothing about errors.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  std::unique_lock<std::mutex> lock_;
  H5E_auto2_t print_;
  void* print_data_;
};

// Throws FileError "FILE: data set 'DATASET' PROBLEM"; without the data set where its name is empty.
[[noreturn]] void fail(const std::string& file, std::string_view dataset, std::string_view problem);

// A file opened for reading.
class Reader {
 public:
  explicit Reader(std::string file);

  TensorType type(const std::string& dataset) const;  // the data set as a tensor; its extents may be any
  Tensor read(const std::string& dataset) const;
  Tensor read_rows(const std::string& dataset, std::int64_t first, std::int64_t count) const;
  const std::string& file() const { return file_; }

 private:
  Handle open(const std::string& dataset) const;
  DType dtype_of(const Handle& type, const std::string& name) const;
  TensorType type_of(const Handle& dataset, const std::string& name) const;
  Tensor allocate(const TensorType& type, const std::string& name) const;
  [[noreturn]] void fail_missing(const std::string& dataset) const;

  std::string file_;
  Session session_;
  Handle handle_;
};

// A file that is made beside its place and moved there by commit(); without that nothing is left of it.
class Writer {
 public:
  explicit Writer(std::string file);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void write(const std::string& dataset, const Tensor& tensor);
  void commit();

 private:
  std::string file_, beside_;
  Session session_;
  Handle handle_;
};

}  // namespace weft::hdf5
