// Reductions over axes.
#pragma once

#include "weft/tensor.hpp"

namespace weft {

// Sums over `axes`, ascending and normalised; f32 or f64. The axes are removed, or kept with extent 1.
Tensor reduce_sum(const Tensor& x, const Ints& axes, bool keep_axes);

}  // namespace weft
