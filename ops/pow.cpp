// pow(x, exponent): x to a constant power.
//   y_i  = x_i^p
//   gx_i = gy_i p x_i^(p - 1)                0 everywhere for p = 0, also at x_i = 0
// As in IEEE 754, x^0 is 1 for every x, NaN included, and a negative number to a fractional power is NaN; but
// x^0.5 and x^-0.5 are sqrt(x) and 1 / sqrt(x), NaN at -infinity. Keeps x, but for the exponents 0 and 1,
// whose gradients do not read it.
#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& pow_info();

namespace {

// The exponents that models use most, and those of their gradients, need no library function.
Tensor power(const Tensor& x, double exponent) {
  if (exponent == 0) return Tensor::full(x.shape(), 1, x.dtype());
  if (exponent == 1) return x;
  if (exponent == 2) return map(x, []<class T>(T v) { return v * v; });
  if (exponent == 3) return map(x, []<class T>(T v) { return v * v * v; });
  if (exponent == 0.5) return map(x, []<class T>(T v) { return vector_math::sqrt(v); });
  if (exponent == -0.5) return map(x, []<class T>(T v) { return T(1) / vector_math::sqrt(v); });
  if (exponent == -1) return map(x, []<class T>(T v) { return T(1) / v; });
  if (exponent == -2) return map(x, []<class T>(T v) { return T(1) / (v * v); });
  return map(x, [exponent]<class T>(T v) { return vector_math::pow(v, static_cast<T>(exponent)); });
}

struct Pow final : Op {
  double exponent;
  explicit Pow(double exponent) : exponent(exponent) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    if (exponent == 0)
      gx.set(0, Tensor::zeros(gx.shape(0), gy.dtype()));
    else if (exponent == 1)
      gx.set(0, gy);
    else
      gx.set(0, gy * scale(pow(gx.input(0), exponent - 1), exponent));
  }
  const OpInfo& info() const override { return pow_info(); }
  Attributes attributes() const override { return {{"exponent", exponent}}; }
};

}  // namespace

Var pow(const Var& x, double exponent, SourceLocation at) {
  require_floating("pow", {"x", x}, at);
  const Saved saved{.operands = exponent == 0 || exponent == 1 ? 0 : operand(0)};
  return record(Pow(exponent), power(x.value(), exponent), {x}, saved, at);
}

const OpInfo& pow_info() {
  static const OpInfo info{
      .name = "pow",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "x", .domain = Domain::positive()}},
      .attributes = {{"exponent"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return pow(x[0], a.find("exponent")->as<double>()); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            using std::pow, std::sqrt;
            const double exponent = a.find("exponent")->as<double>();
            return map_reference(x[0], [&](const T& v) {
              if (exponent == 0.5) return sqrt(v);
              if (exponent == -0.5) return T(1.0) / sqrt(v);
              return pow(v, exponent);
            });
          },
      .samples = unary_samples()
                     .all()
                     .with({{"exponent", 2.5}})
                     .shapes({{3, 17}})
                     .grid({{"exponent", {-2.25, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0, 4.0}}})
                     .shapes({{7}})
                     .grid({{"exponent", {-3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 5.0}}})
                     .values(0, {-2.5, 1.25, -0.75, 3, -1.125, 0.625, -3.25})
                     .shapes({{3}})
                     .grid({{"exponent", {0.0, 1.0, 2.0, 3.0}}})
                     .values(0, {0, -1.5, 0.75}),
  };
  return info;
}

}  // namespace weft
