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
  std::span<const double> scale;  // per output; of the derivative. 0: its own size
  LadderOptions options;          // noise and scale there are not read
};

// g'(0) of every output; all of them share the evaluations of g.
//   h_i = h0 / 2^i
//   A[0][i] = (g(h_i) - g(-h_i)) / 2 h_i
//   A[j][i] = (4^j A[j-1][i] - A[j-1][i-1]) / (4^j - 1)
//   E[j][i] = max(|A[j][i] - A[j-1][i]|, |A[j][i] - A[j-1][i-1]|, |A[j][i] - A[j][i-1]|) + a_j noise / h_i
// and the entry of smallest E with j < i is the estimate. a_j = product of (4^m + 1) / (4^m - 1), m = 1..j.
// One-sided: (g(h) - g(0)) / h, 2^m in place of 4^m, and twice the noise.
//
// An output is done at K E <= detect scale / 100, after 10 rows, or from row 5 on when the diagonal moves by
// more than 2 E. While K E > detect scale / 10 it starts again with h0 / 8, three times at most, beside a
// kink more often. A step is rounded down to a power of two; one at which g is not finite is passed over.
//
// Where `smooth` is not set, the one-sided ladders and the differences over small steps have to confirm the
// estimate within their bars, and the bar covers what the one-sided ones say: at a kink they do not, and the
// error is infinite.
//
// Throws Error where the step is not positive, or noise and scale differ in number.
std::vector<Estimate> directional_derivatives(const VectorFunction& g, const LadderInput& input);

// The absolute noise of g around 0: three standard deviations, by differences of neighbouring values
// (ECnoise: Moré and Wild, SIAM J. Sci. Comput. 33 (2011) 1292). 0 where g is constant around 0.
double measured_noise(const std::function<double(double)>& g);

// The rounding error to expect in g(t), |t| <= step, from g(0) and the size of its derivative. Noise 100
// times above it comes from elsewhere: a cast to f32, or random state.
double rounding_noise(double g, double scale, double step);

}  // namespace weft
