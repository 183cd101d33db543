// Data sets to train on, in memory or larger than it: rows of equally long tensors, and their batches.
//
//   DataSet train("mnist.h5", {.part = "train"});                  // x_train and y_train, as "x" and "y"
//   BatchStream batches(train, {.batch_size = 64, .seed = 1});
//   for (int epoch = 0; epoch < 10; ++epoch) {
//     while (auto batch = batches.next()) step(batch->tensor("x"), batch->tensor("y"));
//   }
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/data.hpp"
#include "weft/tensor_file.hpp"

namespace weft {

struct DataSetOptions {
  // Which data sets belong together. None given: those of `group` whose name has the word `part` (words are
  // parted by '_' and '/': train_set_x, x_train, train/x); with an empty part all of the group.
  std::vector<std::string> names = {};
  std::string group = "";
  std::string part = "train";
  bool in_memory = false;  // read at once
  ReadOptions read = {};
};

// Equally long tensors, of which row i belongs together. A handle: copies are the same data.
class DataSet {
 public:
  // Throws FileError where there are none, or their lengths differ.
  explicit DataSet(const std::string& file, const DataSetOptions& options = {});
  // In memory. Throws ShapeError where the lengths differ.
  explicit DataSet(std::vector<NamedTensor> tensors);

  std::int64_t rows() const;
  // Short names: without `part` and "set", as "x" and "y" of train_set_x and train_set_y.
  const std::vector<std::string>& names() const;
  TensorType row_type(std::string_view name) const;  // of one row: u8[64, 64, 3]
  // What the file has as list_classes, classes or class_names: strings, or numbers as text; else empty.
  const std::vector<std::string>& class_names() const;
  // Those rows, in that order, of each tensor.
  std::vector<NamedTensor> read(std::span<const std::int64_t> rows) const;

  // Rows drawn at random, without overlap: a share of all for each, so that shares add up to at most 1. The
  // rest belongs to none.
  std::vector<DataSet> split(std::span<const double> shares, std::uint64_t seed) const;
  std::vector<DataSet> split(std::initializer_list<double> shares, std::uint64_t seed) const {
    return split(std::span(shares.begin(), shares.size()), seed);
  }

 private:
  friend class BatchStream;
  struct Source;
  std::shared_ptr<const Source> source_;
  std::shared_ptr<const std::vector<std::int64_t>> selected_;  // rows of the source, ascending; null: all
};

// Mean and deviation of every channel (the last axis), in one pass over a data set.
ChannelStatistics channel_statistics(const DataSet& data, std::string_view name);

struct Batch {
  std::vector<NamedTensor> tensors;  // [batch, ...]
  std::vector<std::int64_t> rows;    // where they are in the file
  std::int64_t epoch = 0, index = 0;

  const Tensor& tensor(std::string_view name) const;  // throws Error where there is none
};

struct StreamOptions {
  std::int64_t batch_size = 64;
  bool shuffle = true;
  bool drop_last = false;  // an epoch's last batch, where it is smaller
  std::uint64_t seed = 0;
  std::int64_t memory = 256 << 20;  // bytes of rows held at most, beside the batch; 0 for data in memory
};

// The batches of a data set, epoch after epoch. Of a file, half of `memory` is being used while a thread
// fills the other half. Shuffling respects chunks: blocks of neighbouring rows, whole chunks, come in random
// order, and as many as fit into half of `memory` are shuffled row by row (all rows where they fit). The
// order depends on the seed, the options, and the file's layout alone: it is the same where the data is in
// memory. Every failure of the thread is thrown by next().
class BatchStream {
 public:
  explicit BatchStream(DataSet data, const StreamOptions& options = {});
  ~BatchStream();
  BatchStream(const BatchStream&) = delete;
  BatchStream& operator=(const BatchStream&) = delete;

  // Nothing at the end of an epoch; the next call begins the next epoch.
  std::optional<Batch> next();
  // Continues at this batch of this epoch, both from 0, as if all before had been taken.
  void seek(std::int64_t epoch, std::int64_t batch);
  std::int64_t epoch() const;  // of the next batch
  std::int64_t batch() const;
  std::int64_t batches_per_epoch() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
