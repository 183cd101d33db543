#include "gradcheck/report_junit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <sstream>

namespace weft {

namespace {

using boost::property_tree::ptree;

ptree case_of(const Finding& finding) {
  ptree node;
  node.put("<xmlattr>.classname", finding.op);
  node.put("<xmlattr>.name", fmt::format("{}{}{} {}", finding.check, finding.argument.empty() ? "" : " of ",
                                         finding.argument, finding.sample));
  if (finding.verdict == Verdict::agree) return node;
  ptree failure(to_text({.findings = {finding}, .notes = {}}));
  failure.put("<xmlattr>.type", name(finding.verdict));
  failure.put("<xmlattr>.message", finding.likely.empty() ? finding.summary : finding.likely);
  node.add_child("failure", failure);
  return node;
}

}  // namespace

std::string to_junit(const GradcheckReport& report) {
  std::vector<std::string_view> ops;
  for (const Finding& finding : report.findings) {
    if (std::ranges::find(ops, finding.op) == ops.end()) ops.push_back(finding.op);
  }
  ptree suites;
  for (const std::string_view op : ops) {
    ptree suite;
    int tests = 0, failures = 0;
    for (const Finding& finding : report.findings) {
      if (finding.op != op) continue;
      ++tests;
      failures += finding.verdict != Verdict::agree;
      suite.add_child("testcase", case_of(finding));
    }
    suite.put("<xmlattr>.name", op);
    suite.put("<xmlattr>.tests", tests);
    suite.put("<xmlattr>.failures", failures);
    suites.add_child("testsuite", suite);
  }
  ptree document;
  document.add_child("testsuites", suites);
  std::ostringstream out;
  write_xml(out, document, boost::property_tree::xml_writer_make_settings<std::string>(' ', 1));
  return out.str();
}

}  // namespace weft
