// divide(a, b): a / b, element by element, with NumPy's broadcasting.
//   y_i  = a_i / b_i
//   ga_i = gy_i / b_i,  gb_i = -ga_i y_i     the engine sums over what was broadcast
// At b_i = 0 it follows IEEE 754: infinity of the sign of a_i, NaN for 0 / 0. Keeps b, and y where b needs a
// gradient.
#include <functional>

#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& divide_info();

namespace {

struct Divide final : Op {
  void backward(const Var& y, const Var& gy, Gradients& gx) const override {
    const Var ga = gy / gx.input(1);
    if (gx.wants(0)) gx.set(0, ga);
    if (gx.wants(1)) gx.set(1, -(ga * y));
  }
  const OpInfo& info() const override { return divide_info(); }
};

}  // namespace

Var divide(const Var& a, const Var& b, SourceLocation at) {
  require_broadcastable("divide", {"a", a}, {"b", b}, at);
  const Saved saved{.operands = operand(1), .output = is_differentiable(b)};
  return record(Divide{}, zip(a.value(), b.value(), std::divides<>{}), {a, b}, saved, at);
}

const OpInfo& divide_info() {
  static const OpInfo info{
      .name = "divide",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "a", .linear = true}, {.name = "b", .domain = Domain::positive()}},
      .call = [](std::span<const Var> x, const Attributes&) { return divide(x[0], x[1]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            return zip_reference(x[0], x[1], [](const T& a, const T& b) { return a / b; });
          },
      .samples = broadcasting_samples()
                     .shapes({{2, 3}, {2, 3}})
                     .values(1, {-1.5, 2.25, -0.75, 3, -2.5, 0.625})
                     .shapes({{5, 1}, {3}})
                     .values(1, {-1.25, 1.75, -3})
                     .throws({{2, 3}, {2, 4}}, "shapes [2, 3] and [2, 4] do not broadcast"),
  };
  return info;
}

}  // namespace weft
