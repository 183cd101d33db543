// E1: an engine on records that exercise it, against dual numbers.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "gradcheck/diagnosis_checks.hpp"
#include "gradcheck/engine_records.hpp"
#include "gradcheck/op_case.hpp"

namespace weft {

namespace {

constexpr double eta = 1e-3;  // of the largest entry: what a gradient of 0 is compared with

double largest(std::span<const Tensor> tensors) {
  double size = 0;
  for (const Tensor& tensor : tensors) {
    for (const double value : tensor.values<double>()) size = std::max(size, std::fabs(value));
  }
  return size;
}

class EngineCheck {
 public:
  EngineCheck(const GradientFunction& engine, const GradcheckOptions& options)
      : engine_(engine), options_(options) {}

  GradcheckReport run() {
    const auto start = std::chrono::steady_clock::now();
    for (const EngineCase& one : engine_cases(options_.seed)) check(one);
    if (!report_) diagnose_engine(report_.findings);
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(report_);
  }

 private:
  // Two calls on one record, with different gradients arriving.
  void check(const EngineCase& one) {
    Graph g;
    const EngineRecord record = one.record(g);
    rounding_ = 6 * std::sqrt(static_cast<double>(g.node_count())) * unit_roundoff_f64;
    check_call(record, one.name, dense(record.y.shape(), 1));
    check_call(record, one.name + ", called again", dense(record.y.shape(), 2));
  }

  Tensor dense(const Shape& shape, std::uint64_t call) const {
    Random random(options_.seed, call);
    return dense_like(shape, random);
  }

  void check_call(const EngineRecord& record, const std::string& name, const Tensor& gy) {
    std::vector<Tensor> expected, found;
    for (const Var& x : record.xs) expected.push_back(dual_gradient(*record.y.graph(), record.y, x, gy));
    try {
      found = engine_(record.y, record.xs, gy);
    } catch (const std::exception& error) {
      return add_failure(name, {}, fmt::format("the engine threw '{}'", error.what()));
    }
    if (found.size() != expected.size()) {
      return add_failure(
          name, {}, fmt::format("the engine gave {} gradients for {} vars", found.size(), expected.size()));
    }
    const double floor = eta * largest(expected);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::string argument = argument_name(record, i);
      const TensorType type =
          found[i].defined() ? TensorType{found[i].shape(), found[i].dtype()} : TensorType{};
      const TensorType needed{expected[i].shape(), DType::f64};
      if (found[i].defined() && type == needed) {
        compare(name, argument, found[i], expected[i], floor);
      } else {
        add_failure(name, argument,
                    fmt::format("the gradient is {}, its var {}",
                                found[i].defined() ? to_string(type) : "not there", to_string(needed)));
      }
    }
  }

  static std::string argument_name(const EngineRecord& record, std::size_t i) {
    const Var& x = record.xs[i];
    const std::string_view name = x.graph()->op(x.id()) ? "" : x.graph()->name(x.id());
    return name.empty() ? fmt::format("node {}", x.id()) : std::string(name);
  }

  Finding& add(const std::string& name, const std::string& argument) {
    Finding finding;
    finding.check = "E1";
    finding.op = "engine";
    finding.argument = argument;
    finding.sample = name;
    return report_.findings.emplace_back(std::move(finding));
  }

  void add_failure(const std::string& name, const std::string& argument, std::string summary) {
    Finding& finding = add(name, argument);
    finding.verdict = Verdict::disagree;
    finding.blame = Blame::rule;
    finding.summary = std::move(summary);
  }

  void compare(const std::string& name, const std::string& argument, const Tensor& found,
               const Tensor& expected, double floor) {
    Finding& finding = add(name, argument);
    const auto a = found.values<double>(), b = expected.values<double>();
    const auto scale = [&](std::size_t k) { return std::max(std::fabs(b[k]), floor); };
    const Comparison comparison = weft::compare(
        a.size(), options_.detect_exact, [&](std::size_t k) { return a[k]; },
        [&](std::size_t k) { return b[k]; }, [&](std::size_t k) { return rounding_ * scale(k); }, scale);
    finding.verdict = comparison.verdict;
    finding.resolution = comparison.resolution;
    finding.compared = comparison.compared;
    if (comparison.verdict == Verdict::agree) return;
    finding.differing = comparison.differing + comparison.unresolved;
    for (const std::size_t k : comparison.worst)
      finding.worst.push_back({"gx" + index_text(found.shape(), static_cast<std::int64_t>(k)), a[k], b[k]});
    finding.blame = Blame::rule;
    finding.oracles.push_back({"dual", finding.verdict, comparison.would_notice, 1});
    finding.summary = fmt::format("{} of {} entries of the gradient of {} differ from dual numbers",
                                  finding.differing, finding.compared, argument);
  }

  const GradientFunction& engine_;
  const GradcheckOptions& options_;
  double rounding_ = 0;  // of a gradient, relative
  GradcheckReport report_;
};

}  // namespace

GradcheckReport check_engine(const GradientFunction& engine, const GradcheckOptions& options) {
  return EngineCheck(engine, options).run();
}

}  // namespace weft
