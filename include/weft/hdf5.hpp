// Data sets and checkpoints in HDF5 files. Every failure is a FileError that names the file, the data set,
// what was found and what was needed. Files are written beside their place and moved there when they are
// whole.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "weft/graph.hpp"
#include "weft/tensor.hpp"

namespace weft {

// ---- tensors ----------------------------------------------------------------------------------------------

// A data set, at a path such as "conv1/w". Floating-point numbers of at most 4 bytes become f32, others f64;
// integers become the smallest of u8, i32, i64 that holds them all; h5py's booleans become boolean.
Tensor read_tensor(const std::string& file, const std::string& dataset);
// Rows [first, first + count) along the first axis, for data larger than memory.
Tensor read_rows(const std::string& file, const std::string& dataset, std::int64_t first, std::int64_t count);

using NamedTensor = std::pair<std::string, Tensor>;
// Replaces the file by one with these data sets; '/' in a name makes groups.
void write_tensors(const std::string& file, std::span<const NamedTensor> tensors);
void write_tensors(const std::string& file, std::initializer_list<NamedTensor> tensors);

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

// ---- checkpoints ------------------------------------------------------------------------------------------

// One data set per parameter, under its name. Throws Error for two parameters of one name.
void save_parameters(const std::vector<Parameter>& parameters, const std::string& file);
// Sets every parameter to what the file has under its name, in its shape and dtype; all are checked before
// one is changed. What else the file has is left alone.
void load_parameters(const std::vector<Parameter>& parameters, const std::string& file);

}  // namespace weft
