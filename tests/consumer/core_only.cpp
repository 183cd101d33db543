// Uses the graph alone: links neither HDF5 nor Graphviz.
#include <weft/gradient.hpp>
#include <weft/ops.hpp>

int main() {
  weft::Graph g;
  const weft::Var x = g.input(weft::Tensor::scalar(3));
  return weft::gradient(x * x, x).item() == 6 ? 0 : 1;
}
