// conv2d(x, w, b): cross-correlation of images with filters, as every framework's convolution.
//   y[n, i, j, k] = b[k] + sum over p, q, c of x[n, i sh + p dh - top, j sw + q dw - left, c'] w[p, q, c, k]
//       c' = c + (channels per group) (group of k); positions outside the image add nothing
//   gx = conv2d_input_gradient(g, w), gw = conv2d_weight_gradient(x, g), gb = sum of g over n, i, j
//       g = gy, with relu gy where y > 0, else 0
// Keeps x where w is differentiable, w where x is, and y for relu. With relu NaN stays NaN.
#include <fmt/format.h>

#include "kernels/narrow_convolution.hpp"
#include "kernels/relu.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& conv2d_info();

namespace {

struct Conv2d final : Op {
  Conv2dOptions options;
  explicit Conv2d(const Conv2dOptions& options) : options(options) {}

  void backward(const Var& y, const Var& gy, Gradients& gx) const override {
    if (gx.scattered() ||
        (is_first_layer(gx) && narrow::has_faster_gradients(convolution_of(gx), y.dtype()))) {
      auto [gw, gb] = parameter_gradients(y, gy, gx);  // in one pass
      gx.set(1, std::move(gw));
      if (gx.operand_count() == 3) gx.set(2, std::move(gb));
      return;
    }
    const Var g = !options.relu    ? gy
                  : gx.recording() ? relu_gradient(y, gy)
                                   : Var(relu_gradient_kernel(y.value(), gx.take(gy)));
    if (gx.wants(0)) gx.set(0, conv2d_input_gradient(g, gx.input(1), gx.shape(0), options));
    if (gx.wants(1)) gx.set(1, conv2d_weight_gradient(gx.input(0), g, gx.shape(1), options));
    if (gx.operand_count() == 3 && gx.wants(2)) gx.set(2, sum(g, {.axes = {0, 1, 2}}));
  }
  const OpInfo& info() const override { return conv2d_info(); }
  bool reads_scattered(const Gradients& gx) const override { return is_first_layer(gx); }
  double flops(std::span<const TensorType> x, const TensorType& y) const override {
    const double elements = static_cast<double>(y.shape.elements());  // taps on padding count
    const Shape& w = x[1].shape;
    return elements * (2.0 * static_cast<double>(w[0] * w[1] * w[2]) + (x.size() == 3) + options.relu);
  }
  Attributes attributes() const override { return attributes_of(options); }

 private:
  Convolution convolution_of(const Gradients& gx) const {
    return make_convolution(gx.shape(0), gx.shape(1), options);
  }
  narrow::ParameterGradients parameter_gradients(const Var& y, const Var& gy, const Gradients& gx) const {
    const Convolution c = convolution_of(gx);
    const Tensor x = gx.input(0).value();
    if (const ScatteredGradient* at = gx.scattered()) {
      const Tensor g = options.relu ? relu_gradient_kernel(at->y, at->gy) : at->gy;
      return narrow::scattered_parameter_gradients(c, x, g, at->positions);
    }
    return narrow::parameter_gradients(c, x, options.relu ? y.value() : Tensor(), gy.value());
  }
  bool is_first_layer(const Gradients& gx) const {
    return !gx.recording() && !gx.wants(0) && gx.wants(1) && narrow::fits(convolution_of(gx));
  }
};

Convolution require_convolution(const Var& x, const Var& w, const Conv2dOptions& options, SourceLocation at) {
  require_floating("conv2d", {"x", x}, at);
  require_same_dtype("conv2d", {"x", x}, {"w", w}, at);
  const std::string problem = convolution_problem(x.shape(), w.shape(), options);
  if (!problem.empty()) fail<ShapeError>("conv2d", problem, {{"x", x}, {"w", w}}, at);
  return make_convolution(x.shape(), w.shape(), options);
}

Saved saved_by(const Var& x, const Var& w, const Conv2dOptions& options) {
  return {.operands = (is_differentiable(w) ? operand(0) : 0) | (is_differentiable(x) ? operand(1) : 0),
          .output = options.relu};
}

}  // namespace

