// P0 and O5: what kernels compute, within the bounds of the reference.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gradcheck/checks.hpp"
#include "gradcheck/diagnosis_checks.hpp"
#include "weft/gradient.hpp"
#include "weft/op.hpp"

namespace weft {

namespace {

// The rounding of one floating type.
struct Precision {
  DType dtype;
  double roundoff, smallest, largest;
};
constexpr Precision f64{DType::f64, unit_roundoff_f64, std::numeric_limits<double>::min(),
                        std::numeric_limits<double>::max()};
constexpr Precision f32{DType::f32, unit_roundoff_f32, std::numeric_limits<float>::min(),
                        std::numeric_limits<float>::max()};

double bound_of(const Bounded& expected, const Precision& p) {
  // Below `smallest`, a term may have been flushed to 0.
  return expected.error(p.roundoff) + expected.error(unit_roundoff_f64) + (expected.chain() + 1) * p.smallest;
}

bool is_within(double found, const Bounded& expected, const Precision& p) {
  const double v = expected.value(), bound = bound_of(expected, p);
  if (std::isnan(v)) return std::isnan(found);
  if (std::fabs(v) > p.largest) return std::isinf(found) && std::signbit(found) == std::signbit(v);
  if (!std::isfinite(bound)) return std::isfinite(found);
  return found == v || std::fabs(found - v) <= bound;
}

struct ValueComparison : Comparison {
  std::vector<std::size_t> wrong;  // all positions that differ
};

ValueComparison compare_with_bounds(const Tensor& y, const Array<Bounded>& expected, const Precision& p) {
  const Tensor found = y.to(DType::f64);
  ValueComparison comparison;
  for (std::int64_t i = 0; i < expected.elements(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    const bool agrees = is_within(found.values<double>()[k], expected[i], p);
    if (!agrees) comparison.wrong.push_back(k);
    const double size = std::fabs(expected[i].value());
    const double bound = bound_of(expected[i], p) / (size > 0 ? size : 1);
    if (std::isfinite(bound)) comparison.would_notice = std::max(comparison.would_notice, bound);
    comparison.add(k, agrees ? Verdict::agree : Verdict::disagree,
                   agrees                 ? 0
                   : std::isfinite(bound) ? bound
                                          : 1);
  }
  return comparison;
}

Finding value_finding(const OpCase& op, std::string_view check, const Tensor& y, const Precision& p) {
  const ValueComparison comparison = compare_with_bounds(y, op.bounds, p);
  const Tensor found = y.to(DType::f64);
  Finding f = op.finding(
      check, no_operand, comparison,
      fmt::format("the {} kernel is further from the reference than rounding can be", name(p.dtype)),
      [&](std::size_t k) {
        const auto at = static_cast<std::int64_t>(k);
        return WrongEntry{"y" + index_text(y.shape(), at), found.values<double>()[k], op.bounds[at].value()};
      });
  if (f.verdict != Verdict::agree) {
    f.blame = Blame::unclear;
    f.likely = p.dtype == DType::f64 ? diagnose_value(op, y, comparison.wrong)
                                     : diagnose_f32_kernel(op, comparison.wrong);
    f.oracles.push_back({"reference", f.verdict, comparison.would_notice, 1});
  }
  return f;
}

}  // namespace

void check_value(const OpCase& op, GradcheckReport& report) {
  const Tensor y = op.forward(op.inputs);
  if (y.shape() != op.bounds.shape()) {
    Finding f = op.finding(
        "P0", no_operand, Verdict::disagree,
        fmt::format("y has shape {}, the reference {}", to_string(y.shape()), to_string(op.bounds.shape())));
    f.blame = Blame::unclear;
    f.likely = diagnose_value(op, y, {});
    report.findings.push_back(std::move(f));
    return;
  }
  report.findings.push_back(value_finding(op, "P0", y, f64));
}

void check_throws(const OpCase& op, std::string_view text, GradcheckReport& report) {
  Graph g;
  std::vector<Var> x;
  for (const Tensor& tensor : op.inputs)
    x.push_back(is_floating(tensor.dtype()) ? g.input(tensor) : Var(tensor));
  const NodeId before = g.node_count();
  std::string found = "nothing was thrown";
  try {
    (void)op.info.call(x, op.attributes);
  } catch (const Error& error) {
    found = fmt::format("'{}'", error.what());
  }
  if (found.find(text) != std::string::npos && g.node_count() == before) {
    report.findings.push_back(op.finding("P0", no_operand, Verdict::agree, {}));
    return;
  }
  const std::string_view graph = g.node_count() == before ? "" : ", and nodes were recorded";
  Finding f = op.finding("P0", no_operand, Verdict::disagree,
                         fmt::format("needed an error that says '{}', found {}{}", text, found, graph));
  f.blame = Blame::forward;
  f.likely = found == "nothing was thrown"
                 ? "the op computes what it has to refuse: a check of its operands is missing"
                 : "another check of the operands comes first, or its text is another";
  report.findings.push_back(std::move(f));
}

void check_f32(const OpCase& op, GradcheckReport& report) {
  const std::vector<Tensor> inputs = op.inputs_in(DType::f32);
  const Tensor y = op.forward(inputs);
  if (y.shape() != op.bounds.shape()) return;  // P0 has said so
  report.findings.push_back(value_finding(op, "O5", y, f32));
  if (op.checked.empty() || op.gx_bounds.empty()) return;
  const Recorded recorded(op, inputs);
  const Tensor gy = op.gy.to(DType::f32);
  for (const bool record : {false, true}) {
    const std::vector<Var> gx = gradient(recorded.y, recorded.targets, {.record = record, .gy = Var(gy)});
    for (std::size_t k = 0; k < gx.size(); ++k) {
      if (op.gx_bounds[k].elements() == 0) continue;
      const Comparison comparison = compare_with_bounds(gx[k].value(), op.gx_bounds[k], f32);
      const Tensor found = gx[k].value().to(DType::f64);
      const std::string argument(op.argument(op.checked[k]).name);
      report.findings.push_back(
          op.finding("O5", op.checked[k], comparison,
                     fmt::format("the {} gradient in f32 is further from f64 than rounding can be",
                                 record ? "recorded" : "unrecorded"),
                     [&](std::size_t at) {
                       const auto i = static_cast<std::int64_t>(at);
                       return WrongEntry{fmt::format("g{}{}", argument, index_text(gx[k].shape(), i)),
                                         found.values<double>()[at], op.gx_bounds[k][i].value()};
                     }));
      if (comparison.verdict != Verdict::agree) report.findings.back().blame = Blame::rule;
    }
  }
}

}  // namespace weft
