// add(a, b): a + b with NumPy's broadcasting.
//   y_i = a_i + b_i
//   ga_i = gy_i,  gb_i = gy_i                the engine sums over what was broadcast
#include <functional>

#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& add_info();

namespace {

struct Add final : Op {
  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    gx.set(0, gy);
    gx.set(1, gy);
  }
  const OpInfo& info() const override { return add_info(); }
};

}  // namespace

Var add(const Var& a, const Var& b, SourceLocation at) {
  require_broadcastable("add", {"a", a}, {"b", b}, at);
  return record(Add{}, zip(a.value(), b.value(), std::plus<>{}), {a, b}, {}, at);
}

const OpInfo& add_info() {
  static const OpInfo info{
      .name = "add",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "a", .linear = true}, {.name = "b", .linear = true}},
      .call = [](std::span<const Var> x, const Attributes&) { return add(x[0], x[1]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            return zip_reference(x[0], x[1], [](const T& a, const T& b) { return a + b; });
          },
      .samples = broadcasting_samples().throws({{2, 3}, {2, 4}}, "shapes [2, 3] and [2, 4] do not broadcast"),
  };
  return info;
}

}  // namespace weft
