// tanh(x): the hyperbolic tangent.
//   y_i  = tanh(x_i)
//   gx_i = gy_i (1 - y_i^2)
// Keeps y, not x.
#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& tanh_info();

namespace {

struct HyperbolicTangent {
  template <class T>
  T operator()(T x) const {
    return vector_math::tanh(x);
  }
};

// The rule in one pass, where no gradient of it is wanted.
struct TanhGradient {
  template <class T>
  T operator()(T y, T gy) const {
    return gy * (T(1) - y * y);
  }
};

struct Tanh final : Op {
  void backward(const Var& y, const Var& gy, Gradients& gx) const override {
    if (gx.recording()) return gx.set(0, gy * (1 - y * y));
    gx.set(0, zip_in_place(y.value(), gx.take(gy), TanhGradient{}));
  }
  const OpInfo& info() const override { return tanh_info(); }
};

}  // namespace

Var tanh(const Var& x, SourceLocation at) {
  require_floating("tanh", {"x", x}, at);
  return record(Tanh{}, map(x.value(), HyperbolicTangent{}), {x}, {.output = true}, at);
}

const OpInfo& tanh_info() {
  static const OpInfo info{
      .name = "tanh",
      .group = OpGroup::elementwise,
      .arguments = {{"x"}},
      .call = [](std::span<const Var> x, const Attributes&) { return tanh(x[0]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            using std::tanh;
            return map_reference(x[0], [](const T& v) { return tanh(v); });
          },
      .samples = unary_samples(),
  };
  return info;
}

}  // namespace weft
