// What slice and unslice have in common: which elements a slice of a shape takes.
#pragma once

#include "kernels/strided.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

// `options` for a tensor of `shape`, with every axis named: begin counted from the front, size and step
// given. Throws ShapeError, in the name of `op` and with its argument, where the slice reaches outside.
SliceOptions resolve_slice(std::string_view op, const Shape& shape, const SliceOptions& options,
                           NamedVar argument, SourceLocation at);

// The elements of a tensor of `shape` that a resolved slice takes.
StridedView view_of_slice(const Shape& shape, const SliceOptions& resolved);

}  // namespace weft
