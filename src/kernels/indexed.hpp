// Moving slices of a tensor by their positions along an axis.
#pragma once

#include "weft/op.hpp"
#include "weft/tensor.hpp"

namespace weft {

// Throws DTypeError where `index` holds no integers, and Error with the first one outside [0, bound) and its
// position.
void require_indices(std::string_view op, NamedVar index, std::int64_t bound, SourceLocation at);

// y[o.., i.., r..] = x[o.., index[i..], r..], the index standing in place of `axis`; any element type. The
// index is integer and inside.
Tensor gather_slices(const Tensor& x, const Tensor& index, int axis);

// Its transpose: zeros of `shape`, to which y[o.., index[i..], r..] += gy[o.., i.., r..]; f32 or f64. Slices
// that meet in one place are added in row-major order of the index.
Tensor scatter_add_slices(const Tensor& gy, const Tensor& index, int axis, const Shape& shape);
void add_slices(Tensor& y, const Tensor& gy, const Tensor& index, int axis);  // the same to y as it is

}  // namespace weft
