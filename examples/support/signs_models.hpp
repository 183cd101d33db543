// The networks of signs.cpp, each with how it is trained.
#pragma once

#include <cstdint>
#include <weft/data.hpp>
#include <weft/nn.hpp>

namespace examples {

struct Recipe {
  weft::nn::Sequential model;
  double learning_rate, weight_decay = 0, label_smoothing = 0;
  std::int64_t epochs, batch, warm_up = 0;
  weft::AugmentOptions augmentation = {};
};

// The seed article's network, as it stands there.
Recipe seed_recipe(std::uint64_t seed);
// Three blocks of 3x3 convolution on half the resolution, dropout, and images that are never the same twice.
Recipe better_recipe(std::uint64_t seed);

}  // namespace examples
