// Writing HDF5 files, the SIGNS data, and parameters alone. Reading is in tensor_file.hpp, data sets that are
// trained on in data_set.hpp, whole training states in checkpoint.hpp, Keras' weights in keras.hpp.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "weft/graph.hpp"
#include "weft/tensor_file.hpp"

namespace weft {

// ---- tensors ----------------------------------------------------------------------------------------------

struct Hdf5Options {
  int compression = 0;          // deflate, 1 (fast) to 9 (small); 0: none
  std::int64_t chunk_rows = 0;  // rows stored together; 0: as many as take 1 MB if compressed, else all
  bool checksum = false;        // keeps a CRC-32 of the elements as the attribute "crc32"
  FileAttributes attributes = {};
};

// A file that is made in memory and put in its place by commit(), on the disk when that returns; without it
// nothing is changed. A process or machine that dies meanwhile leaves the old file or the new one, whole.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const std::string& file);
  Hdf5Writer(Hdf5Writer&&) noexcept;
  ~Hdf5Writer();

  // '/' in a name makes groups.
  void write(const std::string& name, const Tensor& tensor, const Hdf5Options& options = {});
  void write_strings(const std::string& name, const std::vector<std::string>& strings);
  void make_group(const std::string& name);
  // Of a data set or group that is there; "": of the file.
  void set_attribute(const std::string& name, const std::string& attribute, const FileAttribute& value);
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Replaces the file by one with these data sets.
void write_tensors(const std::string& file, std::span<const NamedTensor> tensors,
                   const Hdf5Options& options = {});
void write_tensors(const std::string& file, std::initializer_list<NamedTensor> tensors,
                   const Hdf5Options& options = {});

// ---- SIGNS ------------------------------------------------------------------------------------------------

// Photos of hands that show 0 to 5 fingers, as in train_signs.h5 and test_signs.h5 of the deeplearning.ai
// course.
struct SignsData {
  Tensor train_x;  // u8 [n, 64, 64, 3], file train_signs.h5, data set train_set_x
  Tensor train_y;  // i64 [n], train_set_y
  Tensor test_x;   // u8 [m, 64, 64, 3], file test_signs.h5, data set test_set_x
  Tensor test_y;   // i64 [m], test_set_y
  Tensor classes;  // i64 [classes], list_classes of both; labels are positions in it
};
SignsData read_signs(const std::string& folder);
// Throws Error too, where `data` is not of that layout; nothing is written then.
void write_signs(const std::string& folder, const SignsData& data);

// ---- parameters -------------------------------------------------------------------------------------------

// One data set per parameter, under its name. Throws Error for two parameters of one name.
void save_parameters(const std::vector<Parameter>& parameters, const std::string& file);
// Sets every parameter to what the file (HDF5, safetensors or npz) has under its name, in its shape and
// dtype; all are checked before one is changed. What else the file has is left alone.
void load_parameters(const std::vector<Parameter>& parameters, const std::string& file,
                     const ReadOptions& options = {});

}  // namespace weft
