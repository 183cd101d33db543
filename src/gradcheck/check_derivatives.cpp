// O1 and O2: the triangle of rule, dual numbers and differences.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gradcheck/checks.hpp"
#include "gradcheck/diagnosis.hpp"
#include "gradcheck/jacobians.hpp"
#include "gradcheck/reference_replay.hpp"
#include "weft/gradient.hpp"

namespace weft {

namespace {

constexpr std::int64_t most_full_entries = 65536;

// An entry of a Jacobian as reports show it: "y[1, 0] <- x[2, 3]".
std::string entry_name(const OpCase& op, std::size_t i, std::size_t k) {
  const std::int64_t columns = op.inputs[i].elements(), at = static_cast<std::int64_t>(k);
  return fmt::format("y{} <- {}{}", index_text(op.y_shape, at / columns), op.operand_name(i),
                     index_text(op.inputs[i].shape(), at % columns));
}

// ---- full Jacobians

// One operand's Jacobian by the three parties.
struct Triangle {
  std::size_t operand = 0;
  std::vector<double> rule = {}, dual = {};  // dual is empty where the reference does not fit into the budget
  DifferenceJacobian difference = {};
  bool has_difference = false;
  std::vector<double> scale = {};
  double largest = 0;  // entry
  Comparison rule_dual = {}, rule_difference = {}, dual_difference = {};

