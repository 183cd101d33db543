#include "gradient/scattered.hpp"

#include "kernels/pooling.hpp"

namespace weft {

Tensor ScatteredGradients::take_written(NodeId n, const Shape& shape) {
  const ScatteredGradient& gradient = find(n)->gradient;
  Tensor written = scatter_by_position(gradient.gy, gradient.positions, shape);
  drop(n);
  return written;
}

}  // namespace weft
