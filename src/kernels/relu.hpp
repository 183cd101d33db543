// relu's gradient, for the rules that need it.
#pragma once

#include "weft/tensor.hpp"

namespace weft {

// gy where y > 0 or NaN, else 0; both of one type. Into gy where nobody else holds it.
Tensor relu_gradient_kernel(const Tensor& y, Tensor gy);

}  // namespace weft
