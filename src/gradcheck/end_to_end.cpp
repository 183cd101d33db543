#include "gradcheck/end_to_end.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "gradcheck/jacobians.hpp"
#include "gradcheck/kinks.hpp"
#include "gradcheck/reference_replay.hpp"
#include "weft/gradient.hpp"
#include "weft/op.hpp"

namespace weft {

namespace {

constexpr std::int64_t most_single_entries = 64;  // of an operand: more are checked along directions

class Check {
 public:
  Check(const EndToEnd& ends, const GradcheckOptions& options, GradcheckReport& report)
      : ends_(ends), options_(options), report_(report), random_(options.seed, "end to end") {
    for (const Tensor& x : ends.x) x_.push_back(is_floating(x.dtype()) ? g_.input(x) : Var(x));
    y_ = ends.f(g_, x_);
    gy_ = y_.shape().elements() == 1 ? Tensor::full(y_.shape(), 1, DType::f64)
                                     : dense_like(y_.shape(), random_);
    by_references_ = ends.references_fit && y_.is_recorded();
    if (by_references_) bound_values();
  }

  void run() {
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (is_floating(x_[i].dtype()) && ends_.x[i].elements() > 0) check(i);
    }
    if (options_.order >= 2 && y_.is_recorded()) check_second_order();
  }

 private:
  bool depends(std::size_t i) const { return y_.is_recorded() && x_[i].id() <= y_.id(); }

  Tensor gradient_of(std::size_t i) const {
    return depends(i) ? gradient(y_, x_[i], {.gy = Var(gy_)}).value()
                      : Tensor::zeros(ends_.x[i].shape(), DType::f64);
  }

  void bound_values() {
    const Array<Bounded> bounds = replay_reference<Bounded>(y_);
    for (std::int64_t k = 0; k < bounds.elements(); ++k) {
      chain_ = std::max(chain_, bounds[k].chain());
      noise_ +=
          std::fabs(gy_.values<double>()[static_cast<std::size_t>(k)]) * bounds[k].error(unit_roundoff_f64);
    }
  }

  // Single entries where there are few, else random directions.
  std::vector<Tensor> directions(std::size_t i) {
    std::vector<Tensor> result;
    const std::int64_t count = ends_.x[i].elements();
    const double size = typical_step(ends_.x[i]);
    const bool single = count <= most_single_entries && options_.coverage != Coverage::probes;
    for (std::int64_t p = 0; p < (single ? count : options_.probes); ++p) {
      Tensor u =
          single ? Tensor::zeros(ends_.x[i].shape(), DType::f64) : dense_like(ends_.x[i].shape(), random_);
      if (single) u.mutable_values<double>()[static_cast<std::size_t>(p)] = 1;
      for (double& value : u.mutable_values<double>()) value *= size;
      result.push_back(std::move(u));
    }
    return result;
  }

  Tensor dense_direction(std::size_t i) {
    Tensor u = dense_like(ends_.x[i].shape(), random_);
    const double size = typical_step(ends_.x[i]) / 2;
    for (double& value : u.mutable_values<double>()) value *= size;
    return u;
  }

  static double size_along(const Tensor& gx, const Tensor& u) {
    double size = 0;
    for (std::size_t n = 0; n < gx.values<double>().size(); ++n)
      size += std::fabs(gx.values<double>()[n] * u.values<double>()[n]);
    return size;
  }

  void check(std::size_t i) {
    const Tensor gx = gradient_of(i);
    const std::vector<Tensor> u = directions(i);
    double largest = 0;
    for (const double value : gx.values<double>()) largest = std::max(largest, std::fabs(value));
    const std::size_t before = report_.findings.size();
    // What an entry that is 0 is compared with: the others of this operand.
    const double floor = 1e-3 * largest * typical_step(ends_.x[i]);
    std::vector<double> found, scale;
    for (const Tensor& direction : u) {
      found.push_back(dot(gx, direction));
      scale.push_back(std::max(size_along(gx, direction), floor));
    }
    if (by_references_ && depends(i)) compare_with_dual(i, u, found, scale);
    if (!by_references_ && ends_.one_by_one && depends(i)) compare_with_rules(i, u, found, scale);
    if (ends_.executed) compare_with_difference(i, u, found, scale);
    if (largest == 0) require_other_scale(i, before);
  }

