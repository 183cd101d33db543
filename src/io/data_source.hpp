// Where the rows of a DataSet are.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "weft/data_set.hpp"

namespace weft {

struct DataSet::Source {
  std::vector<std::string> names, paths;  // short, and in the file
  std::vector<TensorType> types;          // with all rows
  std::vector<std::string> class_names;
  std::int64_t rows = 0;
  std::int64_t row_bytes = 0;   // of all tensors together
  std::int64_t chunk_rows = 0;  // of the tensor with the largest rows; 0: it has no chunks
  std::vector<Tensor> tensors;  // where in memory
  std::optional<TensorFile> file;
  mutable std::mutex mutex;  // of the file

  bool in_memory() const { return !file; }
  std::size_t index_of(std::string_view name) const;  // throws Error
  // Rows [first, first + count) of each tensor.
  std::vector<Tensor> read(std::int64_t first, std::int64_t count) const;
  void measure();  // row_bytes, once types and rows are known
};

// Copies x's rows in that order to y's from row `first` on.
void copy_rows(const Tensor& x, std::span<const std::int64_t> rows, Tensor& y, std::int64_t first);

}  // namespace weft
