#include "gradient/fitted.hpp"

#include <fmt/format.h>

#include "weft/ops.hpp"

namespace weft {

static Var undo_broadcast(const Var& g, const Shape& shape) {
  if (!broadcastable_to(shape, g.shape())) {
    throw ShapeError(fmt::format("the rule set a gradient of shape {} for an operand of shape {}",
                                 to_string(g.shape()), to_string(shape)));
  }
  const int added = g.rank() - shape.rank();
  Ints axes;
  for (int axis = 0; axis < g.rank(); ++axis) {
    if (axis < added || shape[axis - added] != g.extent(axis)) axes.push_back(axis);
  }
  const Var summed = axes.empty() ? g : sum(g, {.axes = axes});
  return summed.shape() == shape ? summed : reshape(summed, shape.extents());
}

Var fitted(const Var& g, const TensorType& wanted) {
  if (!g.defined()) throw GraphError("the rule set no gradient for an operand that wants one");
  if (g.dtype() != wanted.dtype) {
    throw DTypeError(fmt::format("the rule set a gradient of {} for an operand of {}", name(g.dtype()),
                                 name(wanted.dtype)));
  }
  return g.shape() == wanted.shape ? g : undo_broadcast(g, wanted.shape);
}

}  // namespace weft
