// sqrt(x): the square root; NaN below 0.
//   y_i  = sqrt(x_i)
//   gx_i = gy_i / (2 y_i)                    at x_i = 0 the gradient is infinite
// Keeps y, not x.
#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& sqrt_info();

namespace {

struct SquareRoot {
  template <class T>
  T operator()(T x) const {
    return vector_math::sqrt(x);
  }
};

struct Sqrt final : Op {
  void backward(const Var& y, const Var& gy, Gradients& gx) const override { gx.set(0, gy / (2 * y)); }
  const OpInfo& info() const override { return sqrt_info(); }
};

}  // namespace

Var sqrt(const Var& x, SourceLocation at) {
  require_floating("sqrt", {"x", x}, at);
  return record(Sqrt{}, map(x.value(), SquareRoot{}), {x}, {.output = true}, at);
}

const OpInfo& sqrt_info() {
  static const OpInfo info{
      .name = "sqrt",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "x", .domain = Domain::positive()}},
      .call = [](std::span<const Var> x, const Attributes&) { return sqrt(x[0]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            using std::sqrt;
            return map_reference(x[0], [](const T& v) { return sqrt(v); });
          },
      .samples = unary_samples(),
  };
  return info;
}

}  // namespace weft
