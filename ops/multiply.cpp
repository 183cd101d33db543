// multiply(a, b): a b, element by element, with NumPy's broadcasting.
//   y_i  = a_i b_i
//   ga_i = gy_i b_i,  gb_i = gy_i a_i        the engine sums over what was broadcast
// Keeps each operand that the other one's gradient reads.
#include <functional>

#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& multiply_info();

namespace {

struct Multiply final : Op {
  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    if (gx.wants(0)) gx.set(0, gy * gx.input(1));
    if (gx.wants(1)) gx.set(1, gy * gx.input(0));
  }
  const OpInfo& info() const override { return multiply_info(); }
};

}  // namespace

Var multiply(const Var& a, const Var& b, SourceLocation at) {
  require_broadcastable("multiply", {"a", a}, {"b", b}, at);
  const Saved saved{.operands =
                        (is_differentiable(b) ? operand(0) : 0) | (is_differentiable(a) ? operand(1) : 0)};
  return record(Multiply{}, zip(a.value(), b.value(), std::multiplies<>{}), {a, b}, saved, at);
}

const OpInfo& multiply_info() {
  static const OpInfo info{
      .name = "multiply",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "a", .linear = true}, {.name = "b", .linear = true}},
      .call = [](std::span<const Var> x, const Attributes&) { return multiply(x[0], x[1]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            return zip_reference(x[0], x[1], [](const T& a, const T& b) { return a * b; });
          },
      .samples = broadcasting_samples().throws({{2, 3}, {2, 4}}, "shapes [2, 3] and [2, 4] do not broadcast"),
  };
  return info;
}

}  // namespace weft
