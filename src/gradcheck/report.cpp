#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "weft/gradcheck.hpp"

namespace weft {

std::string_view name(Verdict verdict) {
  constexpr std::string_view names[] = {"agree", "disagree", "unresolved"};
  return names[static_cast<std::size_t>(verdict)];
}

Verdict GradcheckReport::verdict() const {
  Verdict worst = findings.empty() ? Verdict::unresolved : Verdict::agree;
  for (const Finding& finding : findings) {
    if (finding.verdict == Verdict::disagree) return Verdict::disagree;
    if (finding.verdict == Verdict::unresolved) worst = Verdict::unresolved;
  }
  return worst;
}

std::string to_text(const GradcheckReport& report, int) {
  if (report.findings.empty()) return "gradients UNRESOLVED: nothing was checked";
  constexpr std::size_t most = 12;  // failures that are shown
  std::set<std::string> samples;
  double resolution = 0;
  std::size_t failures = 0;
  for (const Finding& finding : report.findings) {
    samples.insert(finding.sample);
    resolution = std::max(resolution, finding.resolution);
    failures += finding.verdict != Verdict::agree;
  }
  std::string verdict(name(report.verdict()));
  if (failures > 0)
    std::ranges::transform(verdict, verdict.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
  std::string out =
      fmt::format("gradients {}: {} checks on {} samples", verdict, report.findings.size(), samples.size());
  out +=
      failures == 0 ? fmt::format(", resolution {:.1e}", resolution) : fmt::format(", {} failed", failures);
  std::size_t shown = 0;
  for (const Finding& finding : report.findings) {
    if (finding.verdict == Verdict::agree || shown++ >= most) continue;
    fmt::format_to(std::back_inserter(out), "\n  {} {} {}{}{}\n    sample {}\n    {}", name(finding.verdict),
                   finding.op, finding.check, finding.argument.empty() ? "" : ", gradient of ",
                   finding.argument, finding.sample, finding.summary);
  }
  if (shown > most) out += fmt::format("\n  ... and {} more", shown - most);
  return out;
}

}  // namespace weft