  const std::vector<double>& exact() const { return dual.empty() ? rule : dual; }
};

// A rule that computes an entry as the difference of larger numbers errs by more than the entry says: by the
// bound of its own record.
void widen_by_rule_rounding(const OpCase& op, Triangle& t, double detect) {
  const auto columns = static_cast<std::size_t>(op.inputs[t.operand].elements());
  const auto at = static_cast<std::size_t>(std::ranges::find(op.checked, t.operand) - op.checked.begin());
  Recorded recorded(op, op.inputs);
  Comparison widened;
  std::vector<double> error(columns);
  for (std::size_t k = 0; k < t.rule.size(); ++k) {
    if (k % columns == 0) {
      Tensor gy = Tensor::zeros(op.y_shape, DType::f64);
      gy.mutable_values<double>()[k / columns] = 1;
      const std::vector<Var> gx = gradient(recorded.y, recorded.targets, {.record = true, .gy = gy});
      if (!gx[at].is_recorded()) return;
      const Array<Bounded> bound = replay_reference<Bounded>(gx[at]);
      for (std::size_t n = 0; n < columns; ++n) {
        error[n] = bound[static_cast<std::int64_t>(n)].error(unit_roundoff_f64);
      }
    }
    widened.judge(k, t.rule[k], t.dual[k], error[k % columns], t.scale[k], detect);
  }
  t.rule_dual = widened;
}

void compare_rule_with_dual(const OpCase& op, Triangle& t) {
  const auto columns = static_cast<std::size_t>(op.inputs[t.operand].elements());
  const double detect = op.options.detect_exact;
  t.rule_dual = compare(
      t.rule.size(), detect, [&](std::size_t k) { return t.rule[k]; },
      [&](std::size_t k) { return t.dual[k]; },
      [&](std::size_t k) { return 6 * std::sqrt(op.chain(k / columns)) * unit_roundoff_f64 * t.scale[k]; },
      [&](std::size_t k) { return t.scale[k]; });
  const auto is_finite = [](double v) { return std::isfinite(v); };
  if (t.rule_dual.verdict != Verdict::agree && std::ranges::all_of(t.rule, is_finite))
    widen_by_rule_rounding(op, t, detect);
}

Comparison compare_with_difference(const OpCase& op, const Triangle& t, const std::vector<double>& found) {
  Comparison comparison;
  const std::size_t columns = t.difference.covered.size();
  for (std::size_t k = 0; k < found.size(); ++k) {
    if (!t.difference.covered[k % columns]) continue;
    const auto& [value, error, noise, order, evaluations, one_sided] = t.difference.entries[k];
    const double scale = std::max(t.scale[k], std::isfinite(value) ? std::fabs(value) : 0);
    comparison.judge(k, found[k], value, error, scale, op.options.detect_difference);
  }
  return comparison;
}

// A gradient that is 0 everywhere is compared with what the operand's size could have made of the output.
void give_zeros_a_scale(const OpCase& op, std::vector<double>& scale, std::size_t operand) {
  if (std::ranges::any_of(scale, [](double s) { return s > 0; })) return;
  double largest = 0;
  for (std::int64_t k = 0; k < op.bounds.elements(); ++k)
    largest = std::max(largest, op.bounds[k].magnitude());
  std::ranges::fill(scale, largest / typical_step(op.inputs[operand]));
}

Blame blame_of(const Triangle& t) {
  const bool rule_dual = t.dual.empty() || t.rule_dual.verdict == Verdict::agree;
  if (!t.has_difference) return rule_dual ? Blame::nobody : Blame::rule;
  const bool rule_difference = t.rule_difference.verdict == Verdict::agree;
  const bool dual_difference = t.dual.empty() || t.dual_difference.verdict == Verdict::agree;
  if (t.dual.empty()) return rule_difference ? Blame::nobody : Blame::unclear;
  if (rule_dual) return rule_difference && dual_difference ? Blame::nobody : Blame::forward;
  if (dual_difference) return Blame::rule;
  return rule_difference ? Blame::reference : Blame::unclear;
}

std::vector<OracleVerdict> oracle_verdicts(const OpCase& op, const Triangle& t) {
  std::vector<OracleVerdict> verdicts;
  const bool affine = op.argument(t.operand).linear;
  if (!t.dual.empty()) {
    verdicts.push_back({"dual", t.rule_dual.verdict, t.rule_dual.would_notice,
                        (op.inputs[t.operand].elements() + Dual::width - 1) / Dual::width});
  }
  if (t.has_difference) {
    verdicts.push_back({affine ? "difference, h = 1" : "difference", t.rule_difference.verdict,
                        t.rule_difference.would_notice, t.difference.evaluations});
  }
  return verdicts;
}

// Fills in what a reader of a failure needs.
void explain(const OpCase& op, const Triangle& t, const std::vector<std::vector<double>>& all, Finding& f) {
  f.blame = blame_of(t);
  f.oracles = oracle_verdicts(op, t);
  f.context.push_back(fmt::format("output y {}", to_string(TensorType{op.y_shape, DType::f64})));
  const std::string_view x = op.argument(t.operand).name;
  const Shape& x_shape = op.inputs[t.operand].shape();
  f.entry_axes = fmt::format("y[{}] <- {}[{}]", fmt::join(axis_names(op.info, "y", op.y_shape), ", "), x,
                             fmt::join(axis_names(op.info, x, x_shape), ", "));
  const double detect = t.dual.empty() ? op.options.detect_difference : op.options.detect_exact;
  std::vector<double> expected = t.dual, threshold = t.scale;
  if (expected.empty()) {
    for (const Estimate& entry : t.difference.entries) expected.push_back(entry.value);
  }
  std::int64_t equal = 0;
  for (std::size_t k = 0; k < expected.size(); ++k) equal += t.rule[k] == expected[k];
  f.others_equal = equal + f.differing == f.compared;
  for (double& value : threshold) value *= detect;
  std::vector<Shape> shapes;
  for (const Tensor& x : op.inputs) shapes.push_back(x.shape());
  Diagnosis diagnosis =
      diagnose({op.info, op.attributes, shapes, t.operand, op.y_shape, t.rule, expected, threshold, all});
  f.pattern = std::move(diagnosis.pattern);
  f.likely = std::move(diagnosis.likely);
}

std::string_view blamed_text(Blame blame) {
  switch (blame) {
    case Blame::rule:
      return "the rule's gradient is not the derivative of the function";
    case Blame::reference:
      return "rule and executed forward agree, the reference differs";
    case Blame::forward:
      return "rule and reference agree, the executed forward is another function";
    default:
      return "rule, reference and executed forward do not agree with one another";
  }
}

void note_uncovered(const OpCase& op, const Triangle& t, GradcheckReport& report) {
  const std::vector<bool>& covered = t.difference.covered;
  const auto count = std::ranges::count(covered, true);
  if (count == std::ssize(covered)) return;
  report.notes.push_back(fmt::format("{} {}: differences of {} of {} entries of {} within the budget",
                                     op.info.name, op.name, count, covered.size(),
                                     op.argument(t.operand).name));
}

void add_findings(const OpCase& op, const Triangle& t, const std::vector<std::vector<double>>& all,
                  GradcheckReport& report) {
  const Blame blame = blame_of(t);
  if (!t.dual.empty()) {
    Finding f = op.finding("O1", t.operand, t.rule_dual, std::string(blamed_text(blame)), [&](std::size_t k) {
      return WrongEntry{entry_name(op, t.operand, k), t.rule[k], t.dual[k]};
    });
    if (f.verdict != Verdict::agree) explain(op, t, all, f);
    f.scale = t.largest;
    report.findings.push_back(std::move(f));
  }
  if (!t.has_difference) return;
  // Where the rule agrees with the differences, the reference may still not.
  const bool by_rule = t.rule_difference.verdict != Verdict::agree || t.dual.empty();
  const Comparison& comparison = by_rule ? t.rule_difference : t.dual_difference;
  const std::vector<double>& found = by_rule ? t.rule : t.dual;
  const std::string summary = t.difference.no_room > 0
                                  ? fmt::format("kinks left {} of {} columns without a step",
                                                t.difference.no_room, op.inputs[t.operand].elements())
                                  : std::string(blamed_text(blame));
  Finding f = op.finding("O2", t.operand, comparison, summary, [&](std::size_t k) {
    return WrongEntry{entry_name(op, t.operand, k), found[k], t.difference.entries[k].value};
  });
  if (f.verdict != Verdict::agree) explain(op, t, all, f);
  f.scale = t.largest;
  report.findings.push_back(std::move(f));
}

bool check_jacobians(const OpCase& op, bool with_differences, GradcheckReport& report) {
  std::int64_t no_room = 0;
  std::vector<std::vector<double>> rules = rule_jacobians(op);
  const auto rows = static_cast<std::size_t>(op.y_shape.elements());
  std::vector<Triangle> triangles;
  std::vector<std::vector<double>> all(op.inputs.size());
  for (std::size_t k = 0; k < op.checked.size(); ++k) {
    const std::size_t i = op.checked[k];
    Triangle t{.operand = i, .rule = std::move(rules[k])};
    if (op.reference_fits) all[i] = t.dual = dual_jacobian(op, i);
    t.scale = jacobian_scales(t.exact(), rows, static_cast<std::size_t>(op.inputs[i].elements()));
    if (!t.dual.empty()) compare_rule_with_dual(op, t);
    t.largest = t.scale.empty() ? 0 : *std::ranges::max_element(t.scale);
    triangles.push_back(std::move(t));
  }
  for (Triangle& t : triangles) {
    if (with_differences || !op.reference_fits) {
      t.has_difference = true;
      give_zeros_a_scale(op, t.scale, t.operand);
      t.difference = difference_jacobian(op, t.operand, t.scale);
      t.rule_difference = compare_with_difference(op, t, t.rule);
      if (!t.dual.empty()) t.dual_difference = compare_with_difference(op, t, t.dual);
      no_room += t.difference.no_room;
      note_uncovered(op, t, report);
    }
    add_findings(op, t, all, report);
  }
  return no_room == 0;
}

}  // namespace

bool check_derivatives(const OpCase& op, bool with_differences, GradcheckReport& report) {
  std::int64_t most = 0;
  for (const std::size_t i : op.checked) most = std::max(most, op.inputs[i].elements());
  const bool full =
      op.options.coverage == Coverage::full ||
      (op.options.coverage == Coverage::automatic && most * op.y_shape.elements() <= most_full_entries);
  return full ? check_jacobians(op, with_differences, report) : check_probes(op, with_differences, report);
}

}  // namespace weft
