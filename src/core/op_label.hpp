// An op and what matters of its attributes: "conv2d 4x4 same", "pool2d max 8x8 /8", "scale 1.01", "flatten
// (view)". Left out is what the output type tells already and what changes nothing (stride 1, no padding).
#pragma once

#include <string>

#include "weft/op_info.hpp"

namespace weft {

std::string op_label(const OpInfo& info, const Attributes& attributes, std::span<const TensorType> operands);

}  // namespace weft
