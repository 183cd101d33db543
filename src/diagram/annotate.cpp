#include <algorithm>
#include <charconv>

#include "weft/diagram.hpp"
#include "weft/gradcheck.hpp"

namespace weft {

namespace {

// The node that a finding names: "node 17" in its sample, or the name of the source whose gradient it is.
NodeId node_of(const Snapshot& s, const Finding& finding) {
  for (const std::string* text : {&finding.sample, &finding.argument}) {
    const std::size_t at = text->find("node ");
    NodeId n = no_node;
    if (at != std::string::npos) std::from_chars(text->data() + at + 5, text->data() + text->size(), n);
    if (n < s.node_count()) return n;
  }
  for (NodeId n = 0; n < s.node_count(); ++n) {
    if (!s.name(n).empty() && (s.name(n) == finding.argument || s.name(n) == finding.sample)) return n;
  }
  return no_node;
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
    m.check_error[n] = std::max(m.check_error[n], finding.resolution);
    if (verdict <= m.check[n]) continue;
    m.check[n] = verdict;
    if (finding.verdict != Verdict::agree) m.check_where[n] = s.strings.add(finding.sample);
  }
}

}  // namespace weft
