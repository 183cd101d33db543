// Training from a file that need not fit into memory, with checkpoints: killed at any moment and started
// again, it ends with the same weights. Leaves them for Keras too.
#include <filesystem>
#include <weft/weft.hpp>

using namespace weft;

// Points of a spiral with three arms, in chunks that are compressed.
void write_spiral(const std::string& file) {
  constexpr std::int64_t count = 9000;
  Tensor x({count, 2}), y({count}, DType::i64);
  Random random(1);
  for (std::int64_t i = 0; i < count; ++i) {
    const double radius = random.uniform(), turn = radius + static_cast<double>(i % 3) / 3;
    const double angle = 6.2832 * turn + random.normal() * 0.2;
    x.mutable_values<float>()[2 * i] = static_cast<float>(radius * std::cos(angle));
    x.mutable_values<float>()[2 * i + 1] = static_cast<float>(radius * std::sin(angle));
    y.mutable_values<std::int64_t>()[i] = i % 3;
  }
  write_tensors(file, {{"x_train", x}, {"y_train", y}}, {.compression = 1, .chunk_rows = 256});
}

int main(int argc, char** argv) try {
  const std::filesystem::path folder = argc > 1 ? argv[1] : "streaming-out";
  require_writable_folder(folder);
  const std::string file = folder / "spiral.h5";
  if (!std::filesystem::exists(file)) write_spiral(file);

  const auto parts = DataSet(file).split({0.9, 0.1}, 1);  // of x_train and y_train: "x" and "y"
  const ChannelStatistics statistics = channel_statistics(parts[0], "x");
  BatchStream batches(parts[0], {.batch_size = 64, .seed = 1, .memory = 64 << 10});

  const nn::Sequential model{nn::Linear("hidden", 2, 64), nn::Tanh(), nn::Linear("middle", 64, 32),
                             nn::Relu(), nn::Linear("output", 32, 3)};
  Adam adam(parameters_of(model), {.learning_rate = 0.02});
  Graph g;
  std::int64_t epoch = 0, step = 0;
  const TrainingState state{
      .parameters = parameters_of(model), .optimizer = &adam, .graph = &g, .epoch = &epoch, .step = &step};
  const Checkpoints checkpoints(folder / "checkpoints", {.keep = 3});
  if (const auto newest = checkpoints.resume(state)) fmt::print("goes on from {}\n", *newest);

  for (batches.seek(epoch, 0); epoch < 6;) {
    while (const auto batch = batches.next()) {
      g.clear();
      const Var x = g.input(normalize(batch->tensor("x"), statistics), "x");
      g.backward(softmax_crossentropy(model(x), batch->tensor("y")));
      adam.step();
      adam.zero_grad();
      ++step;
    }
    ++epoch;
    checkpoints.save(state);
  }

  double right = 0;
  BatchStream held_out(parts[1], {.batch_size = 1000, .shuffle = false});
  const auto paused = g.pause();
  while (const auto batch = held_out.next()) {
    const Var logits = model(normalize(batch->tensor("x"), statistics));
    right += accuracy(logits.value(), batch->tensor("y")) * static_cast<double>(batch->rows.size());
  }
  save_keras_weights(parameters_of(model), folder / "weights.h5");  // h5py: f["hidden/hidden/kernel:0"]
  fmt::print("accuracy {:.3f}\n", right / static_cast<double>(parts[1].rows()));
} catch (const std::exception& error) {
  fmt::print(stderr, "streaming: {}\n", error.what());
  return 1;
}