  // Zeros that agree with zeros: nothing was tested.
  void require_other_scale(std::size_t i, std::size_t first) {
    for (std::size_t k = first; k < report_.findings.size(); ++k) {
      Finding& f = report_.findings[k];
      if (f.verdict == Verdict::disagree) return;
      f.verdict = Verdict::unresolved;
      f.summary = fmt::format("the gradient of {} is 0 everywhere: nothing was tested", ends_.names[i]);
    }
  }

  Finding finding(std::string_view check, std::size_t i, const Comparison& comparison,
                  std::span<const double> found, std::span<const double> expected, std::string_view oracle,
                  std::span<const Tensor> u) const {
    Finding f;
    f.check = check;
    f.verdict = comparison.verdict;
    f.op = "function";
    f.argument = ends_.names[i];
    f.sample = "end to end";
    f.resolution = comparison.resolution;
    f.differing = comparison.differing + comparison.unresolved;
    f.compared = comparison.compared;
    if (f.verdict == Verdict::agree) return f;
    f.blame = f.verdict == Verdict::disagree ? Blame::unclear : Blame::nobody;
    f.summary = f.verdict == Verdict::disagree
                    ? "from end to end the engine's gradient is not the derivative of the function"
                    : "no step resolves this gradient: a kink or a jump is suspected";
    f.context.push_back("operand " + to_string(TensorType{ends_.x[i].shape(), DType::f64}));
    f.oracles.push_back({std::string(oracle), f.verdict, comparison.would_notice, comparison.compared});
    for (const std::size_t k : comparison.worst) {
      const bool single = std::ssize(u) == ends_.x[i].elements();
      const double size = single ? typical_step(ends_.x[i]) : 1;
      const std::string where =
          single ? f.argument + index_text(ends_.x[i].shape(), static_cast<std::int64_t>(k))
                 : fmt::format("{} along direction {}", f.argument, k);
      f.worst.push_back({where, found[k] / size, expected[k] / size});
    }
    return f;
  }

  void compare_with_dual(std::size_t i, const std::vector<Tensor>& u, const std::vector<double>& found,
                         std::vector<double> scale) {
    std::vector<double> expected;
    for (std::size_t first = 0; first < u.size(); first += Dual::width) {
      const std::size_t count = std::min<std::size_t>(Dual::width, u.size() - first);
      const Array<Dual> y =
          replay_reference<Dual>(y_, {{x_[i].id(), seeded(i, std::span(u).subspan(first, count))}});
      for (std::size_t d = 0; d < count; ++d) {
        double sum = 0, size = 0;
        for (std::int64_t k = 0; k < y.elements(); ++k) {
          const double term =
              gy_.values<double>()[static_cast<std::size_t>(k)] * y[k].derivative(static_cast<int>(d));
          sum += term;
          size += std::fabs(term);
        }
        expected.push_back(sum);
        scale[first + d] = std::max(scale[first + d], size);
      }
    }
    const double l = chain_ + static_cast<double>(ends_.x[i].elements());
    const Comparison comparison = compare(
        found.size(), options_.detect_exact, [&](std::size_t k) { return found[k]; },
        [&](std::size_t k) { return expected[k]; },
        [&](std::size_t k) { return 6 * std::sqrt(l) * unit_roundoff_f64 * scale[k]; },
        [&](std::size_t k) { return scale[k]; });
    report_.findings.push_back(finding("E1", i, comparison, found, expected, "dual", u));
    report_.findings.back().scale = *std::ranges::max_element(scale);
  }

