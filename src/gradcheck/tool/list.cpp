// weft-gradcheck list.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "gradcheck/tool/tool.hpp"

namespace weft::tool {

namespace {

struct Row {
  const OpInfo* info;
  CoverageReport coverage;
  Verdict verdict;
  double dual = 0, difference = 0;  // the largest resolution of a check that agrees
};

Row row_of(const OpInfo& info) {
  const GradcheckReport report = check_op(info);
  Row row{.info = &info, .coverage = sample_coverage(info), .verdict = report.verdict()};
  for (const Finding& finding : report.findings) {
    if (finding.verdict != Verdict::agree) continue;
    if (finding.check == "O1") row.dual = std::max(row.dual, finding.resolution);
    if (finding.check == "O2") row.difference = std::max(row.difference, finding.resolution);
  }
  return row;
}

// JSON has no NaN and no infinities.
nlohmann::ordered_json number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value)
                              : nlohmann::ordered_json(fmt::format("{}", value));
}

void print_json(const std::vector<Row>& rows) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    json.push_back({{"op", row.info->name},
                    {"verdict", name(row.verdict)},
                    {"samples", sample_names(*row.info)},
                    {"missing", row.coverage.missing},
                    {"dual", number(row.dual)},
                    {"difference", number(row.difference)}});
  }
  fmt::print("{}\n", json.dump(2));
}

void print_table(const std::vector<Row>& rows) {
  std::size_t width = 2;
  for (const Row& row : rows) width = std::max(width, row.info->name.size());
  const auto resolution = [](double value) {
    return value == 0 ? std::string("-") : fmt::format("{:.1e}", value);
  };
  fmt::print("{:<{}}  samples  verdict     dual     difference  left out\n", "op", width);
  for (const Row& row : rows) {
    fmt::print("{:<{}}  {:<7}  {:<10}  {:<7}  {:<10}  {}\n", row.info->name, width,
               row.info->samples.list().size(), name(row.verdict), resolution(row.dual),
               resolution(row.difference), row.coverage.missing.size());
    for (const std::string& missing : row.coverage.missing)
      fmt::print("{:<{}}  left out: {}\n", "", width, missing);
  }
}

void print_samples(const OpInfo& info) {
  const std::vector<std::string> names = sample_names(info);
  std::size_t width = 0;
  for (const std::string& name : names) width = std::max(width, name.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Sample& sample = info.samples.list()[i];
    fmt::print("{}:{:<{}}  {}{}\n", info.name, names[i], width, to_string(sample),
               sample.throws.empty() ? "" : fmt::format(" throws '{}'", sample.throws));
  }
}

}  // namespace

int list(const Project& project, const std::string& op, bool as_json) {
  std::vector<Row> rows;
  const std::vector<Case> cases = cases_of(project, op.empty() ? "all" : op);
  if (!op.empty() && !as_json) {
    print_samples(*cases[0].info);
    return agree;
  }
  Progress progress(cases.size());
  for (const Case& one : cases) {
    progress.next(one.info->name);
    rows.push_back(row_of(*one.info));
  }
  progress.clear();
  if (as_json)
    print_json(rows);
  else
    print_table(rows);
  return agree;
}

}  // namespace weft::tool
