// Copies between a dense tensor and elements that are reached through strides; any element type.
#pragma once

#include "weft/tensor.hpp"

namespace weft {

// Elements of a tensor under a shape of their own: the one at `index` lies at offset + sum of index_i
// strides_i, counted in elements. Along an axis of stride 0 all are the same one.
struct StridedView {
  Shape shape;
  Ints strides;
  std::int64_t offset = 0;
};

// The elements of x that the view reaches, dense.
Tensor read_strided(const Tensor& x, const StridedView& view);

// y[view] = x, which has the view's shape and y's dtype; the view may not reach an element twice.
void write_strided(Tensor& y, const StridedView& view, const Tensor& x);
// y[view] += x, likewise; f32 or f64.
void add_strided(Tensor& y, const StridedView& view, const Tensor& x);

}  // namespace weft
