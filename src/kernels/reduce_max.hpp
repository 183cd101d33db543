// Largest elements over axes.
#pragma once

#include "weft/tensor.hpp"

namespace weft {

struct Maxima {
  Tensor values;
  Tensor positions;  // i64: where in x, counted in row-major order, each was found
};

// The first largest over `axes`, ascending and normalised, in row-major order; the first NaN is larger than
// all. f32 or f64; where there are results, the reduced axes hold elements. The axes are removed, or kept
// with extent 1.
Maxima reduce_max(const Tensor& x, const Ints& axes, bool keep_axes);

}  // namespace weft
