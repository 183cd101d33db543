// subtract(a, b): a - b with NumPy's broadcasting.
//   y_i  = a_i - b_i
//   ga_i = gy_i,  gb_i = -gy_i               the engine sums over what was broadcast
// Keeps nothing.
#include <functional>

#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& subtract_info();

namespace {

struct Subtract final : Op {
  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    if (gx.wants(0)) gx.set(0, gy);
    if (gx.wants(1)) gx.set(1, negate(gy));
  }
  const OpInfo& info() const override { return subtract_info(); }
};

}  // namespace

Var subtract(const Var& a, const Var& b, SourceLocation at) {
  require_broadcastable("subtract", {"a", a}, {"b", b}, at);
  return record(Subtract{}, zip(a.value(), b.value(), std::minus<>{}), {a, b}, {}, at);
}

const OpInfo& subtract_info() {
  static const OpInfo info{
      .name = "subtract",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "a", .linear = true}, {.name = "b", .linear = true}},
      .call = [](std::span<const Var> x, const Attributes&) { return subtract(x[0], x[1]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            return zip_reference(x[0], x[1], [](const T& a, const T& b) { return a - b; });
          },
      .samples = broadcasting_samples().throws({{2, 3}, {2, 4}}, "shapes [2, 3] and [2, 4] do not broadcast"),
  };
  return info;
}

}  // namespace weft
