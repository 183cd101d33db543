// relu(x): max(x, 0), element by element.
//   y_i  = max(x_i, 0)
//   gx_i = gy_i where y_i > 0, else 0        at x_i = 0 the gradient is 0
// NaN stays NaN. Keeps y, not x.
#include "kernels/relu.hpp"

#include "kernels/elementwise.hpp"
#include "kernels/pooling.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& relu_info();

namespace {

struct Positive {
  template <class T>
  T operator()(T x) const {
    return x < T(0) ? T(0) : x;
  }
};

struct Relu final : Op {
  void backward(const Var& y, const Var& gy, Gradients& gx) const override {
    if (gx.scattered()) return pass_on(*gx.scattered(), gx);
    gx.set(0, gx.recording() ? relu_gradient(y, gy) : relu_gradient_kernel(y.value(), gx.take(gy)));
  }
  const OpInfo& info() const override { return relu_info(); }
  bool reads_scattered(const Gradients&) const override { return true; }

 private:
  // Where the gradient is not zero x is y.
  static void pass_on(const ScatteredGradient& at, Gradients& gx) {
    const Tensor g = relu_gradient_kernel(at.y, at.gy);
    if (gx.takes_scattered(0))
      gx.set_scattered(0, {g, at.positions, at.y});
    else
      gx.set(0, scatter_by_position(g, at.positions, gx.shape(0)));
  }
};

}  // namespace

Var relu(const Var& x, SourceLocation at) {
  require_floating("relu", {"x", x}, at);
  return record(Relu{}, map(x.value(), Positive{}), {x}, {.output = true}, at);
}

const OpInfo& relu_info() {
  static const OpInfo info{
      .name = "relu",
      .group = OpGroup::elementwise,
      .arguments = {{"x"}},
      .call = [](std::span<const Var> x, const Attributes&) { return relu(x[0]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            Array<T> y = x[0];
            for (std::int64_t i = 0; i < y.elements(); ++i) {
              if (y[i] <= T(0.0)) y[i] = T(0.0);
            }
            return y;
          },
      .samples =
          unary_samples().shapes({{4, 17}}).pattern(Pattern::zeros).shapes({{7}}).pattern(Pattern::negative),
  };
  return info;
}

}  // namespace weft
