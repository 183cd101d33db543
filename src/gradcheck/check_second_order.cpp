// O4: H w of phi(x, gy) = <gy, f(x)>, from the recorded gradient of the gradient, from dual numbers of second
// order, and from differences of the gradient.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "gradcheck/checks.hpp"
#include "gradcheck/jacobians.hpp"
#include "gradcheck/reference_replay.hpp"
#include "weft/gradient.hpp"
#include "weft/op.hpp"

namespace weft {

namespace {

constexpr double eta = 1e-3;  // of the largest entry: what a structural zero is compared with

// H w, one array for each checked operand, and J w, the derivative by gy.
struct Products {
  std::vector<std::vector<double>> hessian;
  std::vector<double> jacobian;
};

class SecondOrder {
 public:
  SecondOrder(const OpCase& op, GradcheckReport& report) : op_(op), report_(report) {
    Random random(op.options.seed, "second order");
    w_.resize(op.inputs.size());
    v_.resize(op.inputs.size());
    for (const std::size_t i : op.checked) {
      w_[i] = direction(i, random);
      v_[i] = direction(i, random);
    }
  }

  void run(bool with_differences) {
    const Recorded recorded(op_, op_.inputs);
    for (const Tensor& gx : recorded.gradients(op_.gy)) {
      double largest = 0;
      for (const double value : gx.values<double>()) largest = std::max(largest, std::fabs(value));
      largest_gradient_.push_back(largest);
    }
    const Products rule = by_rule(w_, true);
    compare_exact(rule, by_dual());
    if (with_differences) compare_difference(rule);
    curl(rule);
  }

 private:
  Tensor direction(std::size_t i, Random& random) const {
    Tensor u = dense_like(op_.inputs[i].shape(), random);
    const double size = typical_step(op_.inputs[i]) / 2;
    for (double& value : u.mutable_values<double>()) value *= size;
    return u;
  }

  static void add(std::vector<double>& sum, const Tensor& term) {
    const auto values = term.values<double>();
    for (std::size_t n = 0; n < sum.size(); ++n) sum[n] += values[n];
  }

  // The recorded gradient of <w, gx>, with the bounds of its rounding errors where `with_bounds` is set.
  Products by_rule(std::span<const Tensor> w, bool with_bounds) {
    Graph g;
    std::vector<Var> x, targets;
    for (std::size_t i = 0; i < op_.inputs.size(); ++i) {
      const bool is_checked = std::ranges::find(op_.checked, i) != op_.checked.end();
      x.push_back(is_checked ? g.input(op_.inputs[i], op_.argument(i).name) : Var(op_.inputs[i]));
      if (is_checked) targets.push_back(x.back());
    }
    const Var gy = g.input(op_.gy, "gy"), y = op_.info.call(x, op_.attributes);
    const std::vector<Var> firsts = gradient(y, targets, {.record = true, .gy = gy});
    for (NodeId n = y.id() + 1; n < g.node_count(); ++n) {
      if (g.op(n) && g.op(n)->info().name != op_.info.name) called_.insert(g.op(n)->info().name);
    }
    targets.push_back(gy);
    Products products;
    std::vector<std::vector<double>> rounding, magnitude;
    for (const Var& target : targets) {
      products.hessian.emplace_back(static_cast<std::size_t>(target.shape().elements()));
      rounding.emplace_back(products.hessian.back().size());
      magnitude.emplace_back(products.hessian.back().size());
    }
    for (std::size_t k = 0; k < firsts.size(); ++k) {
      if (!is_differentiable(firsts[k])) continue;
      const std::vector<Var> seconds =
          gradient(firsts[k], targets, {.record = with_bounds, .gy = Var(w[op_.checked[k]])});
      for (std::size_t t = 0; t < targets.size(); ++t) {
        add(products.hessian[t], seconds[t].value());
        if (!with_bounds || !seconds[t].is_recorded()) continue;
        const Array<Bounded> bounds = replay_reference<Bounded>(seconds[t]);
        for (std::size_t n = 0; n < rounding[t].size(); ++n) {
          rounding[t][n] += bounds[static_cast<std::int64_t>(n)].error(unit_roundoff_f64);
          magnitude[t][n] += bounds[static_cast<std::int64_t>(n)].magnitude();
        }
      }
    }
    products.jacobian = std::move(products.hessian.back());
    products.hessian.pop_back();
    if (with_bounds) {
      rounding_ = std::move(rounding);
      magnitude_ = std::move(magnitude);
    }
    return products;
  }

