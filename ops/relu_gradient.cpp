// relu_gradient(y, gy): gy where y > 0, else 0; the gradient of relu whose output is y.
//   g_i   = gy_i where y_i > 0, else 0       NaN in y lets gy through, as NaN came from the operand
//   ggy_i = gg_i where y_i > 0, else 0       gy_i enters linearly; the derivative by y is 0 almost everywhere
#include "kernels/relu.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& relu_gradient_info();

namespace {

struct ReluGradient final : Op {
  void backward(const Var&, const Var& gg, Gradients& gx) const override {
    if (gx.wants(0)) gx.set(0, Tensor::zeros(gx.shape(0), gg.dtype()));
    if (gx.wants(1)) gx.set(1, relu_gradient(gx.input(0), gg));
  }
  const OpInfo& info() const override { return relu_gradient_info(); }
};

}  // namespace

Var relu_gradient(const Var& y, const Var& gy, SourceLocation at) {
  require_floating("relu_gradient", {"y", y}, at);
  require_same_dtype("relu_gradient", {"y", y}, {"gy", gy}, at);
  if (y.shape() != gy.shape())
    fail<ShapeError>("relu_gradient", "y and gy differ in shape", {{"y", y}, {"gy", gy}}, at);
  const Saved saved{.operands = is_differentiable(gy) ? operand(0) : 0};
  return record(ReluGradient{}, relu_gradient_kernel(y.value(), gy.value()), {y, gy}, saved, at);
}

const OpInfo& relu_gradient_info() {
  static const OpInfo info{
      .name = "relu_gradient",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "y", .flat = true}, {.name = "gy", .linear = true}},
      .call = [](std::span<const Var> x, const Attributes&) { return relu_gradient(x[0], x[1]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            Array<T> g = x[1];
            for (std::int64_t i = 0; i < g.elements(); ++i) {
              if (x[0][i] <= T(0.0)) g[i] = T(0.0);
            }
            return g;
          },
      .samples = samples()
                     .shapes({{2, 3, 5}, {2, 3, 5}})
                     .shapes({{}, {}})
                     .shapes({{0, 3}, {0, 3}})
                     .shapes({{33}, {33}})
                     .shapes({{4, 17}, {4, 17}})
                     .pattern(Pattern::large)
                     .throws({{2, 3}, {3, 2}}, "y and gy differ in shape"),
  };
  return info;
}

}  // namespace weft
