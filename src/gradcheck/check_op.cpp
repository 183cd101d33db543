// An op on its samples.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "gradcheck/numerics.hpp"
#include "weft/gradient.hpp"
#include "weft/op.hpp"
#include "weft/random.hpp"

namespace weft {

namespace {

template <class T>
Array<T> to_array(const Tensor& tensor) {
  Array<T> array(tensor.shape());
  visit_dtype(tensor.dtype(), [&]<class E>() {
    const auto values = tensor.values<E>();
    for (std::int64_t i = 0; i < array.elements(); ++i)
      array[i] = static_cast<T>(values[static_cast<std::size_t>(i)]);
  });
  return array;
}

template <class T>
Inputs<T> reference_inputs(std::span<const Tensor> x) {
  Inputs<T> inputs;
  for (const Tensor& tensor : x) {
    if (!is_floating(tensor.dtype())) {
      inputs.push_integers(to_array<std::int64_t>(tensor));
      continue;
    }
    const Array<double> values = to_array<double>(tensor);
    Array<T> array(tensor.shape());
    for (std::int64_t i = 0; i < values.elements(); ++i) array[i] = T(values[i]);
    inputs.push_floating(std::move(array));
  }
  return inputs;
}

double dense_value(Random& random) {
  return (random.below(2) == 0 ? -1 : 1) * (1 + static_cast<double>(random.below(64)) / 64);
}

// Both signs, magnitudes in [1, 2).
Tensor dense_like(const Shape& shape, Random& random) {
  Tensor tensor(shape, DType::f64);
  std::ranges::generate(tensor.mutable_values<double>(), [&] { return dense_value(random); });
  return tensor;
}

double dot(const Tensor& a, const Tensor& b) {
  const auto x = a.values<double>(), y = b.values<double>();
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

double dot_magnitude(const Tensor& a, const Tensor& b) {
  const auto x = a.values<double>(), y = b.values<double>();
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += std::fabs(x[i] * y[i]);
  return sum;
}

// One sample in f64, recorded once.
class OpCheck {
 public:
  OpCheck(const OpInfo& info, const Sample& sample, const GradcheckOptions& options, GradcheckReport& report)
      : info_(info), sample_(sample), options_(options), report_(report), name_(to_string(sample)) {}

  void run() {
    if (!sample_.throws.empty()) return check_throws();
    try {
      inputs_ = sample_inputs(info_, sample_, options_.seed, DType::f64);
      bounds_ = info_.reference(reference_inputs<Bounded>(inputs_), sample_.attributes);
      check_value("value", inputs_, unit_roundoff_f64, std::numeric_limits<double>::min());
      check_value("value f32", sample_inputs(info_, sample_, options_.seed, DType::f32), unit_roundoff_f32,
                  static_cast<double>(std::numeric_limits<float>::min()));
      if (sample_.pattern != Pattern::special && has_gradient()) check_gradients();
    } catch (const std::exception& error) {
      add("call", Verdict::disagree, {}, error.what());
    }
  }

 private:
  const Argument& argument(std::size_t i) const {
    return info_.arguments[std::min(i, info_.arguments.size() - 1)];
  }
  bool is_checked(std::size_t i) const {
    return is_floating(inputs_[i].dtype()) &&
           (argument(i).role == Role::differentiable || argument(i).role == Role::optional);
  }
  bool has_gradient() const {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (is_checked(i)) return true;
    }
    return false;
  }

  void add(std::string check, Verdict verdict, std::string_view argument_name, std::string details) {
    Finding finding;
    finding.check = std::move(check);
    finding.verdict = verdict;
    finding.op = info_.name;
    finding.argument = argument_name;
    finding.sample = name_;
    finding.summary = std::move(details);
    report_.findings.push_back(std::move(finding));
  }

  // The call must throw that text and leave the graph as it was.
  void check_throws() {
    Graph g;
    std::vector<Var> x;
    for (const Tensor& tensor : sample_inputs(info_, sample_, options_.seed, DType::f64)) {
      x.push_back(is_floating(tensor.dtype()) ? g.input(tensor) : Var(tensor));
    }
    const NodeId before = g.node_count();
    std::string found = "nothing was thrown";
    try {
      (void)info_.call(x, sample_.attributes);
    } catch (const Error& error) {
      found = error.what();
    }
    const bool agrees = found.find(sample_.throws) != std::string::npos && g.node_count() == before;
    add("throws", agrees ? Verdict::agree : Verdict::disagree, {},
        fmt::format("needed an error that says '{}' and an unchanged graph, found: {}", sample_.throws,
                    found));
  }

  // Against the reference, element by element, within the derived bound of its rounding errors. Below
  // `smallest`, a term may have been flushed to 0.
  void check_value(const char* check, std::span<const Tensor> inputs, double roundoff, double smallest) {
    const std::vector<Var> x(inputs.begin(), inputs.end());
    const Tensor y = info_.call(x, sample_.attributes).value();
    if (y.shape() != bounds_.shape()) {
      return add(
          check, Verdict::disagree, {},
          fmt::format("shape {}, the reference has {}", to_string(y.shape()), to_string(bounds_.shape())));
    }
    const Array<double> found = to_array<double>(y);
    const double largest = roundoff > unit_roundoff_f64
                               ? static_cast<double>(std::numeric_limits<float>::max())
                               : std::numeric_limits<double>::max();
    Worst worst;
    for (std::int64_t i = 0; i < found.elements(); ++i) {
      const Bounded& expected = bounds_[i];
      const double v = expected.value();
      worst.count();
      const double bound =
          expected.error(roundoff) + expected.error(unit_roundoff_f64) + (expected.chain() + 1) * smallest;
      bool agrees = std::isnan(v) ? std::isnan(found[i]) : found[i] == v || std::fabs(found[i] - v) <= bound;
      if (std::fabs(v) > largest) agrees = std::isinf(found[i]) && std::signbit(found[i]) == std::signbit(v);
      if (!std::isfinite(bound) && std::isfinite(v)) agrees = std::isfinite(found[i]);
      const double used = std::isfinite(bound) && std::isfinite(v) && v != 0 ? bound / std::fabs(v) : 0;
      worst.add(agrees ? Verdict::agree : Verdict::disagree, agrees ? 0 : used, [&] {
        return fmt::format("y{} is {}, the reference {} +- {:.1e}", index_text(y.shape(), i), found[i], v,
                           bound);
      });
    }
    report_.findings.push_back(worst.finding(check, std::string(info_.name), {}, name_));
  }

  void check_gradients() {
    Graph g;
    const std::vector<Var> x = record_inputs(g, inputs_);
    const Var y = info_.call(x, sample_.attributes);
    if (y.shape() != bounds_.shape() || !is_floating(y.dtype())) return;
    if (!is_differentiable(y))
      return add("recorded", Verdict::disagree, {}, "the op recorded no differentiable node");
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!is_checked(i)) continue;
      const std::string_view name = argument(i).name;
      try {
        const Tensor jacobian_found = jacobian(y, x[i]);
        check_dual(i, jacobian_found, y.shape());
        check_dense_gy(i, jacobian_found, y, x[i]);
        if (has_smooth_steps()) check_difference(i, jacobian_found);
      } catch (const Error& error) {
        add("backward", Verdict::disagree, name, error.what());
      }
    }
    if (info_.twice_differentiable && has_smooth_steps()) check_second_order(y.shape());
  }