  Products by_dual() const {
    Products products;
    Inputs<Dual2> moving = reference_inputs<Dual2>(op_.inputs);
    for (const std::size_t i : op_.checked) {
      Array<Dual2> values = moving[i];
      for (std::int64_t n = 0; n < values.elements(); ++n)
        values[n] += Dual2::variable(0.0, 0) * Dual2(w_[i].values<double>()[static_cast<std::size_t>(n)]);
      moving.replace(i, std::move(values));
    }
    for (const std::size_t i : op_.checked) {
      products.hessian.emplace_back();
      const Array<Dual2> along = moving[i];
      for (std::int64_t first = 0; first < along.elements(); first += Dual::width) {
        const std::int64_t width = std::min<std::int64_t>(Dual::width, along.elements() - first);
        Inputs<Dual2> x = moving;
        Array<Dual2> seeded = along;
        for (std::int64_t d = 0; d < width; ++d)
          seeded[first + d] += Dual2(Dual::variable(0.0, static_cast<int>(d)));
        x.replace(i, std::move(seeded));
        const Array<Dual2> y = op_.info.reference(x, op_.attributes);
        if (products.jacobian.empty()) {
          for (std::int64_t row = 0; row < y.elements(); ++row)
            products.jacobian.push_back(y[row].derivative(0).value());
        }
        for (std::int64_t d = 0; d < width; ++d) {
          double sum = 0;
          for (std::int64_t row = 0; row < y.elements(); ++row) {
            sum += op_.gy.values<double>()[static_cast<std::size_t>(row)] *
                   y[row].derivative(0).derivative(static_cast<int>(d));
          }
          products.hessian.back().push_back(sum);
        }
      }
    }
    products.jacobian.resize(static_cast<std::size_t>(op_.gy.elements()));
    return products;
  }

  void add_finding(std::size_t k, const Comparison& comparison, std::string_view oracle,
                   std::span<const double> found, const std::function<double(std::size_t)>& expected) {
    const bool by_gy = k == op_.checked.size();
    const std::size_t operand = by_gy ? no_operand : op_.checked[k];
    const std::string of = by_gy ? "gy" : std::string(op_.argument(operand).name);
    const Shape& shape = by_gy ? op_.y_shape : op_.inputs[operand].shape();
    Finding f = op_.finding(
        "O4", operand, comparison, fmt::format("the gradient of the gradient, by {}, is wrong", of),
        [&](std::size_t n) {
          const auto at = static_cast<std::int64_t>(n);
          return WrongEntry{fmt::format("d<w, gx>/d{}{}", of, index_text(shape, at)), found[n], expected(n)};
        });
    if (f.verdict != Verdict::agree) {
      f.blame = Blame::rule;
      f.oracles.push_back({std::string(oracle), f.verdict, comparison.would_notice, 1});
      f.likely = likely();
    }
    report_.findings.push_back(std::move(f));
  }

  void compare_exact(const Products& rule, const Products& dual) {
    for (std::size_t k = 0; k <= op_.checked.size(); ++k) {
      const bool by_gy = k == op_.checked.size();
      const std::vector<double>& found = by_gy ? rule.jacobian : rule.hessian[k];
      const std::vector<double>& expected = by_gy ? dual.jacobian : dual.hessian[k];
      double largest = by_gy ? 0 : largest_gradient_[k];
      for (const double value : expected) largest = std::max(largest, std::fabs(value));
      const auto scale = [&](std::size_t n) {
        return std::max({std::fabs(expected[n]), eta * largest, magnitude_[k][n]});
      };
      const Comparison comparison = compare(
          found.size(), op_.options.detect_exact, [&](std::size_t n) { return found[n]; },
          [&](std::size_t n) { return expected[n]; },
          [&](std::size_t n) {
            return rounding_[k][n] + 6 * std::sqrt(longest_chain()) * unit_roundoff_f64 * scale(n);
          },
          scale);
      add_finding(k, comparison, "dual, second order", found, [&](std::size_t n) { return expected[n]; });
    }
  }

  double longest_chain() const {
    double longest = 1;
    for (std::size_t row = 0; row < static_cast<std::size_t>(op_.y_shape.elements()); ++row)
      longest = std::max(longest, op_.chain(row));
    return longest;
  }

  double gradient_noise(std::size_t k, std::size_t n) const {
    if (op_.gx_bounds.empty() || op_.gx_bounds[k].elements() == 0)
      return 64 * unit_roundoff_f64 * largest_gradient_[k];
    return op_.gx_bounds[k][static_cast<std::int64_t>(n)].error(unit_roundoff_f64);
  }

