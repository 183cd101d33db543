// E1: an engine on records that exercise it, against dual numbers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gradcheck/engine_records.hpp"
#include "gradcheck/numerics.hpp"
#include "weft/gradcheck.hpp"
#include "weft/random.hpp"

namespace weft {

namespace {

constexpr double eta = 1e-3;  // of the largest entry: what a gradient of 0 is compared with
constexpr std::size_t most_worst = 8;

// Both signs, magnitudes in [1, 2).
Tensor dense_gy(const Shape& shape, std::uint64_t seed, std::uint64_t call) {
  Random random(seed, call);
  Tensor gy(shape, DType::f64);
  for (double& value : gy.mutable_values<double>()) {
    value = (random.below(2) == 0 ? -1 : 1) * (1 + static_cast<double>(random.below(64)) / 64);
  }
  return gy;
}

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
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(report_);
  }

 private:
  // Two calls on one record, with different gradients arriving.
  void check(const EngineCase& one) {
    Graph g;
    const EngineRecord record = one.record(g);
    rounding_ = 6 * std::sqrt(static_cast<double>(g.node_count())) * unit_roundoff_f64;
    check_call(record, one.name, dense_gy(record.y.shape(), options_.seed, 1));
    check_call(record, one.name + ", called again", dense_gy(record.y.shape(), options_.seed, 2));
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
    std::vector<std::pair<double, std::size_t>> failed;  // resolution and position
    for (std::size_t k = 0; k < a.size(); ++k) {
      const double scale = std::max(std::fabs(b[k]), floor);
      const Difference estimate{b[k], rounding_ * scale};
      ++finding.compared;
      if (a[k] == b[k]) continue;
      const Verdict verdict = judge(a[k], estimate, scale, options_.detect_exact);
      const double noticed = resolution(a[k], estimate, scale);
      finding.resolution = std::max(finding.resolution, std::isnan(noticed) ? INFINITY : noticed);
      if (verdict == Verdict::agree) continue;
      if (finding.verdict != Verdict::disagree) finding.verdict = verdict;
      ++finding.differing;
      failed.emplace_back(std::isnan(noticed) ? INFINITY : noticed, k);
    }
    if (failed.empty()) return;
    std::ranges::sort(failed, std::greater<>{});
    for (std::size_t i = 0; i < std::min(failed.size(), most_worst); ++i) {
      const std::size_t k = failed[i].second;
      const std::string at = index_text(found.shape(), static_cast<std::int64_t>(k));
      finding.worst.push_back({fmt::format("gx{}", at), a[k], b[k]});
    }
    finding.blame = Blame::rule;
    finding.oracles.push_back({"dual", finding.verdict, finding.resolution, 1});
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
