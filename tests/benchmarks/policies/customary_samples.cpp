#include "policies/customary_samples.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "weft/random.hpp"

namespace weft::policies {

namespace {

std::vector<double> counted(int count, int bound) {  // 0, 1, 2 ... below bound, and again
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(i % bound);
  return values;
}

struct Recipe {
  std::string_view op;
  std::vector<Shape> shapes;
  Attributes attributes = {};
  std::vector<double> index = {};  // of the second argument; none: drawn
};

// Of the ops that a square matrix for each argument does not suit.
std::vector<Recipe> recipes() {
  const Shape square{4, 4}, image{2, 6, 6, 3}, filter{3, 3, 3, 4}, y{2, 4, 4, 4}, small{2, 4, 4, 3},
      pooled{2, 3, 3, 3};
  const Ints one{1, 1}, two{2, 2};
  const std::vector<double> positions = counted(54, 16);
  return {
      {"average_pool2d_gradient", {pooled}, {{"window", two}, {"stride", one}, {"x_shape", small.extents()}}},
      {"batch_norm", {square, {4}, {4}}},
      {"broadcast_to", {{4}}, {{"shape", {4, 4}}}},
      {"concat", {square, square}, {{"axis", 0}}},
      {"conv2d", {image, filter, {4}}},
      {"conv2d", {image, filter, {4}}, {{"padding", {1, 1, 1, 1}}}},
      {"conv2d_input_gradient", {y, filter}, {{"x_shape", image.extents()}}},
      {"conv2d_weight_gradient", {image, y}, {{"w_shape", filter.extents()}}},
      {"dropout", {square}, {{"p", 0.5}}},
      {"gather", {square, {4}}},
      {"log_softmax", {square}, {{"axis", -1}}},
      {"max_pool2d_gather", {small, pooled}, {}, positions},
      {"max_pool2d_scatter", {pooled, pooled}, {{"x_shape", small.extents()}}, positions},
      {"pad", {square}, {{"before", one}, {"after", one}}},
      {"pool2d", {small}, {{"window", two}, {"stride", one}}},
      {"pool2d", {small}, {{"kind", "average"}, {"window", two}, {"stride", one}}},
      {"pow", {square}, {{"exponent", 2.0}}},
      {"reshape", {square}, {{"extents", {16}}}},
      {"scale", {square}, {{"factor", 2.0}}},
      {"scatter_add", {square, {4}}, {{"count", 4}}, counted(4, 4)},
      {"shift", {square}, {{"offset", 1.0}}},
      {"slice", {square}, {{"begin", one}, {"size", two}}},
      {"softmax", {square}, {{"axis", -1}}},
      {"softmax_crossentropy", {square, {4}}},
      {"unpad", {{6, 6}}, {{"shape", {4, 4}}, {"before", one}, {"after", one}}},
      {"unslice", {{2, 2}}, {{"shape", {4, 4}}, {"begin", one}, {"size", two}}},
  };
}

Sample made(std::vector<Shape> shapes, const Attributes& attributes = {}) {
  Sample sample;
  sample.shapes = std::move(shapes);
  sample.attributes = attributes;
  return sample;
}

bool is_floating_argument(const Argument& argument) {
  return argument.role == Role::differentiable || argument.role == Role::optional;
}

// Normal numbers that f32 holds; in a one-sided domain their magnitudes, away from its end.
void draw_values(const OpInfo& info, Sample& sample) {
  for (std::size_t i = 0; i < sample.shapes.size(); ++i) {
    const Argument& argument = info.arguments[std::min(i, info.arguments.size() - 1)];
    if (!is_floating_argument(argument)) continue;
    Random random(1, i);
    std::vector<double> values;
    for (std::int64_t k = sample.shapes[i].elements(); k > 0; --k) {
      const double z = random.normal();
      const double value = std::isfinite(argument.domain.low) ? argument.domain.low + 0.5 + std::fabs(z) : z;
      values.push_back(static_cast<double>(static_cast<float>(value)));
    }
    sample.values.emplace_back(static_cast<int>(i), std::move(values));
  }
}

}  // namespace

std::vector<Sample> customary_samples(const OpInfo& info) {
  std::vector<Sample> result;
  if (std::ranges::none_of(info.arguments, is_floating_argument)) return result;
  for (const Recipe& recipe : recipes()) {
    if (recipe.op != info.name) continue;
    result.push_back(made(recipe.shapes, recipe.attributes));
    if (!recipe.index.empty()) result.back().values.emplace_back(1, recipe.index);
  }
  if (result.empty()) result.push_back(made(std::vector<Shape>(info.arguments.size(), {4, 4})));
  for (Sample& sample : result) draw_values(info, sample);
  return result;
}

}  // namespace weft::policies
