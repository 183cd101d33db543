// negate(x): -x.
//   y_i  = -x_i
//   gx_i = -gy_i
// Keeps nothing.
#include <functional>

#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& negate_info();

namespace {

struct Negate final : Op {
  void backward(const Var&, const Var& gy, Gradients& gx) const override { gx.set(0, negate(gy)); }
  const OpInfo& info() const override { return negate_info(); }
};

}  // namespace

Var negate(const Var& x, SourceLocation at) {
  require_floating("negate", {"x", x}, at);
  return record(Negate{}, map(x.value(), std::negate<>{}), {x}, {}, at);
}

const OpInfo& negate_info() {
  static const OpInfo info{
      .name = "negate",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "x", .linear = true}},
      .call = [](std::span<const Var> x, const Attributes&) { return negate(x[0]); },
      .reference = []<class T>(
                       const Inputs<T>& x,
                       const Attributes&) { return map_reference(x[0], [](const T& v) { return -v; }); },
      .samples = unary_samples(),
  };
  return info;
}

}  // namespace weft
