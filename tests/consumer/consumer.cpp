// Uses every component of an installed weft.
#include <filesystem>
#include <weft/weft.hpp>

using namespace weft;

int main() {
  Parameter w = he_normal("w", {3, 2});
  Graph g;
  const Var x = g.input(Tensor::of<float>({1, 3}, {1, 2, 3}), "x");
  const Var loss = mean(tanh(matmul(x, g.use(w))));
  g.backward(loss);

  const auto folder = std::filesystem::temp_directory_path();
  save_diagram(g, folder / "weft_consumer.svg", {.strict = true});
  save_parameters(std::vector{w}, folder / "weft_consumer.h5");
  const bool right = w.grad().shape() == w.shape() && check_gradients(g, loss);
  fmt::print("{}\n", right ? "gradients agree" : "gradients do not agree");
  return right ? 0 : 1;
}