Var conv2d(const Var& x, const Var& w, const Conv2dOptions& options, SourceLocation at) {
  const Convolution c = require_convolution(x, w, options, at);
  Tensor y = convolution(c, x.value(), w.value(), {}, options.relu);
  return record(Conv2d(options), std::move(y), {x, w}, saved_by(x, w, options), at);
}

Var conv2d(const Var& x, const Var& w, const Var& b, const Conv2dOptions& options, SourceLocation at) {
  const Convolution c = require_convolution(x, w, options, at);
  require_same_dtype("conv2d", {"x", x}, {"b", b}, at);
  if (b.shape() != Shape{c.out_channels}) {
    fail<ShapeError>("conv2d",
                     fmt::format("b must be [{}], one number for each output channel", c.out_channels),
                     {{"x", x}, {"w", w}, {"b", b}}, at);
  }
  Tensor y = convolution(c, x.value(), w.value(), b.value(), options.relu);
  return record(Conv2d(options), std::move(y), {x, w, b}, saved_by(x, w, options), at);
}

namespace {

Samples geometry_samples() {
  return samples()
      .shapes({{2, 5, 4, 3}, {3, 2, 3, 2}, {2}})
      .grid({{"padding", {{0, 0, 0, 0}, {2, 0, 0, 1}, {0, 1, 3, 2}, "same"}}})
      .with({{"stride", {2, 3}}})
      .shapes({{2, 5, 4, 3}, {3, 2, 3, 2}})
      .grid({{"padding", {{0, 0, 0, 0}, {0, 1, 3, 2}, "same"}}})
      .shapes({{2, 5, 7, 2}, {2, 3, 2, 3}, {3}})
      .grid({{"relu", {false, true}}, {"dilation", {{2, 1}, {1, 3}}}})
      .with({{"padding", {1, 0, 2, 1}}, {"stride", {2, 3}}})
      .shapes({{2, 5, 3, 4}, {2, 3, 2, 6}, {6}})
      .grid({{"padding", {{0, 1, 1, 0}, "same"}}})
      .with({{"groups", 2}, {"stride", {2, 1}}})
      .shapes({{2, 4, 3, 3}, {3, 2, 1, 3}, {3}})  // depthwise
      .with({{"groups", 3}, {"padding", {1, 0, 0, 1}}, {"relu", true}})
      .shapes({{2, 3, 4, 3}, {2, 3, 1, 6}})  // depthwise, two outputs each
      .with({{"groups", 3}})
      .shapes({{2, 7, 6, 2}, {2, 2, 1, 4}})
      .with({{"groups", 2}, {"dilation", {3, 2}}, {"stride", {2, 3}}, {"padding", "same"}})
      .shapes({{2, 7, 8, 2}, {2, 1, 2, 3}})  // steps over elements
      .with({{"stride", {3, 4}}, {"padding", {1, 0, 0, 2}}})
      .shapes({{2, 2, 1, 2}, {3, 2, 2, 3}})  // most taps read padding
      .with({{"padding", {3, 2, 1, 4}}, {"stride", {2, 1}}});
}

Samples with_extents(Samples s) {
  return std::move(s)
      .shapes({{2, 4, 3, 3}, {2, 3, 3, 3}})
      .shapes({{2, 3, 4, 2}, {3, 4, 2, 3}, {3}})  // the window is the image
      .shapes({{2, 3, 5, 2}, {1, 1, 2, 3}, {3}})
      .shapes({{1, 1, 1, 1}, {1, 1, 1, 1}})
      .shapes({{1, 2, 4, 16}, {2, 3, 16, 3}})
      .shapes({{1, 3, 2, 3}, {2, 2, 3, 17}, {17}})
      .with({{"relu", true}})
      .shapes({{1, 2, 2, 17}, {1, 2, 17, 16}})
      .shapes({{1, 2, 2, 2}, {1, 2, 2, 32}, {32}})
      .shapes({{1, 2, 2, 32}, {2, 1, 32, 2}})
      .shapes({{0, 5, 4, 2}, {2, 3, 2, 3}, {3}})
      .shapes({{2, 3, 4, 0}, {2, 3, 0, 2}, {2}})
      .shapes({{2, 3, 4, 2}, {2, 3, 2, 0}, {0}})
      .shapes({{1, 4, 5, 2}, {2, 3, 2, 3}, {3}})
      .grid({{"relu", {false, true}}})
      .pattern(Pattern::special)
      .shapes({{1, 4, 5, 2}, {2, 3, 2, 3}, {3}})
      .pattern(Pattern::large);
}

Samples with_errors(Samples s) {
  const std::vector<Shape> fits{{2, 7, 5, 3}, {4, 2, 3, 5}};
  return std::move(s)
      .throws({{2, 7, 5, 3}, {4, 2, 4, 5}}, "x has 3 channels but w expects 4")
      .throws({{2, 7, 5, 6}, {4, 2, 2, 4}}, "x has 3 channels in each of 2 groups but w expects 2")
      .with({{"groups", 2}})
      .throws({{2, 7, 5, 3}, {4, 2, 1, 4}}, "2 groups do not divide the 3 channels of x")
      .with({{"groups", 2}})
      .throws({{2, 7, 5, 4}, {4, 2, 2, 5}}, "2 groups do not divide the 5 output channels of w")
      .with({{"groups", 2}})
      .throws(fits, "groups must be at least 1, found 0")
      .with({{"groups", 0}})
      .throws({{2, 7, 5, 3}, {4, 2, 3, 5}, {4}}, "b must be [5], one number for each output channel")
      .throws({{7, 5, 3}, {4, 2, 3, 5}}, "x must have rank 4, found 3")
      .throws({{2, 7, 5, 3}, {2, 3, 5}}, "w must have rank 4, found 3")
      .throws({{2, 3, 5, 3}, {5, 2, 3, 5}},
              "the window's height 5 is larger than the padded image's 4 (3 + 1)")
      .with({{"padding", {1, 0, 2, 2}}})
      .throws({{2, 7, 5, 3}, {4, 3, 3, 5}},
              "width 7 (3 taps with dilation 3) is larger than the padded image's 6 (5 + 1)")
      .with({{"padding", {0, 0, 1, 0}}, {"dilation", {1, 3}}})
      .throws({{2, 4, 5, 3}, {5, 2, 3, 5}},
              "the window's height 5 is larger than the padded image's 4 (4 + 0)")
      .with({{"stride", {2, 2}}})
      .throws(fits, "stride (1, 0) must be between 1 and 2^31 - 1")
      .with({{"stride", {1, 0}}})
      .throws(fits, "stride (1099511627776, 1) must be between 1 and 2^31 - 1")
      .with({{"stride", {std::int64_t{1} << 40, 1}}})
      .throws(fits, "dilation (-1, 1) must be between 1 and 2^31 - 1")
      .with({{"dilation", {-1, 1}}})
      .throws(fits, "padding (0, -1, 0, 0) must be between 0 and 2^31 - 1")
      .with({{"padding", {0, -1, 0, 0}}})
      .throws({{2, 7, 5, 3}, {0, 2, 3, 5}}, "a window of (0, 2) must be between 1 and 2^31 - 1");
}

}  // namespace

const OpInfo& conv2d_info() {
  static const OpInfo info{
      .name = "conv2d",
      .group = OpGroup::contraction,
      .arguments = {{"x"}, {"w"}, {"b", Role::optional}},
      .attributes = {{"stride"}, {"padding"}, {"dilation"}, {"groups"}, {"relu"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            const auto options = options_of<Conv2dOptions>(a);
            return x.size() == 3 ? conv2d(x[0], x[1], x[2], options) : conv2d(x[0], x[1], options);
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const auto options = options_of<Conv2dOptions>(a);
            const Convolution c = make_convolution(x[0].shape(), x[1].shape(), options);
            Array<T> y(c.y_shape());
            if (x.size() == 3) y = zip_reference(y, x[2], [](const T&, const T& b) { return b; });
            for_each_product(
                c, [&](std::int64_t i, std::int64_t j, std::int64_t o) { y[o] += x[0][i] * x[1][j]; });
            for (std::int64_t o = 0; options.relu && o < y.elements(); ++o) {
              if (y[o] <= T(0.0)) y[o] = T(0.0);
            }
            return y;
          },
      .samples = with_errors(with_extents(geometry_samples())),
      .invariants = {Invariant::batch_equivariant},
  };
  return info;
}

}  // namespace weft
