// Define a model, differentiate it, train it, check it, draw it.
#include <weft/weft.hpp>

using namespace weft;

int main() {
  const Tensor points = Random(1).uniform({256, 2}, -1, 1);  // inside and outside a circle
  Tensor labels({256}, DType::i64);
  for (std::int64_t i = 0; i < 256; ++i) {
    labels.mutable_values<std::int64_t>()[i] = std::hypot(points.at({i, 0}), points.at({i, 1})) < 0.7;
  }

  Parameter w1 = he_normal("hidden/w", {2, 16}), b1 = zeros("hidden/b", {16});
  Parameter w2 = he_normal("output/w", {16, 2}), b2 = zeros("output/b", {2});
  const auto model = [&](Graph& g) {
    const Var hidden = relu(matmul(g.input(points, "points"), g.use(w1)) + g.use(b1));
    return matmul(hidden, g.use(w2)) + g.use(b2);
  };

  Adam adam({w1, b1, w2, b2}, {.learning_rate = 0.02});
  Graph g;
  for (int step = 0; step < 300; ++step, g.clear()) {
    g.backward(softmax_crossentropy(model(g), labels));  // w1.grad(), b1.grad(), ... are there now
    adam.step();
    adam.zero_grad();
  }

  const Var logits = model(g), loss = softmax_crossentropy(logits, labels);
  fmt::print("loss {:.4f}, accuracy {:.3f}\n", loss.item(), accuracy(logits.value(), labels));
  fmt::print("{}\n", to_text(check_gradients(g, loss)));
  save_diagram(g, "quickstart.svg");
}
