// sigmoid(x): the logistic function 1 / (1 + exp(-x)).
//   e_i  = exp(-|x_i|) <= 1, so that nothing overflows
//   y_i  = 1 / (1 + e_i) where x_i >= 0, else e_i / (1 + e_i)
//   gx_i = gy_i y_i (1 - y_i)                0 where y_i rounds to 1
// NaN stays NaN. Keeps y, not x.
#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& sigmoid_info();

namespace {

struct Logistic {
  template <class T>
  T operator()(T x) const {
    const T e = vector_math::exp(-std::fabs(x));
    return (x < T(0) ? e : T(1)) / (T(1) + e);
  }
};

// The rule in one pass, where no gradient of it is wanted.
struct LogisticGradient {
  template <class T>
  T operator()(T y, T gy) const {
    return gy * (y * (T(1) - y));
  }
};

struct Sigmoid final : Op {
  void backward(const Var& y, const Var& gy, Gradients& gx) const override {
    gx.set(0, gx.recording() ? gy * (y * (1 - y)) : zip_in_place(y.value(), gx.take(gy), LogisticGradient{}));
  }
  const OpInfo& info() const override { return sigmoid_info(); }
};

}  // namespace

Var sigmoid(const Var& x, SourceLocation at) {
  require_floating("sigmoid", {"x", x}, at);
  return record(Sigmoid{}, map(x.value(), Logistic{}), {x}, {.output = true}, at);
}

const OpInfo& sigmoid_info() {
  static const OpInfo info{
      .name = "sigmoid",
      .group = OpGroup::elementwise,
      .arguments = {{"x"}},
      .call = [](std::span<const Var> x, const Attributes&) { return sigmoid(x[0]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            using std::exp;
            return map_reference(x[0], [](const T& v) {
              if (v < T(0.0)) return exp(v) / (T(1.0) + exp(v));
              return T(1.0) / (T(1.0) + exp(-v));
            });
          },
      .samples = moderate_samples().shapes({{5}}).values(0, {-80, -20.5, -5.25, 3.5, -700}),
  };
  return info;
}

}  // namespace weft
