// Batch normalisation over all axes but the last. Sums run over fixed parts of the rows in double precision,
// so that any number of threads gives the same.
#pragma once

#include "weft/tensor.hpp"

namespace weft {

// f64 [2, channels]: mean and biased variance of x [.., channels].
Tensor channel_moments(const Tensor& x);

// gamma (x - mean) / sqrt(variance + epsilon) + beta.
Tensor batch_norm_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& moments,
                          double epsilon);

struct BatchNormGradients {
  Tensor gx, ggamma, gbeta;
};
BatchNormGradients batch_norm_backward(const Tensor& x, const Tensor& gamma, const Tensor& moments,
                                       const Tensor& gy, double epsilon);

}  // namespace weft
