#include "kernels/convolution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "kernels/elementwise.hpp"
#include "kernels/im2col.hpp"
#include "kernels/narrow_convolution.hpp"
#include "kernels/onednn.hpp"
#include "kernels/parallel.hpp"
#include "kernels/winograd.hpp"

namespace weft {

namespace {

WindowOptions window_options(const Shape& w, const Conv2dOptions& o) {
  return {.taps = {w[0], w[1]}, .stride = o.stride, .padding = o.padding, .dilation = o.dilation};
}

// [images, positions, positions, out_channels], b in every row or zeros.
Tensor bias_rows(const Convolution& c, DType dtype, const Tensor& b) {
  if (!b.defined()) return Tensor::zeros(c.y_shape(), dtype);
  Tensor y(c.y_shape(), dtype);
  visit_floating(dtype, [&]<class T>() {
    const auto row = b.values<T>();
    T* to = y.mutable_values<T>().data();
    for (std::int64_t i = 0; i < c.positions(); ++i) to = std::ranges::copy(row, to).out;
  });
  return y;
}

template <class T>
WEFT_VECTOR_LOOP void raise_to_zero(T* y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = y[i] < T(0) ? T(0) : y[i];
}

void relu_in_place(Tensor& y) {
  visit_floating(y.dtype(), [&]<class T>() {
    T* values = y.mutable_values<T>().data();
    parallel_for(y.elements(), elementwise_grain,
                 [&](std::int64_t begin, std::int64_t end) { raise_to_zero(values + begin, end - begin); });
  });
}

// oneDNN takes every thread for any convolution: few products are left to one.
template <class F>
Tensor by_onednn(const Convolution& c, F&& f) {
  std::optional<OneThread> alone;
  if (c.products() < convolution_grain) alone.emplace();
  return f();
}

bool takes_winograd(const Convolution& c, const Tensor& a, const Tensor& b) {
  return a.dtype() == DType::f32 && winograd::fits(c) && winograd::is_moderate(a) && winograd::is_moderate(b);
}

}  // namespace

std::string convolution_problem(const Shape& x, const Shape& w, const Conv2dOptions& o) {
  if (x.rank() != 4) return fmt::format("x must have rank 4, found {}", x.rank());
  if (w.rank() != 4) return fmt::format("w must have rank 4, found {}", w.rank());
  if (o.groups < 1) return fmt::format("groups must be at least 1, found {}", o.groups);
  if (x[3] % o.groups != 0)
    return fmt::format("{} groups do not divide the {} channels of x", o.groups, x[3]);
  if (w[3] % o.groups != 0)
    return fmt::format("{} groups do not divide the {} output channels of w", o.groups, w[3]);
  if (x[3] / o.groups != w[2]) {
    const std::string per_group = o.groups == 1 ? "" : fmt::format(" in each of {} groups", o.groups);
    return fmt::format("x has {} channels{} but w expects {}", x[3] / o.groups, per_group, w[2]);
  }
  return window_problem({x[1], x[2]}, window_options(w, o));
}

Convolution make_convolution(const Shape& x, const Shape& w, const Conv2dOptions& o) {
  return {.images = x[0],
          .in_channels = x[3],
          .out_channels = w[3],
          .groups = o.groups,
          .window = make_window({x[1], x[2]}, window_options(w, o))};
}

Tensor convolution(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& b, bool relu) {
  if (narrow::is_faster(c, x.dtype())) return narrow::convolution(c, x, w, b, relu, narrow::prefers_pairs(c));
  if (takes_winograd(c, x, w)) return winograd::convolution(c, x, w, b, relu);
  Tensor y;
  if (x.dtype() == DType::f32 && c.has_products()) {
    y = by_onednn(c, [&] { return onednn::convolution(c, x, w, b); });
  } else {
    y = bias_rows(c, x.dtype(), b);
    if (c.has_products()) im2col::add_convolution(c, x, w, y);
  }
  if (relu) relu_in_place(y);
  return y;
}

Tensor convolution_input_gradient(const Convolution& c, const Tensor& gy, const Tensor& w) {
  if (takes_winograd(c, gy, w)) return winograd::input_gradient(c, gy, w);
  if (gy.dtype() == DType::f32 && c.has_products())
    return by_onednn(c, [&] { return onednn::convolution_input_gradient(c, gy, w); });
  Tensor gx = Tensor::zeros(c.x_shape(), gy.dtype());
  if (c.has_products()) im2col::add_input_gradient(c, gy, w, gx);
  return gx;
}

Tensor convolution_weight_gradient(const Convolution& c, const Tensor& x, const Tensor& gy) {
  if (takes_winograd(c, x, gy)) return winograd::weight_gradient(c, x, gy);
  if (x.dtype() == DType::f32 && c.has_products())
    return by_onednn(c, [&] { return onednn::convolution_weight_gradient(c, x, gy); });
  Tensor gw = Tensor::zeros(c.w_shape(), x.dtype());
  if (c.has_products()) im2col::add_weight_gradient(c, x, gy, gw);
  return gw;
}

}  // namespace weft
