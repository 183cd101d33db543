// A tensor in the middle of a larger one: constant padding, and the gradient of a slice.
#pragma once

#include "weft/tensor.hpp"

namespace weft {

// y of `shape` and x's dtype, which may be any: x from y[begin] on, `value` everywhere else. x must fit.
Tensor surround(const Tensor& x, const Shape& shape, const Ints& begin, double value);

}  // namespace weft
