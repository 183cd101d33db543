// Records one op, runs backward and exits: sizes.py measures how long the process takes.
#include "weft/graph.hpp"
#include "weft/ops.hpp"

using namespace weft;

int main() {
  const Parameter w("w", Tensor::full({1}, 3, DType::f32));
  Graph g;
  g.backward(tanh(g.use(w)));
  return w.grad().item() > 0 ? 0 : 1;
}
