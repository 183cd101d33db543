// scale(x, factor): factor x.
//   y_i  = factor x_i                        the factor is rounded to x's dtype
//   gx_i = factor gy_i
// Keeps nothing.
#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& scale_info();

namespace {

struct Times {
  double factor;
  template <class T>
  T operator()(T x) const {
    return static_cast<T>(factor) * x;
  }
};

struct Scale final : Op {
  double factor;
  explicit Scale(double factor) : factor(factor) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    if (gx.recording()) return gx.set(0, scale(gy, factor));
    gx.set(0, map_in_place(gx.take(gy), Times{factor}));
  }
  const OpInfo& info() const override { return scale_info(); }
  Attributes attributes() const override { return {{"factor", factor}}; }
};

}  // namespace

Var scale(const Var& x, double factor, SourceLocation at) {
  require_floating("scale", {"x", x}, at);
  return record(Scale(factor), map(x.value(), Times{factor}), {x}, {}, at);
}

const OpInfo& scale_info() {
  static const OpInfo info{
      .name = "scale",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"factor"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return scale(x[0], a.find("factor")->as<double>()); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const T factor = T(0.0) + T(a.find("factor")->as<double>());  // the sum stands for its rounding
            return map_reference(x[0], [&](const T& v) { return factor * v; });
          },
      .samples = unary_samples()
                     .all()
                     .with({{"factor", -2.5}})
                     .shapes({{3, 17}})
                     .grid({{"factor", {1.01, -0.3, 1e3}}}),
  };
  return info;
}

}  // namespace weft
