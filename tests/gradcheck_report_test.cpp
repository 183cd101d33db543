// The text, JSON and JUnit of reports on made-up findings. Those of the convolution whose gradient ignores
// the stride hold the figures of the example in the specification of the report.
#include <fmt/format.h>

#include <algorithm>
#include <boost/property_tree/xml_parser.hpp>
#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "gradcheck/report_junit.hpp"
#include "weft/gradcheck.hpp"
#include "weft/gradcheck_catch2.hpp"

using namespace weft;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

Finding stride_ignored() {
  Finding f;
  f.check = "O1";
  f.verdict = Verdict::disagree;
  f.op = "conv2d";
  f.argument = "x";
  f.sample = "s2x3_p2x0x0x1";
  f.resolution = 1.7e-14;
  f.blame = Blame::rule;
  f.summary = "dy/dx is not the derivative of the reference";
  f.context = {"attributes stride (2, 3), padding (2, 0, 0, 1), dilation (1, 1)",
               "inputs x f64[2, 7, 5, 3]   w f64[4, 2, 3, 5]   b f64[5]",
               "output y f64[2, 3, 2, 5]   gy dense, both signs"};
  f.oracles = {{"dual", Verdict::disagree, 1.7e-14, 27},
               {"difference, h = 1", Verdict::disagree, 2.8e-13, 420}};
  f.differing = 1738;
  f.compared = 12600;
  f.others_equal = true;
  f.entry_axes = "y[n, h, w, k] <- x[n, h, w, c]";
  f.worst = {{"y[1, 1, 0, 0] <- x[1, 1, 0, 2]", -1.841797, 1.921875},
             {"y[1, 1, 0, 4] <- x[1, 1, 0, 2]", 1.9453125, -1.669922}};
  f.pattern = {"y[0, 1, 1, 2] by x[0, h, w, 1]   m missing, s spurious",
               "  h0  . s s m m    true support      rows 0-3, columns 3-4",
               "  h1  . s s m m    backward support  rows 0-2, columns 1-2",
               "  h2  . s s m m    the offset grows with the output index", "  h3  . . . m m"};
  f.likely =
      "the input position is h + a - pad, not h * stride + a - pad; every sample with stride (1, 1) agrees";
  f.token = "conv2d:s2x3_p2x0x0x1:5eed";
  return f;
}

constexpr const char* stride_ignored_text =
    R"(GRADIENTS DISAGREE  conv2d, gradient of x         conv2d:s2x3_p2x0x0x1:5eed
 attributes  stride (2, 3), padding (2, 0, 0, 1), dilation (1, 1)
 inputs      x f64[2, 7, 5, 3]   w f64[4, 2, 3, 5]   b f64[5]
 output      y f64[2, 3, 2, 5]   gy dense, both signs
 blame       the backward rule   (dual = difference, backward differs)
             oracle             verdict    would notice    evaluations
             dual               disagree   1.7e-14         27
             difference, h = 1  disagree   2.8e-13         420
 extent      1,738 of 12,600 entries differ, the others agree to the bit
 worst       y[n, h, w, k] <- x[n, h, w, c]    backward       dual
             [1, 1, 0, 0]  <- [1, 1, 0, 2]    -1.841797   1.921875
             [1, 1, 0, 4]  <- [1, 1, 0, 2]     1.945312  -1.669922   ...
 pattern     y[0, 1, 1, 2] by x[0, h, w, 1]   m missing, s spurious
               h0  . s s m m    true support      rows 0-3, columns 3-4
               h1  . s s m m    backward support  rows 0-2, columns 1-2
               h2  . s s m m    the offset grows with the output index
               h3  . . . m m
 likely      the input position is h + a - pad, not h * stride + a - pad;
             every sample with stride (1, 1) agrees
 again       weft-gradcheck run conv2d:s2x3_p2x0x0x1:5eed --jacobian j.csv)";

