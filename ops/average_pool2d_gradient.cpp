// average_pool2d_gradient(gy): the gradient of average pooling, which is linear in gy.
//   gx_i  = sum of gy_o / d(o) over the windows o that hold i         d: as pool2d divides
//   ggy_o = sum over window o of gg_i / d(o): average pooling of gg
#include <fmt/format.h>

#include "kernels/pooling.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& average_pool2d_gradient_info();

namespace {

struct AveragePool2dGradient final : Op {
  Shape x_shape;
  Pool2dOptions options;
  AveragePool2dGradient(const Shape& x_shape, const Pool2dOptions& options)
      : x_shape(x_shape), options(options) {}

  void backward(const Var&, const Var& gg, Gradients& gx) const override { gx.set(0, pool2d(gg, options)); }
  const OpInfo& info() const override { return average_pool2d_gradient_info(); }
  Attributes attributes() const override {
    Attributes attributes = attributes_of(options);
    attributes.set("x_shape", x_shape.extents());
    return attributes;
  }
};

Samples average_pool2d_gradient_samples() {
  return samples()
      .shapes({{2, 2, 2, 3}})
      .with({{"x_shape", {2, 7, 5, 3}}, {"window", {2, 3}}, {"stride", {3, 2}}})
      .shapes({{2, 3, 3, 2}})
      .grid({{"include_padding", {false, true}}})
      .with({{"x_shape", {2, 5, 7, 2}}, {"window", {3, 4}}, {"stride", {2, 3}}, {"padding", {2, 1, 1, 3}}})
      .shapes({{2, 3, 3, 3}})
      .grid({{"include_padding", {false, true}}})
      .with({{"x_shape", {2, 7, 5, 3}}, {"window", {2, 3}}, {"stride", {3, 2}}, {"padding", "same"}})
      .shapes({{2, 2, 4, 2}})
      .with({{"x_shape", {2, 4, 5, 2}}, {"window", {3, 2}}, {"stride", {1, 1}}})
      .shapes({{2, 2, 2, 2}})
      .with({{"x_shape", {2, 7, 8, 2}}, {"window", {2, 1}}, {"stride", {4, 5}}})
      .shapes({{1, 2, 1, 17}})
      .with({{"x_shape", {1, 4, 3, 17}}})
      .shapes({{1, 1, 2, 16}})
      .with({{"x_shape", {1, 2, 3, 16}}, {"stride", {1, 1}}})
      .shapes({{0, 2, 2, 3}})
      .with({{"x_shape", {0, 5, 4, 3}}})
      .shapes({{2, 2, 2, 0}})
      .with({{"x_shape", {2, 5, 4, 0}}})
      .shapes({{1, 3, 2, 3}})
      .with({{"x_shape", {1, 5, 4, 3}}, {"window", {2, 3}}, {"stride", {2, 1}}, {"padding", {0, 1, 0, 0}}})
      .pattern(Pattern::special)
      .throws({{2, 2, 3, 3}}, "pool2d of x [2, 5, 4, 3] is [2, 2, 2, 3], but gy is not")
      .with({{"x_shape", {2, 5, 4, 3}}})
      .throws({{2, 2, 2, 3}}, "the window's width 2 is larger than the padded image's 1 (1 + 0)")
      .with({{"x_shape", {2, 5, 1, 3}}});
}

}  // namespace

Var average_pool2d_gradient(const Var& gy, const Shape& x_shape, const Pool2dOptions& options,
                            SourceLocation at) {
  constexpr std::string_view name = "average_pool2d_gradient";
  require_floating(name, {"gy", gy}, at);
  const std::string problem = pooling_problem(x_shape, options);
  if (!problem.empty()) {
    fail<ShapeError>(name, fmt::format("{}, x_shape: {}", problem, to_string(x_shape)), {{"gy", gy}}, at);
  }
  const Pooling p = make_pooling(x_shape, options);
  if (gy.shape() != p.y_shape()) {
    fail<ShapeError>(
        name, fmt::format("pool2d of x {} is {}, but gy is not", to_string(x_shape), to_string(p.y_shape())),
        {{"gy", gy}}, at);
  }
  Pool2dOptions average = options;
  average.kind = PoolKind::average;
  return record(AveragePool2dGradient(x_shape, average), average_pool_gradient(p, gy.value()), {gy}, {}, at);
}

const OpInfo& average_pool2d_gradient_info() {
  static const OpInfo info{
      .name = "average_pool2d_gradient",
      .group = OpGroup::reduction,
      .arguments = {{.name = "gy", .linear = true}},
      .attributes = {{"kind", false}, {"window"}, {"stride"}, {"padding"}, {"include_padding"}, {"x_shape"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return average_pool2d_gradient(x[0], Shape(a.find("x_shape")->as<Ints>()),
                                           options_of<Pool2dOptions>(a));
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Shape x_shape(a.find("x_shape")->as<Ints>());
            const Pooling p = make_pooling(x_shape, options_of<Pool2dOptions>(a));
            const std::int64_t padded = p.window.h.taps * p.window.w.taps;
            Array<T> gx(x_shape);
            Array<std::int64_t> seen(p.y_shape(), 0);
            for_each_tap(p, [&](std::int64_t, std::int64_t o) { ++seen[o]; });
            for_each_tap(p, [&](std::int64_t i, std::int64_t o) {
              gx[i] += x[0][o] / T(static_cast<double>(p.include_padding ? padded : seen[o]));
            });
            return gx;
          },
      .samples = average_pool2d_gradient_samples(),
  };
  return info;
}

}  // namespace weft
