// Products a^T b with few columns, as the gradient of the weights of a dense layer with few outputs. With
// AVX2 oneDNN and OpenBLAS fill their registers up with columns that are not there and read a^T, whose rows
// lie far apart, a few elements at a time: half as fast at 25 columns.
#pragma once

#include "kernels/gemm.hpp"

namespace weft {

bool is_thin(const GemmShape& shape);
void thin_product(const GemmShape& shape, const float* a, const float* b, float* c);  // on this thread

}  // namespace weft
