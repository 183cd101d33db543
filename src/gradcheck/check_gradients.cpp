// A whole function or record: its gradient against central differences along single entries, or along random
// directions where a tensor has many.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/replay.hpp"
#include "gradcheck/numerics.hpp"
#include "weft/gradient.hpp"
#include "weft/op.hpp"
#include "weft/random.hpp"

namespace weft {

namespace {

constexpr std::int64_t most_single_entries = 64;

GradcheckReport unresolved_value(std::string op, std::string sample, std::string what) {
  Finding finding;
  finding.check = "value";
  finding.verdict = Verdict::unresolved;
  finding.op = std::move(op);
  finding.sample = std::move(sample);
  finding.summary = std::move(what);
  GradcheckReport report;
  report.findings.push_back(std::move(finding));
  return report;
}

class FunctionCheck {
 public:
  FunctionCheck(const DifferentiableFunction& f, std::span<const Tensor> x,
                std::span<const std::string> names, const GradcheckOptions& options)
      : f_(f), names_(names), options_(options) {
    for (const Tensor& tensor : x) x_.push_back(is_floating(tensor.dtype()) ? tensor.to(DType::f64) : tensor);
  }

  GradcheckReport run() {
    Graph g;
    const Var y = f_(g, record(g, x_));
    if (!std::ranges::all_of(y.value().values<double>(), [](double v) { return std::isfinite(v); })) {
      return unresolved_value("function", {}, "its value has a NaN or an infinity");
    }
    Random random(options_.seed, "gy");
    gy_ = dense(y.shape(), random);
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (is_floating(x_[i].dtype())) check(1, i, random);
    }
    for (std::size_t i = 0; options_.order >= 2 && i < x_.size(); ++i) {
      if (is_floating(x_[i].dtype())) check(2, i, random);
    }
    return std::move(report_);
  }

 private:
  struct Value {
    double value, magnitude;  // sum of terms, sum of their absolute values
  };

  static Tensor dense(const Shape& shape, Random& random) {
    Tensor tensor(shape, DType::f64);
    for (double& value : tensor.mutable_values<double>()) {
      value = (random.below(2) == 0 ? -1 : 1) * (1 + static_cast<double>(random.below(64)) / 64);
    }
    return tensor;
  }

  static Value dot(const Tensor& a, const Tensor& b) {
    const auto x = a.values<double>(), y = b.values<double>();
    Value sum{0, 0};
    for (std::size_t i = 0; i < x.size(); ++i) {
      sum.value += x[i] * y[i];
      sum.magnitude += std::fabs(x[i] * y[i]);
    }
    return sum;
  }

  std::vector<Var> record(Graph& g, std::span<const Tensor> x) const {
    std::vector<Var> vars;
    for (const Tensor& tensor : x)
      vars.push_back(is_floating(tensor.dtype()) ? g.input(tensor) : Var(tensor));
    return vars;
  }

  std::vector<Var> floating(std::span<const Var> x) const {
    std::vector<Var> result;
    for (const Var& var : x) {
      if (is_floating(var.dtype())) result.push_back(var);
    }
    return result;
  }

  // Order 1: <gy, f(x)>. Order 2: the sum over inputs of <w, gradient of that>, for fixed w.
  Value phi(int order, std::span<const Tensor> x) const {
    Graph g;
    const std::vector<Var> vars = record(g, x);
    const Var y = f_(g, vars);
    if (order == 1) return dot(gy_, y.value());
    const std::vector<Var> first = gradient(y, floating(vars), {.gy = gy_});
    Value sum{0, 0};
    for (const Var& gx : first) {
      const Value term = dot(weights_for(gx.shape()), gx.value());
      sum.value += term.value;
      sum.magnitude += term.magnitude;
    }
    return sum;
  }

  Tensor weights_for(const Shape& shape) const {
    Random random(options_.seed, "weights");
    return dense(shape, random);
  }

