// log(x): the natural logarithm; -infinity at 0, NaN below.
//   y_i  = log(x_i)
//   gx_i = gy_i / x_i
// Keeps x.
#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& log_info();

namespace {

struct Logarithm {
  template <class T>
  T operator()(T x) const {
    return vector_math::log(x);
  }
};

struct Log final : Op {
  void backward(const Var&, const Var& gy, Gradients& gx) const override { gx.set(0, gy / gx.input(0)); }
  const OpInfo& info() const override { return log_info(); }
};

}  // namespace

Var log(const Var& x, SourceLocation at) {
  require_floating("log", {"x", x}, at);
  return record(Log{}, map(x.value(), Logarithm{}), {x}, {.operands = operand(0)}, at);
}

const OpInfo& log_info() {
  static const OpInfo info{
      .name = "log",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "x", .domain = Domain::positive()}},
      .call = [](std::span<const Var> x, const Attributes&) { return log(x[0]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            using std::log;
            return map_reference(x[0], [](const T& v) { return log(v); });
          },
      .samples = unary_samples(),
  };
  return info;
}

}  // namespace weft
