// An op on its samples.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <thread>

#include "gradcheck/checks.hpp"
#include "gradcheck/diagnosis.hpp"
#include "gradcheck/diagnosis_checks.hpp"
#include "gradcheck/token.hpp"
#include "weft/op.hpp"

namespace weft {

namespace {

bool has_smooth_steps(Pattern pattern) { return pattern == Pattern::generic || pattern == Pattern::negative; }
bool has_ties(Pattern pattern) {
  return pattern == Pattern::ties || pattern == Pattern::zeros || pattern == Pattern::all_equal;
}

class SampleCheck {
 public:
  SampleCheck(const OpInfo& info, const Sample& sample, std::string name, const GradcheckOptions& options)
      : info_(info), sample_(sample), name_(std::move(name)), options_(options) {}

  GradcheckReport run() {
    std::uint64_t seed = options_.seed;
    for (int attempt = 0; attempt <= options_.max_resamples; ++attempt, seed += 0x9e3779b97f4a7c15) {
      report_ = {};
      if (run_with(seed) || sample_.pattern != Pattern::generic) break;
      report_.resampled = 1;
    }
    settle_likely(report_.findings);
    return std::move(report_);
  }

 private:
  OpCase make_case(const Sample& sample, std::uint64_t seed) const {
    OpCase op(info_, sample.attributes, sample_inputs(info_, sample, seed, DType::f64), name_, options_);
    op.token = to_string(Token{std::string(info_.name), name_, seed});
    return op;
  }

  // False where a kink left no room for a step.
  bool run_with(std::uint64_t seed) {
    OpCase op = make_case(sample_, seed);
    if (!sample_.throws.empty()) {
      check_throws(op, sample_.throws, report_);
      return true;
    }
    bool has_room = true;
    try {
      op.run_reference(true);
      check_value(op, report_);
      if (op.y_shape != op.bounds.shape()) return true;
      has_room = check_gradients(op);
    } catch (const std::exception& error) {
      add_error("P0", no_operand, error.what(), op);
      return true;
    }
    try {
      check_f32(op, report_);
    } catch (const std::exception& error) {
      add_error("O5", op.checked.empty() ? no_operand : op.checked[0], error.what(), op);
    }
    return has_room;
  }

  bool check_gradients(OpCase& op) {
    if (op.checked.empty()) return true;
    {
      const Recorded recorded(op, op.inputs);
      if (!is_floating(recorded.y.dtype())) return true;
      if (!is_differentiable(recorded.y)) {
        report_.findings.push_back(
            op.finding("P1", op.checked[0], Verdict::disagree, "the op recorded no differentiable node"));
        return true;
      }
    }
    try {
      op.run_rule_bounds();
      RuleContext context{.finite = sample_.pattern != Pattern::special};
      std::unique_ptr<OpCase> other = sibling();
      context.other = other.get();
      check_properties(op, context, report_);
      if (sample_.pattern == Pattern::special) return true;
      const bool has_room = check_derivatives(op, has_smooth_steps(sample_.pattern), report_);
      if (has_ties(sample_.pattern)) check_ties(op, report_);
      if (info_.twice_differentiable) check_second_order(op, has_smooth_steps(sample_.pattern), report_);
      return has_room;
    } catch (const Error& error) {
      add_rule_errors(op, error);
      return true;
    }
  }

  // A sample of the same shapes with other attributes, to be run between two runs of this one.
  std::unique_ptr<OpCase> sibling() const {
    for (const Sample& sample : info_.samples.list()) {
      if (sample.shapes != sample_.shapes || sample.attributes == sample_.attributes ||
          !sample.throws.empty() || sample.pattern != sample_.pattern)
        continue;
      auto other = std::make_unique<OpCase>(make_case(sample, options_.seed));
      other->run_reference(true);
      return other;
    }
    return nullptr;
  }

