// Derivatives of vector-valued functions along a line, by differences extrapolated to step 0, with an error
// bar for each output.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "weft/gradcheck.hpp"

namespace weft {

inline constexpr double unit_roundoff_f64 = 0x1p-53;
inline constexpr double unit_roundoff_f32 = 0x1p-24;
inline constexpr double error_bars = 4;  // K: how many error bars a value has to keep away

// Writes the values at t, one for each output.
using VectorFunction = std::function<void(double t, std::span<double> y)>;

struct LadderInput {
  std::span<const double> noise;  // per output; absolute
  std::span<const double> scale;  // per output; of the derivative
  LadderOptions options;          // noise and scale there are not read
};

// g'(0) of every output; all of them share the evaluations of g.
//   h_i = h0 / 2^i,  A[0][i] = (g(h_i) - g(-h_i)) / 2 h_i,  A[j][i] = (4^j A[j-1][i] - A[j-1][i-1]) / (4^j -
//   1) E[j][i] = max(|A[j][i] - A[j-1][i]|, |A[j][i] - A[j-1][i-1]|, |A[j][i] - A[j][i-1]|) + a_j noise / h_i
// and the entry of smallest E is the estimate. One-sided: (g(h) - g(0)) / h, and 2^j in place of 4^j.
std::vector<Estimate> directional_derivatives(const VectorFunction& g, const LadderInput& input);

// The absolute noise of g around 0 (ECnoise: Moré and Wild, SIAM J. Sci. Comput. 33 (2011) 1292).
double measured_noise(const std::function<double(double)>& g);

}  // namespace weft
