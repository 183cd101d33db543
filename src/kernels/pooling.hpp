// Maxima and averages over windows, f32 and f64.
#pragma once

#include "kernels/window.hpp"

namespace weft {

struct Pooling {
  std::int64_t images = 0, channels = 0;
  Window window;
  bool include_padding = false;

  Shape x_shape() const { return {images, window.h.extent, window.w.extent, channels}; }
  Shape y_shape() const { return {images, window.h.positions, window.w.positions, channels}; }
  // What an average over the window at (i, j) divides by.
  std::int64_t divisor(std::int64_t i, std::int64_t j) const {
    const WindowAxis &h = window.h, &w = window.w;
    if (include_padding) return h.taps * w.taps;
    return (h.last_tap(i) - h.first_tap(i)) * (w.last_tap(j) - w.first_tap(j));
  }
};

// What is wrong with pooling x, as an error says it; empty: nothing.
std::string pooling_problem(const Shape& x, const Pool2dOptions& options);
Pooling make_pooling(const Shape& x, const Pool2dOptions& options);

// The largest of each window; NaN is larger than all. Where `index` is given it becomes the winners'
// positions, row times width plus column, i32: of equal ones the first.
Tensor max_pool(const Pooling& p, const Tensor& x, Tensor* index);
Tensor average_pool(const Pooling& p, const Tensor& x);
Tensor average_pool_gradient(const Pooling& p, const Tensor& gy);

// What is wrong with `index`, i32, as winners' positions in images of shape `x`; empty: nothing.
std::string positions_problem(const Shape& index, const Shape& x);
std::string range_problem(const Tensor& index, const Shape& x);

// Zeros of `x_shape` with gy added at `index`, and x read there. Both are [n, oh, ow, c], index as max_pool
// gives it.
Tensor scatter_by_position(const Tensor& gy, const Tensor& index, const Shape& x_shape);
Tensor gather_by_position(const Tensor& x, const Tensor& index);

// Calls f(i, o) for every element x_i in the window of y_o, positions counted row-major, windows and their
// elements row by row: the definition, for references.
template <class F>
void for_each_tap(const Pooling& p, F&& f) {
  const WindowAxis &h = p.window.h, &w = p.window.w;
  for_each_index(p.y_shape(), [&](const Ints& y) {
    const std::int64_t o = ((y[0] * h.positions + y[1]) * w.positions + y[2]) * p.channels + y[3];
    for_each_index({h.taps, w.taps}, [&](const Ints& tap) {
      const std::int64_t row = h.source(y[1], tap[0]), column = w.source(y[2], tap[1]);
      if (h.holds(row) && w.holds(column))
        f(((y[0] * h.extent + row) * w.extent + column) * p.channels + y[3], o);
    });
  });
}

}  // namespace weft