  // A rule that throws: for which operands?
  void add_rule_errors(const OpCase& op, const Error& error) {
    bool found = false;
    for (const std::size_t i : op.checked) {
      try {
        (void)Recorded(op, op.inputs, std::span(&i, 1)).gradients(op.gy);
      } catch (const Error& alone) {
        add_error("P1", i, alone.what(), op);
        found = true;
      }
    }
    if (!found) add_error("P1", no_operand, error.what(), op);
  }

  void add_error(std::string_view check, std::size_t operand, std::string_view what, const OpCase& op) {
    Finding f = op.finding(check, operand, Verdict::disagree, fmt::format("threw '{}'", what));
    f.blame = check == "P0" ? Blame::forward : Blame::rule;
    if (check == "P1" && operand != no_operand) f.likely = diagnose_shape(op, operand);
    report_.findings.push_back(std::move(f));
  }

  const OpInfo& info_;
  const Sample& sample_;
  const std::string name_;
  const GradcheckOptions& options_;
  GradcheckReport report_;
};

void append(GradcheckReport& to, GradcheckReport from) {
  std::ranges::move(from.findings, std::back_inserter(to.findings));
  std::ranges::move(from.notes, std::back_inserter(to.notes));
  to.resampled += from.resampled;
}

// A gradient that is 0 on every sample was not tested.
void require_gradients(const OpInfo& info, GradcheckReport& report) {
  std::map<std::string, double> scales;
  for (const Finding& f : report.findings) {
    if (f.check != "O1" && f.check != "O2") continue;
    const auto argument = std::ranges::find(info.arguments, f.argument, &Argument::name);
    if (argument != info.arguments.end() && argument->flat) continue;
    double& scale = scales[f.argument];
    scale = std::max(scale, f.scale);
  }
  for (const auto& [argument, scale] : scales) {
    if (scale > 0) continue;
    Finding f;
    f.check = "O1";
    f.verdict = Verdict::unresolved;
    f.op = info.name;
    f.argument = argument;
    f.summary = "the gradient is 0 everywhere: nothing was tested";
    report.findings.push_back(std::move(f));
  }
}

// What the failing samples have in common, for failures that have no other explanation.
void explain_by_samples(const OpInfo& info, std::span<const std::string> names, GradcheckReport& report) {
  std::map<std::string, bool> failed;
  for (const Finding& f : report.findings) failed[f.sample] |= f.verdict != Verdict::agree;
  std::vector<const Sample*> passing, failing;
  for (std::size_t k = 0; k < names.size(); ++k) {
    if (!info.samples.list()[k].throws.empty() || !failed.contains(names[k])) continue;
    (failed[names[k]] ? failing : passing).push_back(&info.samples.list()[k]);
  }
  if (failing.empty() || passing.empty()) return;
  const std::string common = distinguishing_attribute(info, passing, failing);
  if (common.empty()) return;
  for (Finding& f : report.findings) {
    if (f.verdict == Verdict::agree) continue;
    f.likely += f.likely.empty() ? common : "; " + common;
  }
}

}  // namespace

GradcheckReport check_op(const OpInfo& info, const Sample& sample, const GradcheckOptions& options) {
  const std::vector<Sample>& list = info.samples.list();
  std::string name = to_string(sample);
  if (!list.empty() && &sample >= list.data() && &sample < list.data() + list.size())
    name = sample_names(info)[static_cast<std::size_t>(&sample - list.data())];
  GradcheckReport report = SampleCheck(info, sample, std::move(name), options).run();
  require_gradients(info, report);
  return report;
}

GradcheckReport check_op(const OpInfo& info, const GradcheckOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Sample>& list = info.samples.list();
  const std::vector<std::string> names = sample_names(info);
  std::vector<GradcheckReport> reports(list.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t k = next++; k < list.size(); k = next++)
      reports[k] = SampleCheck(info, list[k], names[k], options).run();
  };
  {
    std::vector<std::jthread> others;
    for (int t = 1; t < options.threads; ++t) others.emplace_back(work);
    work();
  }
  GradcheckReport report;
  for (GradcheckReport& one : reports) append(report, std::move(one));
  require_gradients(info, report);
  if (!report) explain_by_samples(info, names, report);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace weft
