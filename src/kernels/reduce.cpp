#include "kernels/reduce.hpp"

#include <algorithm>

#include "kernels/parallel.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

constexpr std::int64_t reduction_grain = 32768;  // elements read

// The sum of a row, in blocks so that rounding errors grow with the number of blocks and not of elements.
template <class T>
WEFT_VECTOR_LOOP T sum_row(const T* x, std::int64_t count) {
  constexpr std::int64_t block = 1024;
  T total = 0;
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t end = std::min(begin + block, count);
    T part = 0;
#pragma omp simd reduction(+ : part)
    for (std::int64_t i = begin; i < end; ++i) part += x[i];
    total += part;
  }
  return total;
}

template <class T>
WEFT_VECTOR_LOOP void add_row(const T* __restrict x, T* __restrict y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] += x[i];
}

// [outer, reduced, inner] -> [outer, inner]
template <class T>
void sum_middle(const T* x, T* y, std::int64_t outer, std::int64_t reduced, std::int64_t inner) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, reduction_grain / std::max<std::int64_t>(1, reduced * inner));
  parallel_for(outer, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o) {
      const T* rows = x + o * reduced * inner;
      if (inner == 1) {
        y[o] = sum_row(rows, reduced);
        continue;
      }
      T* row = y + o * inner;
      std::fill(row, row + inner, T(0));
      for (std::int64_t r = 0; r < reduced; ++r) add_row(rows + r * inner, row, inner);
    }
  });
}

}  // namespace

// One run of neighbouring axes after the other, the last run first.
Tensor reduce_sum(const Tensor& x, const Ints& axes, bool keep_axes) {
  Tensor current = x;
  for (int last = axes.size() - 1; last >= 0;) {
    int first = last;
    while (first > 0 && axes[first - 1] == axes[first] - 1) --first;
    std::int64_t outer = 1, reduced = 1, inner = 1;
    Ints extents = current.shape().extents();
    for (int axis = 0; axis < extents.size(); ++axis) {
      (axis < axes[first] ? outer : axis <= axes[last] ? reduced : inner) *= extents[axis];
      if (axis >= axes[first] && axis <= axes[last]) extents[axis] = 1;
    }
    Tensor next(Shape(extents), x.dtype());
    visit_floating(x.dtype(), [&]<class T>() {
      sum_middle(current.values<T>().data(), next.mutable_values<T>().data(), outer, reduced, inner);
    });
    current = next;
    last = first - 1;
  }
  return current.reshape(reduced_shape(x.shape(), axes, keep_axes).extents());
}

}  // namespace weft
