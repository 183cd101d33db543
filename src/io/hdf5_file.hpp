// HDF5's C interface with handles that close themselves, one thread at a time, and no text on stderr.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

#include "weft/dtype.hpp"

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

// While it lives, this thread is the only one of weft's inside HDF5, which is not made for several; HDF5
// prints nothing about errors and loads no plug-in that a file asks for.
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
  unsigned plugins_ = 0;
};

// What HDF5 says about the failure it met last, at its origin: " (HDF5: ...)"; empty where it says nothing.
std::string reason();

Handle memory_type(DType dtype);  // of a tensor's elements
bool is_boolean(hid_t type);      // h5py's: an enumeration of FALSE = 0 and TRUE = 1 on one byte

}  // namespace weft::hdf5
