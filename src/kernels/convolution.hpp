// Two-dimensional convolution: its geometry, and its kernels: few channels and 3 x 3 filters have paths of
// their own, the others run on oneDNN in f32 and on matrix products in f64.
#pragma once

#include "kernels/window.hpp"

namespace weft {

inline constexpr std::int64_t convolution_grain = 1 << 18;  // products: fewer are not worth a second thread

struct Convolution {
  std::int64_t images = 0, in_channels = 0, out_channels = 0, groups = 1;
  Window window;

  std::int64_t in_per_group() const { return in_channels / groups; }
  std::int64_t out_per_group() const { return out_channels / groups; }
  std::int64_t taps() const {
    return window.h.taps * window.w.taps * in_per_group();
  }  // that make one output
  std::int64_t positions() const { return images * window.h.positions * window.w.positions; }
  std::int64_t products() const { return positions() * taps() * out_channels; }  // those with padding too
  Shape x_shape() const { return {images, window.h.extent, window.w.extent, in_channels}; }
  Shape w_shape() const { return {window.h.taps, window.w.taps, in_per_group(), out_channels}; }
  Shape y_shape() const { return {images, window.h.positions, window.w.positions, out_channels}; }
  bool has_products() const {
    return positions() > 0 && taps() > 0 && out_channels > 0 && x_shape().elements() > 0;
  }
};

// What is wrong with a convolution of x by w, as an error says it; empty: nothing.
std::string convolution_problem(const Shape& x, const Shape& w, const Conv2dOptions& options);
Convolution make_convolution(const Shape& x, const Shape& w, const Conv2dOptions& options);

// y = b + x * w, with an undefined b for none, then max(y, 0) where `relu` is set: NaN stays NaN.
Tensor convolution(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& b, bool relu);
Tensor convolution_input_gradient(const Convolution& c, const Tensor& gy, const Tensor& w);
Tensor convolution_weight_gradient(const Convolution& c, const Tensor& x, const Tensor& gy);

// Calls f(i, j, o) for every product x_i w_j that y_o adds, positions counted row-major: the definition, for
// references.
template <class F>
void for_each_product(const Convolution& c, F&& f) {
  const WindowAxis &h = c.window.h, &w = c.window.w;
  const std::int64_t in = c.in_per_group(), out = c.out_per_group();
  for_each_index(c.y_shape(), [&](const Ints& y) {
    const std::int64_t o = ((y[0] * h.positions + y[1]) * w.positions + y[2]) * c.out_channels + y[3];
    for_each_index({h.taps, w.taps, in}, [&](const Ints& tap) {
      const std::int64_t row = h.source(y[1], tap[0]), column = w.source(y[2], tap[1]);
      if (!h.holds(row) || !w.holds(column)) return;
      const std::int64_t channel = y[3] / out * in + tap[2];
      const std::int64_t i = ((y[0] * h.extent + row) * w.extent + column) * c.in_channels + channel;
      f(i, ((tap[0] * w.taps + tap[1]) * in + tap[2]) * c.out_channels + y[3], o);
    });
  });
}

}  // namespace weft
