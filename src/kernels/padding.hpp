// What pad and unpad have in common: sizes, and where padded elements come from.
#pragma once

#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

// `options` for a tensor of `shape`, with before and after given for every axis. Throws ShapeError, in the
// name of `op` and with its argument, where they do not fit.
PadOptions resolve_padding(std::string_view op, const Shape& shape, const PadOptions& options,
                           NamedVar argument, SourceLocation at);

Shape padded_shape(const Shape& shape, const PadOptions& resolved);

// For each position along the padded `axis` the one it is taken from, i64; in the modes reflect and
// replicate.
Tensor padding_sources(std::int64_t extent, const PadOptions& resolved, int axis);

}  // namespace weft
