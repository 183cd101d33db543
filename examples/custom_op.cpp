// An op defined in user code: it is recorded, differentiated, checked and drawn like weft's own.
#include <cmath>
#include <filesystem>
#include <weft/weft.hpp>

using namespace weft;

// softplus(x, beta): log(1 + exp(beta x)) / beta, a smooth relu.
//   gx_i = gy_i sigmoid(beta x_i)
// Keeps x.
const OpInfo& softplus_info();

struct Softplus final : Op {
  double beta;
  explicit Softplus(double beta) : beta(beta) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    gx.set(0, gy * sigmoid(gx.input(0) * beta));
  }
  const OpInfo& info() const override { return softplus_info(); }
  Attributes attributes() const override { return {{"beta", beta}}; }
};

Tensor softplus_kernel(const Tensor& x, double beta) {
  Tensor y(x.shape(), x.dtype());
  visit_floating(x.dtype(), [&]<class T>() {
    const auto from = x.values<T>();
    const auto to = y.mutable_values<T>();
    const T b = static_cast<T>(beta);
    for (std::size_t i = 0; i < from.size(); ++i) {  // exp() of nothing positive: no overflow
      const T scaled = b * from[i];
      to[i] = ((scaled < 0 ? 0 : scaled) + std::log1p(std::exp(-std::abs(scaled)))) / b;
    }
  });
  return y;
}

Var softplus(const Var& x, double beta = 1, SourceLocation at = SourceLocation::current()) {
  require_floating("softplus", {"x", x}, at);
  if (!(beta > 0))
    fail<Error>("softplus", fmt::format("beta must be positive, found {}", beta), {{"x", x}}, at);
  return record(Softplus(beta), softplus_kernel(x.value(), beta), {x}, {.operands = operand(0)}, at);
}

const OpInfo& softplus_info() {
  static const OpInfo info{
      .name = "softplus",
      .arguments = {{"x"}},
      .attributes = {{"beta"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return softplus(x[0], a.find("beta") ? a.find("beta")->as<double>() : 1);
          },
      // The specification, as naive as can be: it runs on doubles, on dual numbers and on error bounds.
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            using std::abs, std::exp, std::log;
            const T beta(a.find("beta") ? a.find("beta")->as<double>() : 1);
            Array<T> y = x[0];
            for (std::int64_t i = 0; i < y.elements(); ++i) {
              const T scaled = beta * y[i];
              y[i] = ((scaled < T(0.0) ? T(0.0) : scaled) + log(T(1.0) + exp(-abs(scaled)))) / beta;
            }
            return y;
          },
      .samples = unary_samples()
                     .shapes({{3, 5}})
                     .grid({{"beta", {0.5, 2.0}}})
                     .shapes({{2}})
                     .with({{"beta", -1.0}})
                     .throws("beta must be positive, found -1"),
  };
  return info;
}

int main(int argc, char** argv) try {
  const std::filesystem::path out = argc > 1 ? argv[1] : ".";

  // Against the reference, against dual numbers, against differences, to second order, on every sample:
  const GradcheckReport alone = check_op(softplus_info());
  fmt::print("softplus: {}\n", to_text(alone));

  Graph g;
  const Var x = g.input(Random(1).normal({8, 3}, 0, 1), "x");
  const Parameter w = he_normal("w", {3, 2});
  const Var loss = mean(softplus(matmul(x, g.use(w)), 2));
  g.backward(loss);
  const GradcheckReport model = check_gradients(g, loss);
  fmt::print("a model with it: {}\n", to_text(model));

  save_diagram(g, out / "custom_op.svg");
  fmt::print("wrote {}\n", (out / "custom_op.svg").string());
  return alone && model ? 0 : 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "custom_op: {}\n", error.what());
  return 1;
}
