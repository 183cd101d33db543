#include "steps.hpp"

#include <memory>

#include "weft/weft.hpp"

using namespace weft;

namespace {

Tensor random_images(const Shape& shape) { return Random(1, "images").normal(shape, 0, 1); }

Tensor random_labels(std::int64_t count, std::int64_t classes) {
  Tensor labels({count}, DType::i64);
  Random random(1, "labels");
  for (std::int64_t& label : labels.mutable_values<std::int64_t>()) label = random.below(classes);
  return labels;
}

template <class Optimizer, class Options>
Step training(nn::Sequential model, const Shape& x, std::int64_t classes, const Options& options) {
  auto graph = std::make_shared<Graph>();
  auto optimizer = std::make_shared<Optimizer>(parameters_of(model), options);
  return [=, images = random_images(x), labels = random_labels(x[0], classes)] {
    Graph& g = *graph;
    g.clear();
    const Var loss = softmax_crossentropy(model(g.input(images)), g.input(labels));
    g.backward(loss);
    optimizer->step();
    optimizer->zero_grad();
    return loss.item();
  };
}

nn::Conv2d conv(const char* name, std::int64_t in, std::int64_t out, std::int64_t window, Padding padding) {
  return {name, in, out, {.window = window, .padding = padding, .relu = true}};
}
nn::Linear hidden(const char* name, std::int64_t in, std::int64_t out) {
  return {name, in, out, {.relu = true}};
}

nn::Sequential signs_cnn_model() {
  return {conv("conv1", 3, 8, 4, same),
          nn::Pool2d({.window = 8, .stride = 8}),
          conv("conv2", 8, 16, 2, same),
          nn::Pool2d({.window = 4, .stride = 4, .padding = same}),
          nn::Flatten(),
          nn::Linear("dense", 64, 6)};
}

Step signs_cnn() { return training<Adam>(signs_cnn_model(), {64, 64, 64, 3}, 6, AdamOptions{}); }

Step signs_cnn_forward() {
  return [model = signs_cnn_model(), x = Var(random_images({1, 64, 64, 3}))] {
    return static_cast<double>(model(x).value().values<float>()[0]);
  };
}

Step lenet() {
  return training<Sgd>(
      {conv("conv1", 1, 6, 5, 2), nn::Pool2d(), conv("conv2", 6, 16, 5, valid), nn::Pool2d(), nn::Flatten(),
       hidden("dense1", 400, 120), hidden("dense2", 120, 84), nn::Linear("dense3", 84, 10)},
      {64, 28, 28, 1}, 10, SgdOptions{});
}

Step vgg_small() {
  return training<Sgd>(
      {conv("conv1", 3, 64, 3, 1), conv("conv2", 64, 64, 3, 1), nn::Pool2d(), conv("conv3", 64, 128, 3, 1),
       conv("conv4", 128, 128, 3, 1), nn::Pool2d(), conv("conv5", 128, 256, 3, 1),
       conv("conv6", 256, 256, 3, 1), conv("conv7", 256, 256, 3, 1), nn::Pool2d(),
       conv("conv8", 256, 512, 3, 1), conv("conv9", 512, 512, 3, 1), conv("conv10", 512, 512, 3, 1),
       nn::Pool2d(), nn::Flatten(), hidden("dense1", 2048, 512), nn::Linear("dense2", 512, 10)},
      {32, 32, 32, 3}, 10, SgdOptions{});
}

Step mlp() {
  return training<Sgd>(
      {hidden("dense1", 784, 512), hidden("dense2", 512, 512), nn::Linear("dense3", 512, 10)}, {128, 784}, 10,
      SgdOptions{});
}

Step signs_mlp() {
  return training<Adam>({hidden("dense1", 12288, 25), hidden("dense2", 25, 12), nn::Linear("dense3", 12, 6)},
                        {64, 12288}, 6, AdamOptions{});
}

// 500 times tanh(x * 1.01) on 32 values: 1,000 ops, forward and backward.
Step chain() {
  auto graph = std::make_shared<Graph>();
  return [graph, x = Random(1, "x").normal({32}, 0, 1), gy = Tensor::full({32}, 1, DType::f32)] {
    Graph& g = *graph;
    g.clear();
    const Var input = g.input(x);
    Var y = input;
    for (int i = 0; i < 500; ++i) y = tanh(y * 1.01);
    return static_cast<double>(gradient(y, input, {.gy = Var(gy)}).value().values<float>()[0]);
  };
}

}  // namespace

const std::map<std::string, Step (*)()> steps = {
    {"signs_cnn", signs_cnn}, {"lenet", lenet},
    {"vgg_small", vgg_small}, {"mlp", mlp},
    {"signs_mlp", signs_mlp}, {"signs_cnn_forward", signs_cnn_forward},
    {"chain", chain},
};
