// conv2d_weight_gradient(x, gy): the gradient of conv2d(x, w) for w, which is linear in x and in gy.
//   gw[p, q, c, k] = sum of x[n, h, v, c'] gy[n, i, j, k] over conv2d's products with w[p, q, c, k]
//   gx  = conv2d_input_gradient(gy, gg)
//   ggy = conv2d(x, gg)                         gg is like w
// Keeps x where gy is differentiable, gy where x is.
#include <fmt/format.h>

#include "kernels/convolution.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& conv2d_weight_gradient_info();

namespace {

struct Conv2dWeightGradient final : Op {
  Shape w_shape;
  Conv2dOptions options;
  Conv2dWeightGradient(const Shape& w_shape, const Conv2dOptions& options)
      : w_shape(w_shape), options(options) {}

  void backward(const Var&, const Var& gg, Gradients& gx) const override {
    if (gx.wants(0)) gx.set(0, conv2d_input_gradient(gx.input(1), gg, gx.shape(0), options));
    if (gx.wants(1)) gx.set(1, conv2d(gx.input(0), gg, options));
  }
  const OpInfo& info() const override { return conv2d_weight_gradient_info(); }
  double flops(std::span<const TensorType> x, const TensorType& y) const override {
    const Shape& w = y.shape;
    return 2.0 * static_cast<double>(x[1].shape.elements()) * static_cast<double>(w[0] * w[1] * w[2]);
  }
  Attributes attributes() const override {
    Attributes attributes = attributes_of(options);
    attributes.set("w_shape", w_shape.extents());
    return attributes;
  }
};

Samples conv2d_weight_gradient_samples() {
  return samples()
      .shapes({{2, 7, 5, 3}, {2, 5, 4, 2}})
      .with({{"w_shape", {3, 2, 3, 2}}})
      .shapes({{2, 7, 5, 3}, {2, 4, 2, 2}})
      .with({{"w_shape", {3, 2, 3, 2}}, {"stride", {2, 3}}, {"padding", {2, 0, 0, 1}}})
      .shapes({{2, 7, 5, 3}, {2, 4, 2, 2}})
      .with({{"w_shape", {3, 2, 3, 2}}, {"stride", {2, 3}}, {"padding", "same"}})
      .shapes({{2, 5, 7, 2}, {2, 4, 3, 3}})
      .with({{"w_shape", {2, 3, 2, 3}}, {"dilation", {2, 1}}, {"padding", {1, 0, 0, 1}}, {"stride", {1, 2}}})
      .shapes({{2, 5, 3, 4}, {2, 3, 2, 6}})
      .with({{"w_shape", {2, 3, 2, 6}}, {"groups", 2}, {"stride", {2, 1}}, {"padding", {0, 1, 1, 0}}})
      .shapes({{2, 7, 6, 2}, {2, 4, 2, 4}})
      .with({{"w_shape", {2, 2, 1, 4}},
             {"groups", 2},
             {"dilation", {3, 2}},
             {"stride", {2, 3}},
             {"padding", "same"}})
      .shapes({{2, 4, 3, 3}, {2, 3, 3, 3}})  // depthwise
      .with({{"w_shape", {3, 2, 1, 3}}, {"groups", 3}, {"padding", {1, 0, 0, 1}}})
      .shapes({{2, 3, 4, 3}, {2, 2, 3, 3}})
      .with({{"w_shape", {2, 2, 3, 3}}})
      .shapes({{2, 3, 4, 2}, {2, 1, 1, 3}})
      .with({{"w_shape", {3, 4, 2, 3}}})
      .shapes({{2, 7, 8, 2}, {2, 2, 2, 3}})
      .with({{"w_shape", {2, 1, 2, 3}}, {"stride", {4, 5}}})
      .shapes({{1, 3, 4, 16}, {1, 2, 2, 3}})
      .with({{"w_shape", {2, 3, 16, 3}}})
      .shapes({{1, 3, 2, 3}, {1, 2, 1, 17}})
      .with({{"w_shape", {2, 2, 3, 17}}})
      .shapes({{1, 2, 2, 2}, {1, 2, 1, 32}})
      .with({{"w_shape", {1, 2, 2, 32}}})
      .shapes({{0, 5, 4, 2}, {0, 4, 2, 3}})
      .with({{"w_shape", {2, 3, 2, 3}}})
      .shapes({{2, 3, 4, 0}, {2, 2, 2, 2}})
      .with({{"w_shape", {2, 3, 0, 2}}})
      .shapes({{1, 4, 5, 2}, {1, 3, 3, 3}})
      .with({{"w_shape", {2, 3, 2, 3}}})
      .pattern(Pattern::special)
      .throws({{2, 7, 5, 3}, {2, 4, 4, 2}}, "conv2d of x by w [3, 2, 3, 2] is [2, 5, 4, 2], but gy is not")
      .with({{"w_shape", {3, 2, 3, 2}}})
      .throws({{2, 7, 5, 4}, {2, 5, 4, 2}}, "x has 4 channels but w expects 3, w_shape: [3, 2, 3, 2]")
      .with({{"w_shape", {3, 2, 3, 2}}});
}

}  // namespace

Var conv2d_weight_gradient(const Var& x, const Var& gy, const Shape& w_shape, const Conv2dOptions& options,
                           SourceLocation at) {
  constexpr std::string_view name = "conv2d_weight_gradient";
  require_floating(name, {"x", x}, at);
  require_same_dtype(name, {"x", x}, {"gy", gy}, at);
  const std::string problem = convolution_problem(x.shape(), w_shape, options);
  if (!problem.empty()) {
    fail<ShapeError>(name, fmt::format("{}, w_shape: {}", problem, to_string(w_shape)),
                     {{"x", x}, {"gy", gy}}, at);
  }
  const Convolution c = make_convolution(x.shape(), w_shape, options);
  if (gy.shape() != c.y_shape()) {
    fail<ShapeError>(
        name,
        fmt::format("conv2d of x by w {} is {}, but gy is not", to_string(w_shape), to_string(c.y_shape())),
        {{"x", x}, {"gy", gy}}, at);
  }
  Conv2dOptions linear = options;
  linear.relu = false;
  const Saved saved{.operands =
                        (is_differentiable(gy) ? operand(0) : 0) | (is_differentiable(x) ? operand(1) : 0)};
  return record(Conv2dWeightGradient(w_shape, linear), convolution_weight_gradient(c, x.value(), gy.value()),
                {x, gy}, saved, at);
}

const OpInfo& conv2d_weight_gradient_info() {
  static const OpInfo info{
      .name = "conv2d_weight_gradient",
      .group = OpGroup::contraction,
      .arguments = {{.name = "x", .linear = true}, {.name = "gy", .linear = true}},
      .attributes = {{"stride"}, {"padding"}, {"dilation"}, {"groups"}, {"relu", false}, {"w_shape"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return conv2d_weight_gradient(x[0], x[1], Shape(a.find("w_shape")->as<Ints>()),
                                          options_of<Conv2dOptions>(a));
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Shape w_shape(a.find("w_shape")->as<Ints>());
            const Convolution c = make_convolution(x[0].shape(), w_shape, options_of<Conv2dOptions>(a));
            Array<T> gw(w_shape);
            for_each_product(
                c, [&](std::int64_t i, std::int64_t j, std::int64_t o) { gw[j] += x[0][i] * x[1][o]; });
            return gw;
          },
      .samples = conv2d_weight_gradient_samples(),
  };
  return info;
}

}  // namespace weft
