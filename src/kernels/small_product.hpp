// Products of so few multiplications that a call of a library takes longer than these: of small matrices,
// many of which make a batch, and of a single row with a small dense layer's weights.
#pragma once

#include "kernels/gemm.hpp"

namespace weft {

bool is_small(const GemmShape& shape);  // and small_product is faster
void small_product(const GemmShape& shape, const float* a, const float* b, float* c);

}  // namespace weft
