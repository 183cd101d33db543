// weft-gradcheck run.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "gradcheck/jacobians.hpp"
#include "gradcheck/report_junit.hpp"
#include "gradcheck/tool/tool.hpp"
#include "weft/diagram.hpp"

namespace weft::tool {

namespace {

// A file that is written beside its name and takes it when it is complete. Throws UsageError where that
// cannot be.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path file) : file_(std::move(file)), part_(file_.string() + ".part") {
    if (file_.empty()) return;
    out_.open(part_);
    if (!out_) fail();
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() {
    std::error_code ignored;
    if (!file_.empty() && !done_) std::filesystem::remove(part_, ignored);
  }
  explicit operator bool() const { return !file_.empty(); }

  void finish(std::string_view text) {
    out_ << text;
    out_.close();
    std::error_code error;
    if (out_) std::filesystem::rename(part_, file_, error);
    if (!out_ || error) fail();
    done_ = true;
  }

 private:
  [[noreturn]] void fail() const {
    throw UsageError(fmt::format("cannot write '{}': {}", file_.string(), std::strerror(errno)),
                     "weft-gradcheck run --help");
  }

  std::filesystem::path file_, part_;
  std::ofstream out_;
  bool done_ = false;
};

// Only what the named oracles say.
void keep_oracles(GradcheckReport& report, const std::vector<std::string>& oracles) {
  if (oracles.empty()) return;
  const auto wants = [&](std::string_view oracle) {
    return std::ranges::find(oracles, oracle) != oracles.end();
  };
  std::erase_if(report.findings, [&](const Finding& finding) {
    return !(finding.check == "O1" && wants("dual")) && !(finding.check == "O2" && wants("difference"));
  });
}

GradcheckReport check(const Case& one, const RunOptions& options, std::uint64_t seed) {
  GradcheckOptions checked{.seed = seed};
  if (options.budget) checked.budget = *options.budget;
  const auto start = std::chrono::steady_clock::now();
  GradcheckReport report = one.sample ? check_op(*one.info, one.info->samples.list()[*one.sample], checked)
                                      : check_op(*one.info, checked);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  keep_oracles(report, options.oracles);
  return report;
}

void append(GradcheckReport& all, GradcheckReport&& report) {
  std::ranges::move(report.findings, std::back_inserter(all.findings));
  std::ranges::move(report.notes, std::back_inserter(all.notes));
  all.resampled += report.resampled;
  all.seconds += report.seconds;
}

// Every entry: argument, index of y, index of x, by the rule, by the reference.
std::string jacobian_csv(const Case& one) {
  const GradcheckOptions options;
  const OpCase op = op_case_of(one, options);
  const std::vector<std::vector<double>> rules = rule_jacobians(op);
  std::string csv = "argument,y,x,backward,dual\n";
  for (std::size_t c = 0; c < op.checked.size(); ++c) {
    const std::size_t i = op.checked[c];
    const std::vector<double> dual = dual_jacobian(op, i);
    const std::int64_t columns = op.inputs[i].elements();
    for (std::size_t k = 0; k < dual.size(); ++k) {
      const auto position = static_cast<std::int64_t>(k);
      fmt::format_to(std::back_inserter(csv), "{},\"{}\",\"{}\",{},{}\n", op.argument(i).name,
                     index_text(op.y_shape, position / columns),
                     index_text(op.inputs[i].shape(), position % columns), rules[c][k], dual[k]);
    }
  }
  return csv;
}

// The record of a sample, with what its check found.
void draw(const Case& one, GradcheckReport report, const std::filesystem::path& file) {
  const GradcheckOptions options;
  const OpCase op = op_case_of(one, options);
  report.record = std::make_shared<const Snapshot>(take_snapshot(Recorded(op, op.inputs).g));
  try {
    save_diagram(report, file);
  } catch (const FileError& error) {
    throw UsageError(error.what(), "weft-gradcheck run --help");
  }
}

std::vector<Case> all_cases(const Project& project, const RunOptions& options) {
  std::vector<Case> cases;
  for (const std::string& text : options.cases)
    std::ranges::copy(cases_of(project, text), std::back_inserter(cases));
  for (const auto& [file, option] :
       {std::pair(&options.jacobian, "--jacobian"), {&options.diagram, "--diagram"}}) {
    if (!file->empty()) require_one_sample(cases, option);
  }
  return cases;
}

}  // namespace

int run(const Project& project, const RunOptions& options) {
  const std::vector<Case> cases = all_cases(project, options);
  OutputFile json(options.json), junit(options.junit), jacobian(options.jacobian);
  if (jacobian) jacobian.finish(jacobian_csv(cases[0]));

  GradcheckReport all;
  std::size_t failed = 0;
  Progress progress(cases.size() * static_cast<std::size_t>(options.seeds));
  for (const Case& one : cases) {
    for (int i = 0; i < options.seeds; ++i) {
      progress.next(one.info->name);
      GradcheckReport report = check(one, options, one.seed + static_cast<std::uint64_t>(i));
      failed += report.verdict() != Verdict::agree;
      progress.clear();
      fmt::print("{}\n", to_text(report));
      std::fflush(stdout);
      append(all, std::move(report));
    }
  }
  if (!options.diagram.empty()) draw(cases[0], all, options.diagram);
  const Verdict verdict = all.verdict();
  if (cases.size() * static_cast<std::size_t>(options.seeds) > 1) {
    fmt::print("{}: {} runs, {} failed, {} checks, {:.2g} s\n", name(verdict),
               cases.size() * static_cast<std::size_t>(options.seeds), failed, all.findings.size(),
               all.seconds);
  }
  if (json) json.finish(to_json(all));
  if (junit) junit.finish(to_junit(all));
  return exit_code(verdict);
}

}  // namespace weft::tool
