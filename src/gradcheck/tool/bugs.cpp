// weft-gradcheck bugs.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "gradcheck/tool/tool.hpp"

namespace weft::tool {

namespace {

enum class Fate { killed, survived, waiting };

struct Result {
  Fate fate = Fate::survived;
  std::string by, likely;
};

// Whether the finding is of the gradient where the bug is; a repeated operand is "parts[1]".
bool names_argument(const Finding& finding, const PlantedBug& bug) {
  return bug.argument.empty() || finding.argument == bug.argument ||
         finding.argument.starts_with(fmt::format("{}[", bug.argument));
}

// A disagreement that names the bug's op and argument.
const Finding* killer(const GradcheckReport& report, const PlantedBug& bug) {
  const auto found = std::ranges::find_if(report.findings, [&](const Finding& finding) {
    const bool names_op = bug.engine || finding.op == bug.op;
    return finding.verdict == Verdict::disagree && names_op && names_argument(finding, bug);
  });
  return found == report.findings.end() ? nullptr : &*found;
}

Result result_of(const Finding& finding, const std::string& sample) {
  return {Fate::killed, fmt::format("{}, {}", finding.check, sample), {}};
}

std::string likely_in(const GradcheckReport& report, const PlantedBug& bug) {
  for (const Finding& finding : report.findings) {
    const bool is_of_it = bug.argument.empty() ? finding.argument.empty() : names_argument(finding, bug);
    if (finding.verdict == Verdict::disagree && is_of_it && !finding.likely.empty()) return finding.likely;
  }
  return {};
}

// Samples one after the other, until one gives a disagreement, and then until one says what the mistake is.
Result plant_and_check(const PlantedBug& bug, const OpInfo& healthy) {
  const OpInfo planted = bug.plant(healthy);
  const std::vector<std::string> names = sample_names(planted);
  Result result;
  for (std::size_t i = 0; i < names.size() && result.likely.empty(); ++i) {
    const GradcheckReport report = check_op(planted, planted.samples.list()[i]);
    const Finding* finding = killer(report, bug);
    if (finding && result.fate == Fate::survived) result = result_of(*finding, names[i]);
    result.likely = likely_in(report, bug);
  }
  return result;
}

Result try_bug(const PlantedBug& bug, std::span<const OpInfo* const> infos) {
  if (bug.engine) {
    const GradcheckReport report = check_engine(bug.engine);
    const Finding* finding = killer(report, bug);
    if (!finding) return {};
    Result result = result_of(*finding, finding->sample);
    result.likely = finding->likely;
    return result;
  }
  const auto info =
      std::ranges::find_if(infos, [&](const OpInfo* candidate) { return candidate->name == bug.op; });
  if (!bug.plant || info == infos.end()) return {.fate = Fate::waiting, .by = {}, .likely = {}};
  return plant_and_check(bug, **info);
}

using Row = std::array<std::string, 5>;  // id, op, argument, title, killed by

void print_rows(const std::vector<Row>& rows) {
  std::array<std::size_t, 5> width{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], width[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  }
}

}  // namespace

int bugs(const Project& project, const std::string& op) {
  std::vector<const PlantedBug*> chosen;
  for (const PlantedBug& bug : project.bugs) {
    if (op.empty() || bug.op == op) chosen.push_back(&bug);
  }
  if (chosen.empty()) {
    throw UsageError(op.empty() ? "no bugs are planted here: weft was built without its tests"
                                : fmt::format("no bug is planted in '{}'", op),
                     op.empty() ? "cmake -DWEFT_TESTS=ON" : "weft-gradcheck bugs");
  }
  std::vector<Row> rows{{"bug", "op", "argument", "title", "killed by"}};
  std::array<int, 3> count{};
  int named = 0, named_rightly = 0;
  Progress progress(chosen.size());
  for (const PlantedBug* bug : chosen) {
    progress.next(bug->id);
    const Result result = try_bug(*bug, project.infos);
    ++count[static_cast<std::size_t>(result.fate)];
    const bool is_right = !bug->mistake.empty() && result.likely.find(bug->mistake) != std::string::npos;
    named += !result.likely.empty();
    named_rightly += is_right;
    const std::string fate = result.fate == Fate::killed ? result.by
                             : result.fate == Fate::survived
                                 ? fmt::format("SURVIVED (exposed by {})", bug->exposed)
                                 : "waiting: there is no such op";
    rows.push_back({std::string(bug->id), std::string(bug->op), std::string(bug->argument),
                    std::string(bug->title), fate});
    if (!result.likely.empty())
      rows.push_back({"", "", "", "", (is_right ? "likely: " : "likely, not rightly: ") + result.likely});
  }
  progress.clear();
  print_rows(rows);
  fmt::print("{} killed, {} survived, {} waiting; a likely mistake was named for {}, rightly for {}\n",
             count[0], count[1], count[2], named, named_rightly);
  return count[1] == 0 ? agree : disagree;
}

}  // namespace weft::tool