Finding passing(const std::string& op, const std::string& check, double resolution,
                const std::string& sample = "s1") {
  Finding f;
  f.check = check;
  f.op = op;
  f.argument = check == "P0" ? "" : "x";
  f.sample = sample;
  f.resolution = resolution;
  return f;
}

GradcheckReport report_of(std::vector<Finding> findings) {
  GradcheckReport report;
  report.findings = std::move(findings);
  return report;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a failure is reported in the layout of the specification", "[report]") {
  const std::string text = to_text(report_of({stride_ignored()}));
  CHECK(text.substr(0, std::string(stride_ignored_text).size()) == stride_ignored_text);
  CHECK_THAT(text, EndsWith("\n in all      1 check on 1 sample, 1 failed"));
}

TEST_CASE("more failures of an op and argument take one line each, other ones are reported in full",
          "[report]") {
  Finding second = stride_ignored(), of_w = stride_ignored(), unresolved = stride_ignored();
  second.token = "conv2d:s2x1:5eed";
  second.check = "O2";
  second.differing = 12;
  of_w.argument = "w";
  unresolved.verdict = Verdict::unresolved;
  unresolved.argument = "b";
  unresolved.summary = "a kink leaves no room for a step";
  const std::string text = to_text(report_of({unresolved, stride_ignored(), of_w, second}), 100);
  CHECK_THAT(text, StartsWith(stride_ignored_text));
  CHECK_THAT(
      text,
      Contains(
          "\n likewise    conv2d:s2x1:5eed  O2, 12 of 12,600\nGRADIENTS DISAGREE  conv2d, gradient of w"));
  CHECK_THAT(text, Contains("\nGRADIENTS UNRESOLVED  conv2d, gradient of b  "));
  CHECK_THAT(text, Contains("\n check       O1: a kink leaves no room for a step\n"));
  CHECK_THAT(text, Contains(" extent      1,738 of 12,600 entries unresolved"));
}

TEST_CASE("a text has no more lines than asked for, nor columns than 78", "[report]") {
  std::vector<Finding> findings;
  for (int i = 0; i < 30; ++i) {
    findings.push_back(stride_ignored());
    findings.back().argument = "x" + std::to_string(i / 3);
    findings.back().summary = fmt::format("{:z>200} {:y>40} {:x>60}", "", "", "");
    if (i % 2 == 0) findings.back().worst.clear();
    findings.push_back(passing("op" + std::to_string(i), "O1", 1e-13));
  }
  GradcheckReport report = report_of(findings);
  report.notes = {std::string(100, 'n'), "short"};
  for (const int most : {1, 2, 3, 10, 40, 1000}) {
    const std::vector<std::string> lines = lines_of(to_text(report, most));
    CHECK(lines.size() <= static_cast<std::size_t>(most));
    for (const std::string& line : lines) CHECK(line.size() <= 78);
    if (most == 10)
      CHECK(std::ranges::count_if(lines, [](const auto& l) { return l.starts_with(" ..."); }) > 0);
  }
}

TEST_CASE("an op that agrees takes one line, with its resolution by oracle", "[report]") {
  GradcheckReport report =
      report_of({passing("conv2d", "P0", 3e-16), passing("conv2d", "O1", 1.7e-14),
                 passing("conv2d", "O1", 1e-15, "s2"), passing("conv2d", "O2", 2.8e-13, "s2")});
  report.seconds = 0.0412;
  report.resampled = 1;
  report.notes = {"O5 was left out: the budget of 100 ms was used up"};
  CHECK(to_text(report) == R"(gradients agree  conv2d: 4 checks on 2 samples, difference 2.8e-13, dual
  1.7e-14, value 3.0e-16, 0.041 s
 note        1 sample drawn anew because of a kink
 note        O5 was left out: the budget of 100 ms was used up)");
  CHECK_THAT(to_text(report_of({passing("a", "O1", 1e-15), stride_ignored()}), 100),
             EndsWith("\n in all      2 checks on 2 samples, 1 failed, dual 1.0e-15; agree: a"));
  CHECK_THAT(to_text({}), StartsWith("GRADIENTS UNRESOLVED  nothing was checked"));
}

