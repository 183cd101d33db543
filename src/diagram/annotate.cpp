#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "weft/diagram.hpp"
#include "weft/gradcheck.hpp"

namespace weft {

namespace {

// The node that a finding names: "node 17" in its sample, the only node of its op, or the source whose
// gradient it is.
NodeId node_of(const Snapshot& s, const Finding& finding) {
  for (const std::string* text : {&finding.sample, &finding.argument}) {
    NodeId n = no_node;
    if (text->starts_with("node ")) std::from_chars(text->data() + 5, text->data() + text->size(), n);
    if (n < s.node_count()) return n;
  }
  NodeId of_op = no_node, source = no_node;
  std::size_t of_that_op = 0;
  for (NodeId n = 0; n < s.node_count(); ++n) {
    if (!s.name(n).empty() && s.name(n) == finding.argument) source = n;
    if (!s.is_op(n) || s.op_name(n) != finding.op) continue;
    of_op = n;
    ++of_that_op;
  }
  return of_that_op == 1 ? of_op : source;
}

// Of a gradient that agrees, the smallest error that would have been noticed; else the error of the worst
// entry. Relative to the largest entry.
double error_of(const Finding& finding) {
  if (finding.verdict == Verdict::agree || finding.worst.empty()) return finding.resolution;
  const WrongEntry& worst = finding.worst.front();
  return std::abs(worst.found - worst.expected) / (finding.scale > 0 ? finding.scale : 1);
}

// Of the nodes that failed, an op before a source, then the one with the largest error.
NodeId worst_of(const Snapshot& s) {
  NodeId worst = no_node;
  const auto rank = [&](NodeId n) { return std::pair(s.is_op(n), s.measured.check_error[n]); };
  for (NodeId n = 0; n < s.node_count(); ++n) {
    if (s.measured.check[n] > 1 && (worst == no_node || rank(n) > rank(worst))) worst = n;
  }
  return worst;
}

}  // namespace

void annotate(Snapshot& s, const GradcheckReport& report) {
  Measurements& m = s.measured;
  m.check.assign(s.node_count(), 0);
  m.check_error.assign(s.node_count(), 0);
  m.check_where.assign(s.node_count(), 0);
  for (const Finding& finding : report.findings) {
    const NodeId n = node_of(s, finding);
    if (n == no_node) continue;
    const auto verdict = static_cast<std::uint8_t>(1 + static_cast<int>(finding.verdict));
    if (verdict < m.check[n]) continue;
    const double error = error_of(finding);
    if (verdict == m.check[n] && error <= m.check_error[n]) continue;
    m.check[n] = verdict;
    m.check_error[n] = error;
    m.check_where[n] = finding.worst.empty() ? 0 : s.strings.add(finding.worst.front().where);
  }
}

DiagramReport save_diagram(const GradcheckReport& report, const std::string& file, DiagramOptions options) {
  if (!report.record) throw GraphError("save_diagram: the report of a gradient check has no record");
  Snapshot s = *report.record;
  annotate(s, report);
  options.overlay = DiagramOverlay::gradcheck;
  if (const NodeId worst = worst_of(s); worst != no_node && !options.around) {
    options.around = worst;
    options.radius = 2;
  }
  return save_diagram(s, file, options);
}

void draw_failed_check(const GradcheckReport& report, const std::string& file) noexcept try {
  const DiagramReport drawn = save_diagram(report, file);
  fmt::print(stderr, "weft: the check that failed is drawn in {}\n", drawn.files.at(0));
} catch (const std::exception& error) {
  std::fprintf(stderr, "weft: the check that failed could not be drawn: %s\n", error.what());
}

}  // namespace weft
