// What the training loops of the examples share.
#pragma once

#include <chrono>
#include <weft/nn.hpp>
#include <weft/train.hpp>

namespace examples {

// The logits of a model that is not in training; nothing is recorded.
template <class Model>
weft::Tensor predict(const Model& model, const weft::Tensor& x) {
  weft::Graph g({.training = false});
  const auto paused = g.pause();
  return model(g.input(x)).value();
}

// The averages of an epoch, from those of its batches.
class EpochMeter {
 public:
  explicit EpochMeter(std::int64_t epoch) : epoch_(epoch) {}

  // Takes a batch of `count` images; returns what a progress bar shows of it.
  weft::ProgressValues add(double loss, double accuracy, std::int64_t count) {
    loss_ += loss * static_cast<double>(count);
    right_ += accuracy * static_cast<double>(count);
    count_ += static_cast<double>(count);
    return {.loss = loss_ / count_, .accuracy = right_ / count_};
  }
  weft::EpochResult result(double test_accuracy, double learning_rate) const {
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start_;
    return {epoch_, loss_ / count_, right_ / count_, test_accuracy, learning_rate, taken.count()};
  }

 private:
  std::int64_t epoch_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double loss_ = 0, right_ = 0, count_ = 0;
};

}  // namespace examples
