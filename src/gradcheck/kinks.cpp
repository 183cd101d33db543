#include "gradcheck/kinks.hpp"

#include <algorithm>
#include <cmath>

namespace weft {

namespace {

// Compares decisions at +-step with those at 0.
class Decisions {
 public:
  explicit Decisions(const std::function<Trace(double t)>& trace_at) : trace_at_(trace_at), here_(at(0)) {}

  const Trace& here() const { return here_; }
  int traces() const { return traces_; }
  bool kept(double t) { return at(t).signature == here_.signature; }

 private:
  Trace at(double t) {
    ++traces_;
    return trace_at_(t);
  }

  const std::function<Trace(double t)>& trace_at_;
  int traces_ = 0;
  Trace here_;
};

}  // namespace

StepChoice choose_step(const std::function<Trace(double t)>& trace_at, double most_u, double most_step) {
  if (most_step < smallest_step) return {};
  Decisions decisions(trace_at);
  const double room = decisions.here().margin / (2 * most_u);  // infinite without decisions
  const double most = room < most_step ? room : most_step;
  double step = std::max(std::exp2(std::floor(std::log2(most))), smallest_step);

  // On a kink both ends of a step may decide as x does while the points near x do not.
  const bool on_kink = decisions.here().ties > 0;
  bool right = decisions.kept(step), left = decisions.kept(-step);
  if (on_kink || !right || !left) {
    const bool right_near = step == smallest_step ? right : decisions.kept(smallest_step);
    const bool left_near = step == smallest_step ? left : decisions.kept(-smallest_step);
    while (step > smallest_step && ((right_near && !right) || (left_near && !left))) {
      step /= 2;
      right = !right_near || decisions.kept(step);
      left = !left_near || decisions.kept(-step);
    }
    right = right_near;
    left = left_near;
    // A margin below the smallest step is of a kink beside x, which does not bound the other side.
    if (room < smallest_step && right != left) {
      while (2 * step <= most_step && decisions.kept(right ? 2 * step : -2 * step)) step *= 2;
    }
  }
  StepChoice choice{.step = step, .found = right || left, .traces = decisions.traces()};
  if (!choice.found) choice.step = 0;
  if (right != left) choice.side = right ? Side::right : Side::left;
  return choice;
}

}  // namespace weft