  // The gradient of phi with respect to x_i by the engine.
  Tensor found(int order, std::size_t i) const {
    Graph g;
    const std::vector<Var> vars = record(g, x_);
    const Var y = f_(g, vars);
    if (order == 1) return gradient(y, vars[i], {.gy = gy_}).value();
    Tensor sum = Tensor::zeros(x_[i].shape(), DType::f64);
    for (const Var& gx : gradient(y, floating(vars), {.record = true, .gy = gy_})) {
      if (!is_differentiable(gx)) continue;
      const Tensor second = gradient(gx, vars[i], {.gy = weights_for(gx.shape())}).value();
      std::ranges::transform(sum.values<double>(), second.values<double>(),
                             sum.mutable_values<double>().begin(), std::plus<>{});
    }
    return sum;
  }

  void check(int order, std::size_t i, Random& random) {
    const Tensor gradient_found = found(order, i);
    const std::int64_t count = x_[i].elements();
    const bool single = count <= most_single_entries;
    const Value at_x = phi(order, x_);
    const double typical = typical_size(x_[i]);
    double largest = 0;
    for (const double value : gradient_found.values<double>()) largest = std::max(largest, std::fabs(value));
    Worst worst;
    for (std::int64_t probe = 0; probe < (single ? count : options_.probes); ++probe) {
      Tensor u = single ? Tensor::zeros(x_[i].shape(), DType::f64) : dense(x_[i].shape(), random);
      if (single) u.mutable_values<double>()[static_cast<std::size_t>(probe)] = 1;
      for (double& value : u.mutable_values<double>()) value *= typical;
      const Value slope = dot(gradient_found, u);
      const double scale = std::max({slope.magnitude, 1e-3 * largest * typical, 1e-6 * at_x.magnitude});
      const Judged judged = judge_difference(
          slope.value, [&](double t) { return phi(order, moved(i, u, t)).value; },
          4 * unit_roundoff_f64 * at_x.magnitude, scale, difference_step, options_.detect_difference);
      worst.count();
      worst.add(judged.verdict, judged.resolution, [&] {
        const std::string where =
            single ? index_text(x_[i].shape(), probe) : fmt::format("direction {}", probe);
        return fmt::format("{}: {} by the engine, {} +- {:.1e} by differences", where, slope.value / typical,
                           judged.expected.value / typical, judged.expected.error / typical);
      });
    }
    report_.findings.push_back(worst.finding(order == 1 ? "difference" : "second order", "function",
                                             names_[i], fmt::format("f64{}", to_string(x_[i].shape()))));
  }

  static double typical_size(const Tensor& x) {
    double sum = 0;
    for (const double value : x.values<double>()) sum += std::fabs(value);
    const double mean = x.elements() > 0 ? sum / static_cast<double>(x.elements()) : 1;
    return mean > 0 && std::isfinite(mean) ? std::exp2(std::round(std::log2(mean))) : 1;
  }

  std::vector<Tensor> moved(std::size_t i, const Tensor& u, double t) const {
    std::vector<Tensor> x = x_;
    x[i] = x_[i].clone();
    const auto direction = u.values<double>();
    auto values = x[i].mutable_values<double>();
    for (std::size_t n = 0; n < values.size(); ++n) values[n] += t * direction[n];
    return x;
  }

  const DifferentiableFunction& f_;
  std::vector<Tensor> x_;
  std::span<const std::string> names_;
  const GradcheckOptions& options_;
  Tensor gy_;
  GradcheckReport report_;
};

}  // namespace

GradcheckReport check_gradients(const DifferentiableFunction& f, std::span<const Tensor> x,
                                const GradcheckOptions& options) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < x.size(); ++i) names.push_back(fmt::format("x{}", i));
  return FunctionCheck(f, x, names, options).run();
}

GradcheckReport check_gradients(const Graph& g, const Var& loss, const GradcheckOptions& options) {
  const Replay replay(g, loss);
  if (const auto bad = replay.first_non_finite()) {
    const std::string op(g.op(bad->node) ? g.op(bad->node)->info().name : g.name(bad->node));
    return unresolved_value(op, fmt::format("node {}", bad->node), bad->what);
  }
  const std::vector<Tensor> x = replay.source_values();
  std::vector<std::string> names;
  for (const NodeId n : replay.sources()) {
    names.push_back(g.name(n).empty() ? fmt::format("node {}", n) : std::string(g.name(n)));
  }
  const DifferentiableFunction f = [&](Graph& target, std::span<const Var> values) {
    return replay.run(target, values);
  };
  return FunctionCheck(f, x, names, options).run();
}

}  // namespace weft