  // The engine's order and sums against those of a plain loop over the nodes.
  void compare_with_rules(std::size_t i, const std::vector<Tensor>& u, const std::vector<double>& found,
                          const std::vector<double>& scale) {
    if (one_by_one_.empty()) one_by_one_ = ends_.one_by_one(gy_);
    std::size_t at = 0;
    for (std::size_t k = 0; k < i; ++k) at += is_floating(x_[k].dtype());
    std::vector<double> expected;
    for (const Tensor& direction : u) expected.push_back(dot(one_by_one_[at], direction));
    const double l = static_cast<double>(g_.node_count()) + static_cast<double>(ends_.x[i].elements());
    const Comparison comparison = compare(
        found.size(), options_.detect_exact, [&](std::size_t k) { return found[k]; },
        [&](std::size_t k) { return expected[k]; },
        [&](std::size_t k) { return 6 * std::sqrt(l) * unit_roundoff_f64 * scale[k]; },
        [&](std::size_t k) { return scale[k]; });
    report_.findings.push_back(finding("E1", i, comparison, found, expected, "rules, one by one", u));
    report_.findings.back().scale = *std::ranges::max_element(scale);
  }

  // x_i with one direction for each of u.
  Array<Dual> seeded(std::size_t i, std::span<const Tensor> u) const {
    Array<Dual> array = to_array<Dual>(ends_.x[i]);
    for (std::int64_t n = 0; n < array.elements(); ++n) {
      for (std::size_t d = 0; d < u.size(); ++d) {
        const double rate = u[d].values<double>()[static_cast<std::size_t>(n)];
        array[n] += Dual::variable(0, static_cast<int>(d), rate);
      }
    }
    return array;
  }

  double value_at(std::size_t i, const Tensor& u, double t) const {
    Graph g;
    const Pause paused = g.pause();
    return dot(gy_, ends_.f(g, moved(g, i, u, t)).value());
  }

  std::vector<Var> moved(Graph& g, std::size_t i, const Tensor& u, double t) const {
    std::vector<Var> x;
    for (std::size_t k = 0; k < ends_.x.size(); ++k) {
      Tensor value = ends_.x[k];
      if (k == i) {
        value = value.clone();
        for (std::size_t n = 0; n < u.values<double>().size(); ++n)
          value.mutable_values<double>()[n] += t * u.values<double>()[n];
      }
      x.push_back(is_floating(value.dtype()) ? g.input(value) : Var(value));
    }
    return x;
  }

  // The decisions of the record's references at x_i + t u.
  Trace trace_at(std::size_t i, const Tensor& u, double t) const {
    Trace trace;
    std::map<NodeId, Array<Traced>> sources;
    for (std::size_t k = 0; k < x_.size(); ++k) {
      if (!is_floating(x_[k].dtype())) continue;
      Array<Traced> values(ends_.x[k].shape());
      for (std::int64_t n = 0; n < values.elements(); ++n) {
        const auto at = static_cast<std::size_t>(n);
        const double step = k == i ? t * u.values<double>()[at] : 0;
        values[n] = Traced(ends_.x[k].values<double>()[at] + step, &trace);
      }
      sources.emplace(x_[k].id(), std::move(values));
    }
    (void)replay_reference<Traced>(y_, sources);
    return trace;
  }

  void compare_with_difference(std::size_t i, const std::vector<Tensor>& u, const std::vector<double>& found,
                               std::vector<double> scale) {
    std::vector<double> expected, error;
    const auto deadline = std::chrono::steady_clock::now() + budget_of(options_);
    for (std::size_t k = 0; k < u.size(); ++k) {
      if (k > 0 && std::chrono::steady_clock::now() > deadline) {
        report_.notes.push_back(fmt::format("{} of {} differences by {} end to end within the budget", k,
                                            u.size(), ends_.names[i]));
        break;
      }
      const Estimate estimate = difference(i, u[k], scale[k]);
      expected.push_back(estimate.value);
      error.push_back(estimate.error);
      if (std::isfinite(estimate.value)) scale[k] = std::max(scale[k], std::fabs(estimate.value));
    }
    const Comparison comparison = compare(
        expected.size(), options_.detect_difference, [&](std::size_t k) { return found[k]; },
        [&](std::size_t k) { return expected[k]; }, [&](std::size_t k) { return error[k]; },
        [&](std::size_t k) { return scale[k]; });
    report_.findings.push_back(finding("O2", i, comparison, found, expected, "difference", u));
    report_.findings.back().scale = *std::ranges::max_element(scale);
  }