  bool has_smooth_steps() const {
    return sample_.pattern == Pattern::generic || sample_.pattern == Pattern::negative;
  }

  std::vector<Var> record_inputs(Graph& g, std::span<const Tensor> inputs) const {
    std::vector<Var> x;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      x.push_back(is_checked(i) ? g.input(inputs[i], argument(i).name) : Var(inputs[i]));
    }
    return x;
  }

  // dy/dx_i, [outputs, inputs] row-major, from ceil(inputs / 8) passes of the reference.
  std::vector<double> dual_jacobian(std::size_t i) const {
    const std::int64_t rows = bounds_.elements(), columns = inputs_[i].elements();
    std::vector<double> result(static_cast<std::size_t>(rows * columns));
    const auto values = inputs_[i].values<double>();
    for (std::int64_t first = 0; first < columns; first += Dual::width) {
      const std::int64_t width = std::min<std::int64_t>(Dual::width, columns - first);
      Inputs<Dual> x = reference_inputs<Dual>(inputs_);
      Array<Dual> seeded = x[i];
      for (std::int64_t d = 0; d < width; ++d) {
        seeded[first + d] = Dual::variable(values[static_cast<std::size_t>(first + d)], static_cast<int>(d));
      }
      x.replace(i, std::move(seeded));
      const Array<Dual> y = info_.reference(x, sample_.attributes);
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t d = 0; d < width; ++d) {
          result[static_cast<std::size_t>(row * columns + first + d)] =
              y[row].derivative(static_cast<int>(d));
        }
      }
    }
    return result;
  }

  // S_ij = max(|J_ij|, eta max_k |J_ik|, eta max_k |J_kj|): a structural zero is compared with its row and
  // column.
  static std::vector<double> scales(std::span<const double> jacobian, std::size_t rows, std::size_t columns) {
    constexpr double eta = 1e-3;
    std::vector<double> row_max(rows), column_max(columns), result(jacobian.size());
    for (std::size_t k = 0; k < jacobian.size(); ++k) {
      row_max[k / columns] = std::max(row_max[k / columns], std::fabs(jacobian[k]));
      column_max[k % columns] = std::max(column_max[k % columns], std::fabs(jacobian[k]));
    }
    for (std::size_t k = 0; k < jacobian.size(); ++k) {
      result[k] =
          std::max({std::fabs(jacobian[k]), eta * row_max[k / columns], eta * column_max[k % columns]});
    }
    return result;
  }

  std::string entry(std::size_t i, const Shape& y_shape, std::size_t k, double found, double expected) const {
    const auto columns = static_cast<std::size_t>(inputs_[i].elements());
    return fmt::format("dy{}/d{}{} is {}, expected {}",
                       index_text(y_shape, static_cast<std::int64_t>(k / columns)), argument(i).name,
                       index_text(inputs_[i].shape(), static_cast<std::int64_t>(k % columns)), found,
                       expected);
  }

  void check_dual(std::size_t i, const Tensor& found, const Shape& y_shape) {
    const auto columns = static_cast<std::size_t>(inputs_[i].elements());
    const std::vector<double> expected = dual_jacobian(i);
    std::vector<double> scale = scales(expected, static_cast<std::size_t>(bounds_.elements()), columns);
    if (sample_.pattern == Pattern::large && !scale.empty()) {
      // Where large operands saturate, whole rows vanish by cancellation: they are compared with the others.
      const double floor = 1e-3 * *std::ranges::max_element(scale);
      for (double& s : scale) s = std::max(s, floor);
    }
    const auto values = found.values<double>();
    Worst worst;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      worst.count();
      const double rounding = 6 * std::sqrt(bounds_[static_cast<std::int64_t>(k / columns)].chain() + 1) *
                              unit_roundoff_f64 * scale[k];
      const Difference estimate{expected[k], rounding};
      Verdict verdict = judge(values[k], estimate, scale[k], options_.detect_exact);
      if (verdict == Verdict::unresolved && values[k] == expected[k]) verdict = Verdict::agree;
      worst.add(verdict, resolution(values[k], estimate, scale[k]),
                [&] { return entry(i, y_shape, k, values[k], expected[k]); });
    }
    report_.findings.push_back(
        worst.finding("dual", std::string(info_.name), std::string(argument(i).name), name_));
  }

  // gx for a dense gy of both signs is J^T gy: finds rules that ignore gy or are not linear in it.
  void check_dense_gy(std::size_t i, const Tensor& jacobian_found, const Var& y, const Var& x) {
    Random random(options_.seed, "gy");
    const Tensor gy = dense_like(y.shape(), random);
    const Tensor gx = gradient(y, x, {.gy = gy}).value();
    const auto rows = gy.values<double>(), found = gx.values<double>(),
               entries = jacobian_found.values<double>();
    Worst worst;
    for (std::size_t n = 0; n < found.size(); ++n) {
      double expected = 0, scale = 0;
      for (std::size_t m = 0; m < rows.size(); ++m) {
        expected += rows[m] * entries[m * found.size() + n];
        scale += std::fabs(rows[m] * entries[m * found.size() + n]);
      }
      worst.count();
      const Difference estimate{expected, static_cast<double>(rows.size()) * unit_roundoff_f64 * scale};
      Verdict verdict = judge(found[n], estimate, scale, options_.detect_exact);
      if (verdict == Verdict::unresolved && found[n] == expected) verdict = Verdict::agree;
      worst.add(verdict, resolution(found[n], estimate, scale), [&] {
        return fmt::format("with a dense gy, g{}{} is {}, J^T gy is {}", argument(i).name,
                           index_text(x.shape(), static_cast<std::int64_t>(n)), found[n], expected);
      });
    }
    report_.findings.push_back(
        worst.finding("dense gy", std::string(info_.name), std::string(argument(i).name), name_));
  }

  // y with x_i's element n moved by t.
  std::vector<double> forward_at(std::size_t i, std::int64_t n, double t) const {
    std::vector<Var> x(inputs_.begin(), inputs_.end());
    Tensor moved = inputs_[i].clone();
    moved.mutable_values<double>()[static_cast<std::size_t>(n)] += t;
    x[i] = moved;
    const Tensor y = info_.call(x, sample_.attributes).value();
    const auto values = y.values<double>();
    return {values.begin(), values.end()};
  }

  void check_difference(std::size_t i, const Tensor& found) {
    const auto rows = static_cast<std::size_t>(bounds_.elements());
    const auto columns = static_cast<std::size_t>(inputs_[i].elements());
    const auto values = found.values<double>();
    const std::vector<double> scale = scales(values, rows, columns);
    Worst worst;
    for (std::size_t n = 0; n < columns; ++n) {
      std::vector<std::pair<double, std::vector<double>>> steps;  // y at each step taken so far
      for (std::size_t m = 0; m < rows; ++m) {
        const auto g = [&](double t) {
          for (const auto& [step, y] : steps) {
            if (step == t) return y[m];
          }
          steps.emplace_back(t, forward_at(i, static_cast<std::int64_t>(n), t));
          return steps.back().second[m];
        };
        const std::size_t k = m * columns + n;
        const double noise = bounds_[static_cast<std::int64_t>(m)].error(unit_roundoff_f64);
        Judged judged;
        if (argument(i).linear) {
          judged.expected = affine_difference(g, noise);
          const double s = std::max(scale[k], std::fabs(judged.expected.value));
          judged.verdict = judge(values[k], judged.expected, s, options_.detect_difference);
          judged.resolution = resolution(values[k], judged.expected, s);
        } else {
          judged =
              judge_difference(values[k], g, noise, scale[k], difference_step, options_.detect_difference);
        }
        if (values[k] == judged.expected.value) judged = {Verdict::agree, 0, judged.expected};
        worst.count();
        worst.add(judged.verdict, judged.resolution, [&] {
          return fmt::format("{} +- {:.1e}", entry(i, bounds_.shape(), k, values[k], judged.expected.value),
                             judged.expected.error);
        });
      }
    }
    report_.findings.push_back(
        worst.finding("difference", std::string(info_.name), std::string(argument(i).name), name_));
  }

  // phi(x, gy) = sum over i of <v_i, gx_i(x, gy)> for a random v: its recorded gradient against central
  // differences of the gradient itself.
  void check_second_order(const Shape& y_shape) {
    Random random(options_.seed, "second order");
    std::vector<Tensor> inputs = inputs_;
    const Tensor gy = dense_like(y_shape, random);
    std::vector<Tensor> v;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      v.push_back(is_checked(i) ? dense_like(inputs[i].shape(), random) : Tensor());
    }
    try {
      Graph g;
      const std::vector<Var> x = record_inputs(g, inputs);
      const Var gy_var = g.input(gy, "gy");
      const Var y = info_.call(x, sample_.attributes);
      double magnitude = 0;
      std::vector<Var> targets, gxs, weights;
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (is_checked(i)) targets.push_back(x[i]);
      }
      const std::vector<Var> firsts = gradient(y, targets, {.record = true, .gy = gy_var});
      targets.push_back(gy_var);
      std::vector<Tensor> sums(targets.size());
      std::size_t next = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (!is_checked(i)) continue;
        const Var& first = firsts[next++];
        magnitude += dot_magnitude(v[i], first.value());
        if (!is_differentiable(first)) continue;
        const std::vector<Var> seconds = gradient(first, targets, {.gy = v[i]});
        for (std::size_t t = 0; t < targets.size(); ++t) {
          sums[t] = sums[t].defined() ? sum_of(sums[t], seconds[t].value()) : seconds[t].value();
        }
      }
      std::size_t t = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (is_checked(i))
          compare_second(std::string(argument(i).name), sums[t++], inputs, v, gy, i, magnitude);
      }
      compare_second("gy", sums[t], inputs, v, gy, inputs.size(), magnitude);
    } catch (const Error& error) {
      add("second order", Verdict::disagree, {}, error.what());
    }
  }

  static Tensor sum_of(const Tensor& a, const Tensor& b) {
    Tensor result = a.clone();
    const auto from = b.values<double>();
    auto to = result.mutable_values<double>();
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
    return result;
  }

  double phi(std::span<const Tensor> inputs, std::span<const Tensor> v, const Tensor& gy) const {
    Graph g;
    const std::vector<Var> x = record_inputs(g, inputs);
    const Var y = info_.call(x, sample_.attributes);
    std::vector<Var> targets;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (is_checked(i)) targets.push_back(x[i]);
    }
    const std::vector<Var> firsts = gradient(y, targets, {.gy = gy});
    double sum = 0;
    std::size_t next = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (is_checked(i)) sum += dot(v[i], firsts[next++].value());
    }
    return sum;
  }

  // `which` is the operand that moves; inputs.size() is gy.
  void compare_second(std::string what, const Tensor& found, std::span<const Tensor> inputs,
                      std::span<const Tensor> v, const Tensor& gy, std::size_t which, double magnitude) {
    const Tensor& moving = which < inputs.size() ? inputs[which] : gy;
    const double noise = 64 * unit_roundoff_f64 * magnitude;
    double largest = 0;
    if (found.defined()) {
      for (const double value : found.values<double>()) largest = std::max(largest, std::fabs(value));
    }
    const double floor = 1e-3 * std::max(largest, magnitude);
    Worst worst;
    for (std::int64_t n = 0; n < moving.elements(); ++n) {
      const auto g = [&](double t) {
        std::vector<Tensor> moved(inputs.begin(), inputs.end());
        Tensor changed = moving.clone();
        changed.mutable_values<double>()[static_cast<std::size_t>(n)] += t;
        if (which < inputs.size()) moved[which] = changed;
        return phi(moved, v, which < inputs.size() ? gy : changed);
      };
      const double value = found.defined() ? found.values<double>()[static_cast<std::size_t>(n)] : 0;
      const double scale = std::max(std::fabs(value), floor);
      const Judged judged =
          judge_difference(value, g, noise, scale, difference_step, options_.detect_difference);
      worst.count();
      worst.add(judged.verdict, judged.resolution, [&] {
        return fmt::format("d<v, gx>/d{}{} is {}, expected {} +- {:.1e}", what, index_text(moving.shape(), n),
                           value, judged.expected.value, judged.expected.error);
      });
    }
    report_.findings.push_back(
        worst.finding("second order", std::string(info_.name), std::move(what), name_));
  }

  const OpInfo& info_;
  const Sample& sample_;
  const GradcheckOptions& options_;
  GradcheckReport& report_;
  const std::string name_;
  std::vector<Tensor> inputs_;
  Array<Bounded> bounds_;
};

}  // namespace

GradcheckReport check_op(const OpInfo& info, const Sample& sample, const GradcheckOptions& options) {
  GradcheckReport report;
  OpCheck(info, sample, options, report).run();
  return report;
}

GradcheckReport check_op(const OpInfo& info, const GradcheckOptions& options) {
  GradcheckReport report;
  for (const Sample& sample : info.samples.list()) OpCheck(info, sample, options, report).run();
  return report;
}

}  // namespace weft
