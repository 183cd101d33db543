// What a user writes: a small CNN, trained. sizes.py measures how long it compiles and which libraries it
// loads.
#include <weft/weft.hpp>

using namespace weft;

int main() {
  const Tensor images = Random(1, "images").uniform({16, 16, 16, 3}, 0, 1);
  Tensor labels({16}, DType::i64);
  for (std::int64_t i = 0; i < 16; ++i)
    labels.mutable_values<std::int64_t>()[static_cast<std::size_t>(i)] = i % 6;

  const nn::Sequential model{nn::Conv2d("conv1", 3, 8, {.padding = same, .relu = true}),
                             nn::Pool2d(),
                             nn::Conv2d("conv2", 8, 16, {.padding = same, .relu = true}),
                             nn::Pool2d(),
                             nn::Flatten(),
                             nn::Linear("dense", 256, 6)};
  Adam adam(parameters_of(model), {.learning_rate = 1e-3});
  Graph g;
  double loss = 0;
  for (int step = 0; step < 20; ++step) {
    g.clear();
    const Var y = softmax_crossentropy(model(g.input(images, "images")), labels);
    g.backward(y);
    adam.step();
    adam.zero_grad();
    loss = y.item();
  }
  fmt::print("loss {:.3f}\n", loss);
}
