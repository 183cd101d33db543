// Products with few columns, as those of a dense layer with few outputs: a^T b, the gradient of its weights,
// and a b with many rows of b. With AVX2 oneDNN and OpenBLAS fill their registers up with columns that are
// not there, and read a few elements at a time of rows of a transposed a that can lie far apart: of 25
// columns and 12288 rows they make two fifths and seven tenths of a^T b's products a second, four fifths and
// seven tenths of a b's.
#pragma once

#include "kernels/gemm.hpp"

namespace weft {

bool is_thin(const GemmShape& shape);  // and thin_product is faster
// On this thread. The shape is thin, or some rows of such a c, or a range of such a depth.
void thin_product(const GemmShape& shape, const float* a, const float* b, float* c);

}  // namespace weft
