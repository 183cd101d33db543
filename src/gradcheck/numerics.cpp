#include "gradcheck/numerics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace weft {

namespace {
constexpr double safety = 4;  // K: how many error bars a value has to keep away
}

Difference central_difference(const std::function<double(double)>& g, double h, double noise) {
  const auto difference = [&](double step) { return (g(step) - g(-step)) / (2 * step); };
  const double d0 = difference(h), d1 = difference(h / 2), d2 = difference(h / 4);
  const double coarse = (4 * d1 - d0) / 3, fine = (4 * d2 - d1) / 3;
  const double value = (16 * fine - coarse) / 15;
  return {value, std::max(std::fabs(value - fine), std::fabs(value - coarse) / 16) + 8 * noise / h};
}

Difference affine_difference(const std::function<double(double)>& g, double noise) {
  return {(g(1) - g(-1)) / 2, noise};
}

Verdict judge(double found, const Difference& expected, double scale, double detect) {
  const double distance = std::fabs(found - expected.value), bar = safety * expected.error,
               threshold = detect * scale;
  if (distance + bar <= threshold) return Verdict::agree;
  if (distance - bar > threshold) return Verdict::disagree;
  return std::isfinite(expected.value) && !std::isfinite(found) ? Verdict::disagree : Verdict::unresolved;
}

double resolution(double found, const Difference& expected, double scale) {
  const double width = std::fabs(found - expected.value) + safety * expected.error;
  return width == 0 ? 0 : width / scale;
}

// Whether g has a kink or a jump between -h and h: J(h) = (g(h) - 2 g(0) + g(-h)) / h halves with h where g
// is smooth.
static bool suspects_kink(const std::function<double(double)>& g, double h, double noise) {
  const double twice = 2 * g(0);
  const double wide = std::fabs(g(h) - twice + g(-h)) / h;
  const double narrow = std::fabs(g(h / 2) - twice + g(-h / 2)) / (h / 2);
  return narrow > 0.75 * wide && narrow > 16 * noise / h;
}

// A kink inside the step can look like a wrong gradient with a small bar: such a step says nothing, and no
// step is believed alone. A wider bar never turns into agreement.
Judged judge_difference(double found, const std::function<double(double)>& g, double noise, double scale,
                        double step, double detect) {
  Judged best;
  int disagreements = 0;
  for (double h = step; h >= 0x1p-26; h /= 8) {
    const Difference expected = central_difference(g, h, noise);
    const double s = std::max({scale, std::fabs(expected.value), std::fabs(found)});
    const Verdict verdict = judge(found, expected, s, detect);
    if (h == step || !(expected.error >= best.expected.error)) {
      best = {verdict, resolution(found, expected, s), expected};
    }
    if (verdict == Verdict::agree) return {verdict, resolution(found, expected, s), expected};
    disagreements += verdict == Verdict::disagree && !suspects_kink(g, h, noise);
  }
  best.verdict = disagreements >= 2 ? Verdict::disagree : Verdict::unresolved;
  return best;
}

Finding Worst::finding(std::string check, std::string op, std::string argument, std::string sample) const {
  Finding finding;
  finding.check = std::move(check);
  finding.verdict = verdict_;
  finding.op = std::move(op);
  finding.argument = std::move(argument);
  finding.sample = std::move(sample);
  finding.resolution = resolution_;
  if (verdict_ != Verdict::agree)
    finding.summary = fmt::format("{} of {} entries; {}", failures_, comparisons_, details_);
  return finding;
}

std::string index_text(const Shape& shape, std::int64_t i) {
  Ints index = Ints::filled(shape.rank(), 0);
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    index[axis] = i % shape[axis];
    i /= shape[axis];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

}  // namespace weft
