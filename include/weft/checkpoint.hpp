// Checkpoints: all that a training run needs to go on, in an HDF5 file with plain names:
//   parameters/conv1/w       values, each with its CRC-32 as the attribute "crc32"
//   optimizer                attributes: kind and options of the optimiser
//   optimizer/conv1/w/m      what it keeps: "momentum", or "m" and "v" with the attribute "steps"
//   schedule                 attributes: kind and numbers of the schedule
//   random/augmentation      state of a random stream: seed, stream, position
//   history                  f64 [epochs, 6]: epoch, loss, train and test accuracy, learning rate, seconds
//   /                        attributes: kind, weft_version, epoch, step, graph_signature, graph_seed,
//                            graph_random_streams
// A run that is resumed goes on bit for bit as if it had never stopped, for the same number of threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "weft/graph.hpp"
#include "weft/optim.hpp"
#include "weft/random.hpp"
#include "weft/tensor_file.hpp"
#include "weft/train.hpp"

namespace weft {

// What is saved, and what is set by resuming. Whatever is not given is left out.
struct TrainingState {
  std::vector<Parameter> parameters = {};
  std::variant<std::monostate, Sgd*, Adam*, AdamW*> optimizer = {};  // of these parameters
  Schedule* schedule = nullptr;
  Graph* graph = nullptr;  // its random streams, and the signature of what it has recorded
  std::vector<std::pair<std::string, Random*>> random = {};
  History* history = nullptr;
  std::int64_t* epoch = nullptr;
  std::int64_t* step = nullptr;
};

// 32 hexadecimal digits of what a graph computes: ops with their attributes, edges, parameters with names and
// types; not the values, the number of rows, the random state. Empty where nothing is recorded.
std::string graph_signature(const Graph& graph);

// Throws FileError where it cannot be written; what was there stays. A process or machine that dies meanwhile
// leaves the old file or the new one, whole.
void save_checkpoint(const TrainingState& state, const std::string& file);
// Sets all that `state` has to what the file says; all is read and checked before anything is changed. Throws
// FileError where the file is damaged, is of another model or optimiser, or lacks something, and where both
// the file and the graph have a signature, and they differ.
void load_checkpoint(const TrainingState& state, const std::string& file, const ReadOptions& options = {});

struct CheckpointOptions {
  int keep = 3;  // this many, the newest, at least 1
};

// The checkpoints of a run, checkpoint-00001234.h5 in a folder of its own; the number is that of the step.
class Checkpoints {
 public:
  // Makes the folder where it is missing. Throws FileError where it cannot be written into.
  explicit Checkpoints(std::string folder, const CheckpointOptions& options = {});

  // Writes the checkpoint of step *state.step, then removes those of the earliest other steps beyond `keep`,
  // and what processes that died left behind.
  void save(const TrainingState& state) const;
  // Loads the newest that is whole; its path, or nothing where there is none. Where the newest is damaged,
  // `skipped` (if given) is told why, and the one before is tried; throws the last FileError where all fail.
  std::optional<std::string> resume(const TrainingState& state, std::vector<std::string>* skipped = nullptr,
                                    const ReadOptions& options = {}) const;
  std::vector<std::string> files() const;  // the oldest first

 private:
  std::string folder_;
  CheckpointOptions options_;
};

}  // namespace weft
