#include "signs_models.hpp"

namespace examples {

using namespace weft;

Recipe seed_recipe(std::uint64_t seed) {
  return {.model = {nn::Conv2d("conv1", 3, 8, {.window = 4, .padding = same, .relu = true, .seed = seed}),
                    nn::Pool2d({.window = 8, .stride = 8, .padding = same}),
                    nn::Conv2d("conv2", 8, 16, {.window = 2, .padding = same, .relu = true, .seed = seed}),
                    nn::Pool2d({.window = 4, .stride = 4, .padding = same}), nn::Flatten(),
                    nn::Linear("dense", 64, 6, {.seed = seed})},
          .learning_rate = 0.01,
          .epochs = 100,
          .batch = 64};
}

Recipe better_recipe(std::uint64_t seed) {
  const auto block = [&](const char* name, int in, int out) {
    return nn::Conv2d(name, in, out, {.window = 3, .padding = same, .relu = true, .seed = seed});
  };
  return {.model = {nn::Pool2d({.window = 2, .kind = PoolKind::average}), block("conv1", 3, 16), nn::Pool2d(),
                    block("conv2", 16, 32), nn::Pool2d(), block("conv3", 32, 64), nn::Pool2d(), nn::Flatten(),
                    nn::Dropout(0.3), nn::Linear("dense1", 1024, 64, {.relu = true, .seed = seed}),
                    nn::Dropout(0.3), nn::Linear("dense2", 64, 6, {.seed = seed})},
          .learning_rate = 2e-3,
          .weight_decay = 1e-4,
          .label_smoothing = 0.05,
          .epochs = 60,
          .batch = 32,
          .warm_up = 100,
          .augmentation = {.shift = 0.1, .rotation = 15, .scale = 0.15, .brightness = 0.15, .contrast = 0.2}};
}

}  // namespace examples
