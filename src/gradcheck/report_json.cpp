#include <cmath>
#include <nlohmann/json.hpp>

#include "weft/gradcheck.hpp"

namespace weft {

namespace {

using nlohmann::ordered_json;

// JSON has no NaN and no infinities: they are strings.
ordered_json number(double value) {
  if (std::isfinite(value)) return value;
  if (std::isnan(value)) return "NaN";
  return value > 0 ? "Infinity" : "-Infinity";
}

ordered_json to_json(const OracleVerdict& oracle) {
  return {{"oracle", oracle.oracle},
          {"verdict", name(oracle.verdict)},
          {"would_notice", number(oracle.would_notice)},
          {"evaluations", oracle.evaluations}};
}

ordered_json to_json(const WrongEntry& entry) {
  return {{"where", entry.where}, {"found", number(entry.found)}, {"expected", number(entry.expected)}};
}

ordered_json to_json(const Finding& finding);

template <class T>
ordered_json list_of(const std::vector<T>& values) {
  ordered_json list = ordered_json::array();
  for (const T& value : values) list.push_back(to_json(value));
  return list;
}

ordered_json to_json(const Finding& finding) {
  ordered_json json = {{"check", finding.check},   {"verdict", name(finding.verdict)},
                       {"op", finding.op},         {"argument", finding.argument},
                       {"sample", finding.sample}, {"resolution", number(finding.resolution)},
                       {"token", finding.token}};
  if (finding.verdict == Verdict::agree) return json;
  json["blame"] = name(finding.blame);
  json["summary"] = finding.summary;
  json["context"] = finding.context;
  json["oracles"] = list_of(finding.oracles);
  json["differing"] = finding.differing;
  json["compared"] = finding.compared;
  json["others_equal"] = finding.others_equal;
  json["entry_axes"] = finding.entry_axes;
  json["worst"] = list_of(finding.worst);
  json["pattern"] = finding.pattern;
  json["likely"] = finding.likely;
  return json;
}

}  // namespace

std::string to_json(const GradcheckReport& report) {
  const ordered_json json = {{"verdict", name(report.verdict())},
                             {"seconds", number(report.seconds)},
                             {"resampled", report.resampled},
                             {"notes", report.notes},
                             {"findings", list_of(report.findings)}};
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace weft
