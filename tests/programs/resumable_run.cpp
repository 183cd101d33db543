// resumable_run FOLDER STEPS: trains a small network with everything that has state, goes on from the newest
// checkpoint in FOLDER, saves one at every step, and at the end its parameters as FOLDER/final.h5. Killed at
// any moment and started again, it ends with the same bits. Exit status 3: a checkpoint was not whole.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <weft/weft.hpp>

using namespace weft;

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  const std::string folder = argv[1];
  const std::int64_t steps = std::atoll(argv[2]);
  Random random(7, "augmentation");
  const Tensor images = Random(1, "images").uniform({96, 6, 6, 2}, -1, 1);
  Tensor labels({96}, DType::i64);
  for (std::int64_t i = 0; i < 96; ++i)
    labels.mutable_values<std::int64_t>()[static_cast<std::size_t>(i)] = i % 3;
  const DataSet data({{"x", images}, {"y", labels}});
  const nn::Sequential model{nn::Conv2d("conv", 2, 4, {.padding = same}),
                             nn::BatchNorm("norm", 4),
                             nn::Relu(),
                             nn::Flatten(),
                             nn::Dropout(0.3),
                             nn::Linear("head", 144, 3)};
  const auto parameters = parameters_of(model);

  Graph g({.seed = 5});
  Adam adam(parameters);
  Schedule schedule = CosineSchedule{0.01, steps, 3};
  History history;
  std::int64_t step = 0, epoch = 0;
  const TrainingState state{.parameters = parameters,
                            .optimizer = &adam,
                            .schedule = &schedule,
                            .graph = &g,
                            .random = {{"augmentation", &random}},
                            .history = &history,
                            .epoch = &epoch,
                            .step = &step};
  const Checkpoints checkpoints(folder + "/checkpoints");
  std::vector<std::string> skipped;
  checkpoints.resume(state, &skipped);
  for (const std::string& problem : skipped) fmt::print(stderr, "{}\n", problem);
  if (!skipped.empty()) return 3;

  BatchStream batches(data, {.batch_size = 16, .seed = 3});
  batches.seek(step / batches.batches_per_epoch(), step % batches.batches_per_epoch());
  while (step < steps) {
    const auto batch = batches.next();
    if (!batch) {
      history.push_back({.epoch = ++epoch});
      continue;
    }
    g.clear();
    const Tensor x = augment(batch->tensor("x"), {.shift = 0.1, .brightness = 0.1, .flip = true}, random);
    g.backward(softmax_crossentropy(model(g.input(x)), batch->tensor("y")));
    adam.set_learning_rate(learning_rate(schedule, step));
    adam.step();
    adam.zero_grad();
    ++step;
    checkpoints.save(state);
  }
  save_parameters(parameters, folder + "/final.h5");
} catch (const FileError& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 3;
}
