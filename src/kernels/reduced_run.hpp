// Reductions over axes proceed by runs of neighbouring axes.
#pragma once

#include "weft/shape.hpp"

namespace weft {

// A tensor as [outer, reduced, inner], to become [outer, inner].
struct ReducedRun {
  std::int64_t outer = 1, reduced = 1, inner = 1;
  Shape result = {};  // the reduced axes have extent 1
};

// Calls reduce(run) for one run of `axes`, ascending and normalised, after the other, the last run first;
// each works on the result of the one before.
template <class Reduce>
void for_each_run(const Shape& shape, const Ints& axes, Reduce&& reduce) {
  Ints extents = shape.extents();
  for (int last = axes.size() - 1; last >= 0;) {
    int first = last;
    while (first > 0 && axes[first - 1] == axes[first] - 1) --first;
    ReducedRun run;
    for (int axis = 0; axis < extents.size(); ++axis) {
      (axis < axes[first] ? run.outer : axis <= axes[last] ? run.reduced : run.inner) *= extents[axis];
      if (axis >= axes[first] && axis <= axes[last]) extents[axis] = 1;
    }
    run.result = Shape(extents);
    reduce(run);
    last = first - 1;
  }
}

}  // namespace weft
