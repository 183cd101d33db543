// Softmax along an axis. The largest element is subtracted first, so that no exponential overflows:
//   exp(x_i) / sum_j exp(x_j) = exp(x_i - m) / sum_j exp(x_j - m),   m = max_j x_j
// NaN anywhere along the axis makes all of it NaN, and so does +inf.
#pragma once

#include "weft/tensor.hpp"

namespace weft {

Tensor softmax_along(const Tensor& x, int axis);      // f32 or f64; axis normalised
Tensor log_softmax_along(const Tensor& x, int axis);  // likewise

// y_i (gy_i - sum_j gy_j y_j) and gy_i - exp(y_i) sum_j gy_j, of softmax's y and log softmax's: into gy where
// nobody else holds it.
Tensor softmax_gradient_along(const Tensor& y, Tensor gy, int axis);
Tensor log_softmax_gradient_along(const Tensor& y, Tensor gy, int axis);

// The same for one row of neighbouring elements. log softmax_i = x_i - largest - log(sum).
template <class T>
struct RowSum {
  T largest;  // m; -inf of no elements
  T sum;      // of exp(x_j - m)
};
template <class T>
RowSum<T> row_exp_sum(const T* x, std::int64_t count);
template <class T>
void softmax_row(const T* x, T* y, std::int64_t count);

extern template RowSum<float> row_exp_sum(const float*, std::int64_t);
extern template RowSum<double> row_exp_sum(const double*, std::int64_t);
extern template void softmax_row(const float*, float*, std::int64_t);
extern template void softmax_row(const double*, double*, std::int64_t);

// Rows of `extent` elements that are worth a thread.
constexpr std::int64_t softmax_row_grain(std::int64_t extent) { return 1 + 8192 / (extent + 1); }

}  // namespace weft