  Estimate difference(std::size_t i, const Tensor& u, double scale) const {
    LadderOptions options{
        .noise = by_references_ ? noise_ : -1, .scale = scale, .detect = options_.detect_difference};
    if (by_references_ && depends(i)) {
      double most_u = 0;
      for (const double value : u.values<double>()) most_u = std::max(most_u, std::fabs(value));
      const StepChoice choice = choose_step([&](double t) { return trace_at(i, u, t); }, most_u);
      if (!choice.found) return {.error = INFINITY};
      options.step = choice.step;
      options.side = choice.side;
      options.smooth = true;
    }
    return directional_derivative([&](double t) { return value_at(i, u, t); }, options);
  }

  // d/dt of the gradient at x + t w against the recorded gradient of <w, gx>, all operands moving at once.
  void check_second_order() {
    std::vector<Tensor> w(x_.size());
    std::vector<Var> targets;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (!is_floating(x_[i].dtype()) || !depends(i)) continue;
      w[i] = dense_direction(i);
      targets.push_back(x_[i]);
    }
    const std::vector<Var> firsts = gradient(y_, targets, {.record = true, .gy = Var(gy_)});
    std::size_t target = 0;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (!w[i].defined()) continue;
      compare_second(i, w, dense_direction(i), firsts, targets, target++);
    }
  }

  // v_i^T (H w)_i: by the engine, and the derivative of <v_i, gx_i(x + t w)>.
  void compare_second(std::size_t i, const std::vector<Tensor>& w, const Tensor& v,
                      const std::vector<Var>& firsts, const std::vector<Var>& targets, std::size_t target) {
    double found = 0, size = 0;
    std::size_t next = 0;
    for (std::size_t k = 0; k < w.size(); ++k) {
      if (!w[k].defined()) continue;
      const Var& first = firsts[next++];
      if (!is_differentiable(first)) continue;
      const Tensor second = gradient(first, targets[target], {.gy = Var(w[k])}).value();
      found += dot(second, v);
      size += size_along(second, v);
    }
    const double scale = std::max({size, std::fabs(found), 1e-3 * size_along(firsts[target].value(), v)});
    const Estimate estimate = directional_derivative(
        [&](double t) {
          Graph g;
          std::vector<Var> x;
          for (std::size_t k = 0; k < w.size(); ++k) {
            Tensor value = ends_.x[k];
            for (std::size_t n = 0; w[k].defined() && n < w[k].values<double>().size(); ++n) {
              if (n == 0) value = value.clone();
              value.mutable_values<double>()[n] += t * w[k].values<double>()[n];
            }
            x.push_back(is_floating(value.dtype()) ? g.input(value) : Var(value));
          }
          return dot(gradient(ends_.f(g, x), x[i], {.gy = Var(gy_)}).value(), v);
        },
        {.scale = scale, .detect = options_.detect_difference});
    Comparison comparison;
    const double s = std::max(scale, std::isfinite(estimate.value) ? std::fabs(estimate.value) : 0);
    comparison.judge(0, found, estimate.value, estimate.error, s, options_.detect_difference);
    const double expected = estimate.value;
    report_.findings.push_back(finding("O4", i, comparison, std::span(&found, 1), std::span(&expected, 1),
                                       "difference of the gradient", {}));
  }

  const EndToEnd& ends_;
  const GradcheckOptions& options_;
  GradcheckReport& report_;
  Random random_;
  Graph g_;
  std::vector<Var> x_;
  Var y_;
  Tensor gy_;
  std::vector<Tensor> one_by_one_;
  bool by_references_ = false;
  double chain_ = 0;  // the longest of roundings
  double noise_ = 0;  // of <gy, f>
};

}  // namespace

void check_end_to_end(const EndToEnd& ends, const GradcheckOptions& options, GradcheckReport& report) {
  Check(ends, options, report).run();
}

}  // namespace weft
