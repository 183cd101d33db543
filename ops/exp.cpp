// exp(x): e to the x.
//   y_i  = exp(x_i)
//   gx_i = gy_i y_i
// Keeps y, not x.
#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& exp_info();

namespace {

struct Exponential {
  template <class T>
  T operator()(T x) const {
    return vector_math::exp(x);
  }
};

struct Exp final : Op {
  void backward(const Var& y, const Var& gy, Gradients& gx) const override { gx.set(0, gy * y); }
  const OpInfo& info() const override { return exp_info(); }
};

}  // namespace

Var exp(const Var& x, SourceLocation at) {
  require_floating("exp", {"x", x}, at);
  return record(Exp{}, map(x.value(), Exponential{}), {x}, {.output = true}, at);
}

const OpInfo& exp_info() {
  static const OpInfo info{
      .name = "exp",
      .group = OpGroup::elementwise,
      .arguments = {{"x"}},
      .call = [](std::span<const Var> x, const Attributes&) { return exp(x[0]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            using std::exp;
            return map_reference(x[0], [](const T& v) { return exp(v); });
          },
      .samples =
          moderate_samples().shapes({{5}}).values(0, {-80, 12.5, 80, -20.25, 5}),  // larger ones overflow
  };
  return info;
}

}  // namespace weft
