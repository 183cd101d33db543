// Products a^T b with few columns, as the gradient of the weights of a dense layer with few outputs. With
// AVX2 oneDNN and OpenBLAS fill their registers up with columns that are not there, and read a few elements
// at a time of rows of a that can lie far apart: of 25 columns and 12288 rows they make half and three
// quarters of its products a second.
#pragma once

#include "kernels/gemm.hpp"

namespace weft {

bool is_thin(const GemmShape& shape);  // and thin_product is faster
// On this thread. The shape is thin, or some rows of such a c.
void thin_product(const GemmShape& shape, const float* a, const float* b, float* c);

}  // namespace weft
