#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "gradcheck/ladder.hpp"

namespace weft {

namespace {

constexpr std::size_t points = 9;
using Values = std::array<double, points>;

// The standard deviation of independent noise on a smooth function: the k-th differences of the function
// vanish with the spacing, those of the noise grow as (2k)! / k!^2. Negative where they do not show noise.
double deviation(Values values) {
  constexpr std::size_t levels = points - 1;
  constexpr double alike = 4;  // the deviations that three successive differences give
  std::array<double, levels> level{};
  std::array<bool, levels> both_signs{};
  double gamma = 1;
  for (std::size_t k = 0; k < levels; ++k) {
    const std::size_t count = levels - k;
    double squares = 0, low = 0, high = 0;
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = values[i + 1] - values[i];
      squares += values[i] * values[i];
      low = std::min(low, values[i]);
      high = std::max(high, values[i]);
    }
    const auto order = static_cast<double>(k + 1);
    gamma *= order / (2 * (2 * order - 1));  // k!^2 / (2k)!
    level[k] = std::sqrt(gamma * squares / static_cast<double>(count));
    both_signs[k] = low < 0 && high > 0;
  }
  for (std::size_t k = 0; k + 2 < levels; ++k) {
    const auto [low, high] = std::minmax({level[k], level[k + 1], level[k + 2]});
    if (high <= alike * low && (both_signs[k] || high == 0)) return level[k];
  }
  return -1;
}

}  // namespace

double measured_noise(const std::function<double(double)>& g) {
  // A number coarser than f64, such as a sum in f32, makes g a staircase: flat over small spacings, and the
  // first change that shows is the height of a stair.
  double stair = 0;
  bool was_flat = false;
  for (const int exponent : {-43, -38, -33, -28, -23, -18, -13}) {
    Values values{};
    for (std::size_t i = 0; i < points; ++i) {
      values[i] = g(std::ldexp(static_cast<double>(i) - (points - 1) / 2.0, exponent));
    }
    if (!std::ranges::all_of(values, [](double v) { return std::isfinite(v); })) continue;
    std::vector<double> changes;
    for (std::size_t i = 1; i < points; ++i) {
      if (values[i] != values[i - 1]) changes.push_back(std::fabs(values[i] - values[i - 1]));
    }
    const bool is_flat = changes.size() < points / 2;
    if (stair == 0 && (was_flat || is_flat) && !changes.empty()) stair = std::ranges::min(changes);
    was_flat = is_flat;
    const double sigma = is_flat ? -1 : deviation(values);
    if (sigma >= 0) return std::max(stair, 3 * sigma);
  }
  return stair;
}

double rounding_noise(double g, double scale, double step) {
  return 2 * unit_roundoff_f64 * (std::fabs(g) + scale * step);
}

}  // namespace weft
