// What the naive rules and kernels of the planted bugs have in common: arrays of doubles instead of tensors,
// and the geometry of windows by its definition.
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradcheck/reference_replay.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

using Numbers = Array<double>;

inline Numbers numbers(const Var& x) { return to_array<double>(x.value()); }
inline Numbers numbers(const Tensor& x) { return to_array<double>(x); }

// Of the op that y is a node of, as it was recorded.
inline Attributes node_attributes(const Var& y) { return y.graph()->op(y.id())->attributes(); }

// f(x_i) as a tensor like x.
template <class F>
Tensor map_numbers(const Tensor& x, F&& f) {
  return to_tensor(map_reference(numbers(x), f), x.dtype());
}

// An op whose rule computes on arrays, which record nothing, has no second order.
inline OpInfo first_order(OpInfo info) {
  info.twice_differentiable = false;
  return info;
}

// One axis of a window that slides over an image.
struct Axis {
  std::int64_t extent = 0, taps = 1, stride = 1, dilation = 1, before = 0, after = 0, positions = 0;

  std::int64_t reach() const { return (taps - 1) * dilation + 1; }
  std::int64_t source(std::int64_t position, std::int64_t tap) const {
    return position * stride + tap * dilation - before;
  }
  bool holds(std::int64_t source) const { return source >= 0 && source < extent; }
};
struct Axes {
  Axis h, w;
};

inline Axis place(Axis axis, bool same) {
  if (same) {
    axis.positions = (axis.extent + axis.stride - 1) / axis.stride;
    const std::int64_t padding = (axis.positions - 1) * axis.stride + axis.reach() - axis.extent;
    axis.before = std::max<std::int64_t>(padding, 0) / 2;
    axis.after = std::max<std::int64_t>(padding, 0) - axis.before;
  } else {
    axis.positions = (axis.extent + axis.before + axis.after - axis.reach()) / axis.stride + 1;
  }
  return axis;
}

inline Axes place(const Shape& x, Size2 taps, Size2 stride, Size2 dilation, const Padding& padding) {
  const bool same = padding.kind == Padding::Kind::same;
  return {place({x[1], taps.h, stride.h, dilation.h, padding.top, padding.bottom}, same),
          place({x[2], taps.w, stride.w, dilation.w, padding.left, padding.right}, same)};
}

// M48: a kernel whose number of positions, (n + padding - f) / stride + 1, is rounded towards 0, so that -1 /
// 2 leaves one position for a window that is larger than the padded image. `axes` and `channels` (of y)
// belong to x where that has rank 4.
inline bool has_room_by_rounding(const Axes& axes) {
  const auto misses = [](const Axis& axis) {
    return axis.extent + axis.before + axis.after < axis.reach() && axis.positions > 0;
  };
  return (misses(axes.h) && axes.w.positions > 0) || (misses(axes.w) && axes.h.positions > 0);
}
inline Tensor value_by_rounding(const Tensor& x, const Axes& axes, std::int64_t channels) {
  return Tensor::zeros({x.extent(0), axes.h.positions, axes.w.positions, channels}, x.dtype());
}

}  // namespace weft