  // All operands move along w at once.
  void compare_difference(const Products& rule) {
    const Room room = room_along(op_, w_);
    if (!room.found) return;
    std::vector<double> noise, scale, found;
    for (std::size_t k = 0; k < op_.checked.size(); ++k) {
      double largest = largest_gradient_[k];
      for (const double value : rule.hessian[k]) largest = std::max(largest, std::fabs(value));
      for (std::size_t n = 0; n < rule.hessian[k].size(); ++n) {
        noise.push_back(gradient_noise(k, n));
        scale.push_back(std::max({std::fabs(rule.hessian[k][n]), eta * largest, magnitude_[k][n]}));
      }
    }
    const VectorFunction gradient_at = [&](double t, std::span<double> out) {
      std::vector<Tensor> x = op_.inputs;
      for (const std::size_t i : op_.checked) x[i] = op_.moved(i, w_[i], t)[i];
      auto next = out.begin();
      for (const Tensor& gx : Recorded(op_, x).gradients(op_.gy))
        next = std::ranges::copy(gx.values<double>(), next).out;
    };
    const LadderOptions options{
        .step = room.step, .detect = op_.options.detect_difference, .side = room.side, .smooth = room.smooth};
    const std::vector<Estimate> estimates = directional_derivatives(gradient_at, {noise, scale, options});
    std::size_t first = 0;
    for (std::size_t k = 0; k < op_.checked.size(); ++k) {
      const std::vector<double>& values = rule.hessian[k];
      const auto at = [&](std::size_t n) -> const Estimate& { return estimates[first + n]; };
      const Comparison comparison = compare(
          values.size(), op_.options.detect_difference, [&](std::size_t n) { return values[n]; },
          [&](std::size_t n) { return at(n).value; }, [&](std::size_t n) { return at(n).error; },
          [&](std::size_t n) { return std::max(scale[first + n], std::fabs(at(n).value)); });
      add_finding(k, comparison, "difference of the gradient", values,
                  [&](std::size_t n) { return at(n).value; });
      first += values.size();
    }
  }

  // v^T H w = w^T H v
  void curl(const Products& along_w) {
    const Products along_v = by_rule(v_, false);
    double vw = 0, wv = 0, size = 0, error = 0;
    for (std::size_t k = 0; k < op_.checked.size(); ++k) {
      const auto v = v_[op_.checked[k]].values<double>(), w = w_[op_.checked[k]].values<double>();
      for (std::size_t n = 0; n < v.size(); ++n) {
        vw += v[n] * along_w.hessian[k][n];
        wv += w[n] * along_v.hessian[k][n];
        size += std::fabs(v[n]) * std::max(std::fabs(along_w.hessian[k][n]), magnitude_[k][n]) +
                std::fabs(w[n] * along_v.hessian[k][n]);
        error += (std::fabs(v[n]) + std::fabs(w[n])) * rounding_[k][n];
      }
    }
    error += 64 * unit_roundoff_f64 * size;
    Comparison comparison;
    comparison.judge(0, vw, wv, error, size, op_.options.detect_exact);
    Finding f = op_.finding("O4", op_.checked[0], comparison, "the second derivative is not symmetric",
                            [&](std::size_t) {
                              return WrongEntry{"v^T H w, w^T H v", vw, wv};
                            });
    if (f.verdict != Verdict::agree) f.likely = likely();
    report_.findings.push_back(std::move(f));
  }

  // Where the gradient itself is right: see settle_likely().
  std::string likely() const {
    if (called_.empty()) return "the rule treats as a constant what depends on an operand";
    return fmt::format(
        "the gradient is right, the gradient of it is not: the rule of one of the ops it calls ({})",
        fmt::join(called_, ", "));
  }

  const OpCase& op_;
  GradcheckReport& report_;
  std::vector<Tensor> w_, v_;          // directions, by operand
  std::set<std::string_view> called_;  // the ops that the recorded gradient is made of
  std::vector<double> largest_gradient_;
  std::vector<std::vector<double>> rounding_;   // of H w and J w by the rule
  std::vector<std::vector<double>> magnitude_;  // the sum of the absolute terms that they are made of
};

}  // namespace

void check_second_order(const OpCase& op, bool with_differences, GradcheckReport& report) {
  if (op.y_shape.elements() == 0) return;
  SecondOrder(op, report).run(with_differences);
}

}  // namespace weft
