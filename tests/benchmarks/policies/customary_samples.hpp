// The samples that ops are customarily tested on: one or two, square extents, stride 1, normal values.
#pragma once

#include <vector>

#include "weft/gradcheck.hpp"

namespace weft::policies {

// Of any op of the library; none for an op without a gradient.
std::vector<Sample> customary_samples(const OpInfo& info);

}  // namespace weft::policies
