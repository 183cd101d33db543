// Prints loss and gradients of the seed article's CNN in f64 on numbers that NumPy draws too; signs_cnn.py
// compares them with PyTorch's.
#include <weft/weft.hpp>

using namespace weft;

namespace {

Tensor draw(NumpyRandom& random, const Shape& shape, double factor) {
  Tensor tensor = random.randn(shape);
  for (double& value : tensor.mutable_values<double>()) value *= factor;
  return tensor;
}

void print(std::string_view name, const Tensor& tensor) {
  fmt::print("{}", name);
  for (const double value : tensor.values<double>()) fmt::print(" {:.17g}", value);
  fmt::print("\n");
}

}  // namespace

int main() {
  NumpyRandom random(1);
  const Tensor images = draw(random, {4, 64, 64, 3}, 1);
  std::vector<Parameter> p;
  p.emplace_back("conv1/w", draw(random, {4, 4, 3, 8}, 0.2));
  p.emplace_back("conv1/b", draw(random, {8}, 0.1));
  p.emplace_back("conv2/w", draw(random, {2, 2, 8, 16}, 0.2));
  p.emplace_back("conv2/b", draw(random, {16}, 0.1));
  p.emplace_back("dense/w", draw(random, {64, 6}, 0.2));
  p.emplace_back("dense/b", draw(random, {6}, 0.1));
  const Tensor labels = Tensor::of<std::int64_t>({4}, {0, 5, 2, 2});

  Graph g;
  const Var x = g.input(images, "x");
  Var h = relu(conv2d(x, g.use(p[0]), g.use(p[1]), {.padding = same}));
  h = pool2d(h, {.window = 8, .stride = 8, .padding = same});
  h = relu(conv2d(h, g.use(p[2]), g.use(p[3]), {.padding = same}));
  h = pool2d(h, {.window = 4, .stride = 4, .padding = same});
  const Var loss = softmax_crossentropy(matmul(flatten(h), g.use(p[4])) + g.use(p[5]), labels);
  print("loss", loss.value());
  print("x", gradient(loss, x).value());
  g.backward(loss);
  for (const Parameter& parameter : p) print(parameter.name(), parameter.grad());
}
