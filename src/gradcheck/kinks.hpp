// Where a difference may step without crossing a kink: the decisions that a reference takes on Traced tell.
#pragma once

#include <functional>

#include "weft/gradcheck.hpp"

namespace weft {

inline constexpr double smallest_step = 0x1p-18;

struct StepChoice {
  double step = 0;  // a power of two
  Side side = Side::both;
  bool found = false;  // neither side has room down to smallest_step: the point is to be drawn anew
  int traces = 0;
};

// The largest step over which x keeps its decisions, from the traces of f(x + t u). `most_u` is the largest
// |u_j|. It starts at margin / (2 most_u) and halves; where x lies on a kink, the side of the branch taken is
// left, and a one-sided difference there tests the convention at the kink. For one op equal decisions at both
// ends exclude a kink in between, as every region of equal decisions is convex; for a composed function they
// make it unlikely.
StepChoice choose_step(const std::function<Trace(double t)>& trace_at, double most_u,
                       double most_step = 0.25);

}  // namespace weft