TEST_CASE("values that differ in late digits are printed with as many", "[report]") {
  Finding f = stride_ignored();
  f.worst = {{"y[0] <- x[0]", 1, 1 + 1e-11}};
  f.entry_axes = "y[0] <- x[0]";  // numbers of axes, which are no heading
  CHECK_THAT(to_text(report_of({f})), Contains("1.00000000001") && Contains("\n             y[0] <- x[0]") &&
                                          !Contains("worst       y[0]"));
  f.worst = {{"y[0]", std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}};
  f.argument = "";
  f.oracles.clear();
  CHECK_THAT(to_text(report_of({f})),
             Contains("conv2d, value") && Contains("nan") && Contains("inf") && Contains("found  reference"));
}

TEST_CASE("a report's JSON holds every field, and NaN and infinities as strings", "[report]") {
  Finding f = stride_ignored();
  f.worst[0].found = std::numeric_limits<double>::quiet_NaN();
  f.worst[1].expected = -std::numeric_limits<double>::infinity();
  GradcheckReport report = report_of({f, passing("add", "O1", 1e-15)});
  report.notes = {"a \"quoted\" note"};
  report.seconds = 0.5;
  const auto json = nlohmann::json::parse(to_json(report));
  CHECK(json["verdict"] == "disagree");
  CHECK(json["seconds"] == 0.5);
  CHECK(json["notes"][0] == "a \"quoted\" note");
  const auto& finding = json["findings"][0];
  CHECK(finding["op"] == "conv2d");
  CHECK(finding["blame"] == "the backward rule");
  CHECK(finding["differing"] == 1738);
  CHECK(finding["oracles"][1]["evaluations"] == 420);
  CHECK(finding["worst"][0]["found"] == "NaN");
  CHECK(finding["worst"][0]["expected"] == 1.921875);
  CHECK(finding["worst"][1]["expected"] == "-Infinity");
  CHECK(finding["pattern"].size() == 5);
  CHECK(finding["token"] == "conv2d:s2x3_p2x0x0x1:5eed");
  CHECK(json["findings"][1]["verdict"] == "agree");
  CHECK_FALSE(json["findings"][1].contains("worst"));
}

TEST_CASE("a report's JUnit counts and shows failures", "[report]") {
  Finding f = stride_ignored();
  f.likely = "a < b & \"c\"";
  std::istringstream xml(to_junit(report_of({f, passing("conv2d", "O2", 0), passing("add", "O1", 1e-15)})));
  boost::property_tree::ptree document;
  read_xml(xml, document);
  const auto& suites = document.get_child("testsuites");
  CHECK(suites.count("testsuite") == 2);
  const auto& conv = suites.front().second;
  CHECK(conv.get<std::string>("<xmlattr>.name") == "conv2d");
  CHECK(conv.get<int>("<xmlattr>.tests") == 2);
  CHECK(conv.get<int>("<xmlattr>.failures") == 1);
  CHECK(conv.get<std::string>("testcase.failure.<xmlattr>.message") == "a < b & \"c\"");
  CHECK_THAT(conv.get<std::string>("testcase.failure"), StartsWith("GRADIENTS DISAGREE"));
}

TEST_CASE("the matcher accepts what agrees, and a failure of Catch2 prints the report", "[report]") {
  const GradcheckReport wrong = report_of({stride_ignored()});
  CHECK(GradientsAgree().match(report_of({passing("add", "O1", 1e-15)})));
  CHECK_FALSE(GradientsAgree().match(wrong));
  CHECK_FALSE(GradientsAgree().match({}));
  CHECK(GradientsAgree().toString() == "gradients agree");
  CHECK(Catch::Detail::stringify(wrong) == to_text(wrong));
}
