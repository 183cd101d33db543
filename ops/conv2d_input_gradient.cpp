// conv2d_input_gradient(gy, w): the gradient of conv2d(x, w) for x, which is linear in gy and in w.
//   gx[n, h, v, c'] = sum of gy[n, i, j, k] w[p, q, c, k] over conv2d's products with x[n, h, v, c']
//   ggy = conv2d(gg, w)
//   gw  = conv2d_weight_gradient(gg, gy)        gg is like x
// Keeps gy where w is differentiable, w where gy is.
#include <fmt/format.h>

#include "kernels/convolution.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& conv2d_input_gradient_info();

namespace {

struct Conv2dInputGradient final : Op {
  Shape x_shape;
  Conv2dOptions options;
  Conv2dInputGradient(const Shape& x_shape, const Conv2dOptions& options)
      : x_shape(x_shape), options(options) {}

  void backward(const Var&, const Var& gg, Gradients& gx) const override {
    if (gx.wants(0)) gx.set(0, conv2d(gg, gx.input(1), options));
    if (gx.wants(1)) gx.set(1, conv2d_weight_gradient(gg, gx.input(0), gx.shape(1), options));
  }
  const OpInfo& info() const override { return conv2d_input_gradient_info(); }
  double flops(std::span<const TensorType> x, const TensorType&) const override {
    const Shape& w = x[1].shape;
    return 2.0 * static_cast<double>(x[0].shape.elements()) * static_cast<double>(w[0] * w[1] * w[2]);
  }
  Attributes attributes() const override {
    Attributes attributes = attributes_of(options);
    attributes.set("x_shape", x_shape.extents());
    return attributes;
  }
};

Samples conv2d_input_gradient_samples() {
  return samples()
      .shapes({{2, 5, 4, 2}, {3, 2, 3, 2}})
      .with({{"x_shape", {2, 7, 5, 3}}})
      .shapes({{2, 4, 2, 2}, {3, 2, 3, 2}})
      .with({{"x_shape", {2, 7, 5, 3}}, {"stride", {2, 3}}, {"padding", {2, 0, 0, 1}}})
      .shapes({{2, 4, 2, 2}, {3, 2, 3, 2}})
      .with({{"x_shape", {2, 7, 5, 3}}, {"stride", {2, 3}}, {"padding", "same"}})
      .shapes({{2, 4, 3, 3}, {2, 3, 2, 3}})
      .with({{"x_shape", {2, 5, 7, 2}}, {"dilation", {2, 1}}, {"padding", {1, 0, 0, 1}}, {"stride", {1, 2}}})
      .shapes({{2, 3, 2, 6}, {2, 3, 2, 6}})
      .with({{"x_shape", {2, 5, 3, 4}}, {"groups", 2}, {"stride", {2, 1}}, {"padding", {0, 1, 1, 0}}})
      .shapes({{2, 4, 2, 4}, {2, 2, 1, 4}})
      .with({{"x_shape", {2, 7, 6, 2}},
             {"groups", 2},
             {"dilation", {3, 2}},
             {"stride", {2, 3}},
             {"padding", "same"}})
      .shapes({{2, 3, 3, 3}, {3, 2, 1, 3}})  // depthwise
      .with({{"x_shape", {2, 4, 3, 3}}, {"groups", 3}, {"padding", {1, 0, 0, 1}}})
      .shapes({{2, 2, 3, 3}, {2, 2, 3, 3}})
      .with({{"x_shape", {2, 3, 4, 3}}})
      .shapes({{2, 1, 1, 3}, {3, 4, 2, 3}})
      .with({{"x_shape", {2, 3, 4, 2}}})
      .shapes({{2, 2, 2, 3}, {2, 1, 2, 3}})
      .with({{"x_shape", {2, 7, 8, 2}}, {"stride", {4, 5}}})
      .shapes({{1, 2, 2, 3}, {2, 3, 16, 3}})
      .with({{"x_shape", {1, 3, 4, 16}}})
      .shapes({{1, 2, 1, 17}, {2, 2, 3, 17}})
      .with({{"x_shape", {1, 3, 2, 3}}})
      .shapes({{1, 2, 1, 32}, {1, 2, 2, 32}})
      .with({{"x_shape", {1, 2, 2, 2}}})
      .shapes({{0, 4, 2, 3}, {2, 3, 2, 3}})
      .with({{"x_shape", {0, 5, 4, 2}}})
      .shapes({{2, 2, 2, 0}, {2, 3, 2, 0}})
      .with({{"x_shape", {2, 3, 4, 2}}})
      .shapes({{1, 3, 3, 3}, {2, 3, 2, 3}})
      .with({{"x_shape", {1, 4, 5, 2}}})
      .pattern(Pattern::special)
      .throws({{2, 4, 4, 2}, {3, 2, 3, 2}}, "conv2d of x [2, 7, 5, 3] by w is [2, 5, 4, 2], but gy is not")
      .with({{"x_shape", {2, 7, 5, 3}}})
      .throws({{2, 5, 4, 2}, {3, 2, 3, 2}}, "x has 4 channels but w expects 3, x_shape: [2, 7, 5, 4]")
      .with({{"x_shape", {2, 7, 5, 4}}});
}

}  // namespace

Var conv2d_input_gradient(const Var& gy, const Var& w, const Shape& x_shape, const Conv2dOptions& options,
                          SourceLocation at) {
  constexpr std::string_view name = "conv2d_input_gradient";
  require_floating(name, {"gy", gy}, at);
  require_same_dtype(name, {"gy", gy}, {"w", w}, at);
  const std::string problem = convolution_problem(x_shape, w.shape(), options);
  if (!problem.empty()) {
    fail<ShapeError>(name, fmt::format("{}, x_shape: {}", problem, to_string(x_shape)),
                     {{"gy", gy}, {"w", w}}, at);
  }
  const Convolution c = make_convolution(x_shape, w.shape(), options);
  if (gy.shape() != c.y_shape()) {
    fail<ShapeError>(
        name,
        fmt::format("conv2d of x {} by w is {}, but gy is not", to_string(x_shape), to_string(c.y_shape())),
        {{"gy", gy}, {"w", w}}, at);
  }
  Conv2dOptions linear = options;
  linear.relu = false;
  const Saved saved{.operands =
                        (is_differentiable(w) ? operand(0) : 0) | (is_differentiable(gy) ? operand(1) : 0)};
  return record(Conv2dInputGradient(x_shape, linear), convolution_input_gradient(c, gy.value(), w.value()),
                {gy, w}, saved, at);
}

const OpInfo& conv2d_input_gradient_info() {
  static const OpInfo info{
      .name = "conv2d_input_gradient",
      .group = OpGroup::contraction,
      .arguments = {{.name = "gy", .linear = true}, {.name = "w", .linear = true}},
      .attributes = {{"stride"}, {"padding"}, {"dilation"}, {"groups"}, {"relu", false}, {"x_shape"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return conv2d_input_gradient(x[0], x[1], Shape(a.find("x_shape")->as<Ints>()),
                                         options_of<Conv2dOptions>(a));
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Shape x_shape(a.find("x_shape")->as<Ints>());
            const Convolution c = make_convolution(x_shape, x[1].shape(), options_of<Conv2dOptions>(a));
            Array<T> gx(x_shape);
            for_each_product(
                c, [&](std::int64_t i, std::int64_t j, std::int64_t o) { gx[i] += x[0][o] * x[1][j]; });
            return gx;
          },
      .samples = conv2d_input_gradient_samples(),
  };
  return info;
}

}  // namespace weft
