#include "gradcheck/verdict.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace weft {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double structural_zero = 1e-3;  // eta: of its row's and column's largest entry
constexpr std::size_t most_worst = 8;

}  // namespace

Verdict judge(double found, double expected, double error, double scale, double detect) {
  if (found == expected && error == 0) return Verdict::agree;
  const double bar = error_bars * error, threshold = detect * scale;
  if (std::isnan(found) && std::isfinite(expected) && std::isfinite(bar)) return Verdict::disagree;
  const double distance = std::fabs(found - expected);
  if (distance + bar <= threshold) return Verdict::agree;
  if (distance - bar > threshold) return Verdict::disagree;
  return Verdict::unresolved;
}

double resolution(double found, double expected, double error, double scale) {
  if (found == expected && error == 0) return 0;
  const double width = std::fabs(found - expected) + error_bars * error;
  return std::isnan(width) ? infinity : width / scale;
}

std::vector<double> jacobian_scales(std::span<const double> jacobian, std::size_t rows, std::size_t columns) {
  std::vector<double> scales(jacobian.size()), row(rows, 0), column(columns, 0);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      const double entry = jacobian[i * columns + j], size = std::isfinite(entry) ? std::fabs(entry) : 0;
      scales[i * columns + j] = size;
      row[i] = std::max(row[i], size);
      column[j] = std::max(column[j], size);
    }
  }
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      double& scale = scales[i * columns + j];
      scale = std::max(scale, structural_zero * std::max(row[i], column[j]));
    }
  }
  return scales;
}

void Comparison::judge(std::size_t position, double found, double expected, double error, double scale,
                       double detect) {
  add(position, weft::judge(found, expected, error, scale, detect),
      weft::resolution(found, expected, error, scale));
  would_notice = std::max(would_notice, weft::resolution(0, 0, error, scale));
}

void Comparison::add(std::size_t position, Verdict found, double found_resolution) {
  if (std::isnan(found_resolution)) found_resolution = infinity;
  ++compared;
  resolution = std::max(resolution, found_resolution);
  if (found == Verdict::agree) return;
  ++(found == Verdict::disagree ? differing : unresolved);
  if (verdict != Verdict::disagree) verdict = found;

  // What is shown to be wrong comes before what could not be told.
  const Rank rank{found == Verdict::disagree, found_resolution};
  const auto place = std::ranges::find_if(worst_ranks_, [&](const Rank& other) { return rank > other; });
  const auto at = place - worst_ranks_.begin();
  worst_ranks_.insert(place, rank);
  worst.insert(worst.begin() + at, position);
  if (worst.size() > most_worst) {
    worst.pop_back();
    worst_ranks_.pop_back();
  }
}

}  // namespace weft
