// weft-gradcheck explain: one entry of a Jacobian, and its difference at one step after the other.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gradcheck/jacobians.hpp"
#include "gradcheck/tool/tool.hpp"

namespace weft::tool {

namespace {

struct Entry {
  std::size_t operand, row, column;
  double backward, dual;
};

// The one where rule and reference differ most; where they do not, the largest.
std::optional<Entry> telling_entry(const OpCase& op) {
  const std::vector<std::vector<double>> rules = rule_jacobians(op);
  std::optional<Entry> best;
  std::pair<double, double> most;
  for (std::size_t c = 0; c < op.checked.size(); ++c) {
    const std::size_t i = op.checked[c];
    const std::vector<double>&backward = rules[c], dual = dual_jacobian(op, i);
    const auto columns = static_cast<std::size_t>(op.inputs[i].elements());
    for (std::size_t k = 0; k < dual.size(); ++k) {
      const double error = std::fabs(backward[k] - dual[k]),
                   rounding = op.options.detect_exact * std::fabs(dual[k]);
      const std::pair rank{error <= rounding ? 0 : std::isnan(error) ? INFINITY : error, std::fabs(dual[k])};
      if (best && !(rank > most)) continue;
      most = rank;
      best = Entry{i, k / columns, k % columns, backward[k], dual[k]};
    }
  }
  return best;
}

// Where the reference decides differently than at x.
std::string signature_text(const OpCase& op, std::span<const Tensor> u, double h) {
  const std::uint64_t here = trace_along(op, u, 0).signature;
  const bool right = trace_along(op, u, h).signature != here, left = trace_along(op, u, -h).signature != here;
  if (right && left) return "other on both sides";
  return right ? "other on the right" : left ? "other on the left" : "same";
}

// D(h) at h, h/2, h/4, ...; h is a multiple of |u|.
void print_steps(const OpCase& op, std::span<const Tensor> u, const std::function<double(double)>& g,
                 double h, double noise) {
  constexpr int steps = 12;
  std::vector<double> differences;
  for (int i = 0; i < steps; ++i) {
    const double step = std::ldexp(h, -i);
    differences.push_back((g(step) - g(-step)) / (2 * step));
  }
  fmt::print("             {:<11}{:<24}{:<7}{:<9}{}\n", "h", "D(h)", "order", "noise/h", "signature");
  for (std::size_t i = 0; i < steps; ++i) {
    const double step = std::ldexp(h, -static_cast<int>(i));
    std::string order = "-";  // the error goes with h^order
    if (i + 2 < steps) {
      const double here = std::fabs(differences[i] - differences[i + 1]),
                   next = std::fabs(differences[i + 1] - differences[i + 2]);
      if (here > 0 && next > 0) order = fmt::format("{:.1f}", std::log2(here / next));
    }
    fmt::print("             {:<11.4g}{:<24.16g}{:<7}{:<9.1e}{}\n", step, differences[i], order, noise / step,
               signature_text(op, u, step));
  }
}

}  // namespace

int explain(const Project& project, const std::string& token) {
  const std::vector<Case> cases = cases_of(project, token);
  require_one_sample(cases, "explain");
  const GradcheckOptions options;
  const OpCase op = op_case_of(cases[0], options);
  const std::optional<Entry> entry = telling_entry(op);
  if (!entry)
    throw UsageError(fmt::format("{} has no entry of a gradient", op.name),
                     fmt::format("weft-gradcheck list {}", op.info.name));

  const Tensor& x = op.inputs[entry->operand];
  std::vector<Tensor> u(op.inputs.size());
  u[entry->operand] = Tensor::zeros(x.shape(), DType::f64);
  u[entry->operand].mutable_values<double>()[entry->column] = 1;
  const auto g = [&](double t) {
    return op.forward(op.moved(entry->operand, u[entry->operand], t)).values<double>()[entry->row];
  };
  const bool affine = op.argument(entry->operand).linear;
  const double first = affine ? 1 : typical_step(x) / 4;
  const Estimate estimate = directional_derivative(g, {.step = first, .affine = affine});
  fmt::print("{}\n", op.name);
  fmt::print(" sample      {}\n", to_string(cases[0].info->samples.list()[*cases[0].sample]));
  fmt::print(" entry       y{} <- {}{}\n", index_text(op.y_shape, static_cast<std::int64_t>(entry->row)),
             op.argument(entry->operand).name,
             index_text(x.shape(), static_cast<std::int64_t>(entry->column)));
  fmt::print(" backward    {:.17g}\n dual        {:.17g}\n", entry->backward, entry->dual);
  fmt::print(" difference  {:.17g} +- {:.1e}, order {:.2g}, noise {:.1e}, {} evaluations{}\n", estimate.value,
             error_bars * estimate.error, estimate.order, estimate.noise, estimate.evaluations,
             estimate.one_sided ? ", one-sided" : "");
  print_steps(op, u, g, first, estimate.noise);
  return agree;
}

}  // namespace weft::tool
