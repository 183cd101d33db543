// The gradient that a rule set for an operand, in the operand's type.
#pragma once

#include "weft/graph.hpp"

namespace weft {

// g, summed over the axes along which the operand was stretched. Throws GraphError where there is none,
// DTypeError and ShapeError where it cannot be a gradient of such an operand.
Var fitted(const Var& g, const TensorType& wanted);

}  // namespace weft
