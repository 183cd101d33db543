// Reports as text of at most 78 columns: Catch2's console wraps at 80.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "weft/gradcheck.hpp"

namespace weft {

namespace {

constexpr std::size_t columns = 78, label_columns = 12, token_end = 75;

// "12,600"
std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, ",");
  return digits;
}

std::string counted(std::int64_t number, std::string_view what) {
  return fmt::format("{} {}{}", grouped(number), what, number == 1 ? "" : "s");
}

std::string upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return out;
}

// Breaks at spaces; spaces within a line stay as they are.
std::vector<std::string_view> wrapped(std::string_view text, std::size_t width, bool is_command) {
  std::vector<std::string_view> lines;
  do {
    std::size_t length = std::min(text.size(), width);
    if (text.size() > width) {
      const std::size_t space = text.substr(0, width + 1).rfind(' ');
      if (space != std::string_view::npos && space > 0)
        length = space;
      else if (is_command)
        length = std::min(text.find(' '), text.size());
    }
    lines.push_back(text.substr(0, length));
    text.remove_prefix(std::min(text.find_first_not_of(' ', length), text.size()));
  } while (!text.empty());
  return lines;
}

// Lines of a label and a text beside it.
class Lines {
 public:
  // A command's words are never broken, others where they are longer than a line.
  void add(std::string_view label, std::string_view text, bool is_command = false) {
    for (const std::string_view part : wrapped(text, columns - label_columns - 1, is_command)) {
      std::string line = fmt::format(" {:<{}}{}", label, label_columns, part);
      line.erase(line.find_last_not_of(' ') + 1);
      lines_.push_back(std::move(line));
      label = {};
    }
  }
  // Without a label; later lines are indented.
  void add_paragraph(std::string_view text) {
    for (const std::string_view part : wrapped(text, columns - 2, false))
      lines_.push_back((lines_.empty() ? "" : "  ") + std::string(part));
  }
  void heading(std::string line) { lines_.push_back(std::move(line)); }
  std::vector<std::string>& list() { return lines_; }

 private:
  std::vector<std::string> lines_;
};

std::string subject(const Finding& finding) {
  return finding.op + (finding.argument.empty() ? ", value" : ", gradient of " + finding.argument);
}

std::string case_name(const Finding& finding) {
  return finding.token.empty() ? finding.sample : finding.token;
}

void add_heading(Lines& lines, const Finding& finding) {
  const std::string title = fmt::format("GRADIENTS {}  {}", upper(name(finding.verdict)), subject(finding));
  const std::string where = case_name(finding);
  if (title.size() + 2 + where.size() <= token_end) {
    lines.heading(where.empty() ? title : fmt::format("{}{:>{}}", title, where, token_end - title.size()));
    return;
  }
  lines.heading(title.substr(0, columns));
  lines.add(finding.token.empty() ? "sample" : "case", where, true);
}

// Who contradicts whom: only where all three derivatives were there.
std::string_view triangle(const Finding& finding) {
  if (finding.oracles.size() < 2) return {};
  switch (finding.blame) {
    case Blame::nobody:
      return {};
    case Blame::rule:
      return "dual = difference, backward differs";
    case Blame::reference:
      return "backward = difference, dual differs";
    case Blame::forward:
      return "backward = dual, difference differs";
    case Blame::unclear:
      return "all three differ";
  }
  return {};
}

void add_blame(Lines& lines, const Finding& finding) {
  if (finding.blame != Blame::nobody) {
    const std::string_view why = triangle(finding);
    lines.add("blame", why.empty() ? std::string(name(finding.blame))
                                   : fmt::format("{}   ({})", name(finding.blame), why));
  }
  if (finding.oracles.empty()) return;
  std::size_t width = 17;
  for (const OracleVerdict& oracle : finding.oracles)
    width = std::min<std::size_t>(std::max(width, oracle.oracle.size()), 24);
  const auto row = [&](std::string_view oracle, std::string_view verdict, std::string_view would,
                       std::string_view count) {
    lines.add("", fmt::format("{:<{}.{}}  {:<11}{:<16}{}", oracle, width, width, verdict, would, count));
  };
  row("oracle", "verdict", "would notice", "evaluations");
  for (const OracleVerdict& oracle : finding.oracles) {
    row(oracle.oracle, name(oracle.verdict), fmt::format("{:.1e}", oracle.would_notice),
        grouped(oracle.evaluations));
  }
}

// "y[1, 0] <- x[2, 3]" as its two parts; the second is empty for a value.
std::pair<std::string_view, std::string_view> parts_of(std::string_view where) {
  constexpr std::string_view arrow = " <- ";
  const std::size_t at = where.find(arrow);
  if (at == std::string_view::npos) return {where, {}};
  return {where.substr(0, at), where.substr(at + arrow.size())};
}

std::string_view index_of(std::string_view element) {
  const std::size_t bracket = element.find('[');
  return bracket == std::string_view::npos ? element : element.substr(bracket);
}

// With digits enough to tell them apart.
std::pair<std::string, std::string> value_texts(const WrongEntry& entry) {
  for (const int digits : {7, 10, 13}) {
    const std::string found = fmt::format("{:.{}g}", entry.found, digits),
                      expected = fmt::format("{:.{}g}", entry.expected, digits);
    if (found != expected) return {found, expected};
  }
  return {fmt::format("{:.17g}", entry.found), fmt::format("{:.17g}", entry.expected)};
}

std::string opponent(const Finding& finding) {
  for (const OracleVerdict& oracle : finding.oracles) {
    if (oracle.verdict == finding.verdict) return oracle.oracle.substr(0, oracle.oracle.find(','));
  }
  return finding.argument.empty() ? "reference" : "expected";
}

// What the indices of the worst entries mean; empty where axes have only numbers, which say nothing.
std::string_view named_axes(const Finding& finding) {
  const bool has_numbers = finding.entry_axes.find_first_of("0123456789") != std::string::npos;
  return has_numbers ? std::string_view() : finding.entry_axes;
}

void add_worst(Lines& lines, const Finding& finding) {
  constexpr std::size_t most = 4;
  if (finding.worst.empty()) return;
  const std::string found_name = finding.argument.empty() ? "found" : "backward",
                    expected_name = opponent(finding);
  const auto [y_axes, x_axes] = parts_of(named_axes(finding));
  const std::span shown(finding.worst.data(), std::min(finding.worst.size(), most));
  std::size_t y_width = y_axes.size(), x_width = x_axes.size(), found_width = found_name.size(),
              expected_width = expected_name.size();
  const auto element = [&](std::string_view text) {
    return named_axes(finding).empty() ? text : index_of(text);
  };
  for (const WrongEntry& entry : shown) {
    const auto [y, x] = parts_of(entry.where);
    const auto [found, expected] = value_texts(entry);
    y_width = std::max(y_width, element(y).size());
    x_width = std::max(x_width, element(x).size());
    found_width = std::max(found_width, found.size());
    expected_width = std::max(expected_width, expected.size());
  }
  const auto row = [&](std::string_view label, std::string_view y, std::string_view x, std::string_view found,
                       std::string_view expected, std::string_view more) {
    const std::string from =
        x_width == 0 ? "" : fmt::format("{:<4}{:<{}}", x.empty() ? "" : " <- ", x, x_width);
    lines.add(label, fmt::format("{:<{}}{}   {:>{}}  {:>{}}{}", y, y_width, from, found, found_width,
                                 expected, expected_width, more));
  };
  row("worst", y_axes, x_axes, found_name, expected_name, "");
  for (const WrongEntry& entry : shown) {
    const auto [y, x] = parts_of(entry.where);
    const auto [found, expected] = value_texts(entry);
    const bool has_more =
        &entry == &shown.back() && finding.differing > static_cast<std::int64_t>(shown.size());
    row("", element(y), element(x), found, expected, has_more ? "   ..." : "");
  }
}

void add_extent(Lines& lines, const Finding& finding) {
  if (finding.compared == 0) return;
  const std::string_view verb = finding.verdict == Verdict::unresolved ? "unresolved" : "differ";
  lines.add("extent",
            fmt::format("{} of {} entries {}{}", grouped(finding.differing), grouped(finding.compared), verb,
                        finding.others_equal ? ", the others agree to the bit" : ""));
}

void add_context(Lines& lines, const Finding& finding) {
  for (const std::string& line : finding.context) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::size_t text = std::min(line.find_first_not_of(' ', space), line.size());
    lines.add(line.substr(0, space), line.substr(text));
  }
}

void add_failure(Lines& lines, const Finding& finding) {
  add_heading(lines, finding);
  add_context(lines, finding);
  if (finding.worst.empty() || finding.verdict == Verdict::unresolved)
    lines.add("check", finding.check + (finding.summary.empty() ? "" : ": " + finding.summary));
  add_blame(lines, finding);
  add_extent(lines, finding);
  add_worst(lines, finding);
  for (std::size_t i = 0; i < finding.pattern.size(); ++i)
    lines.add(i == 0 ? "pattern" : "", finding.pattern[i]);
  if (!finding.likely.empty()) lines.add("likely", finding.likely);
  if (finding.token.empty()) return;
  const bool has_jacobian = !finding.worst.empty() && !finding.argument.empty();
  lines.add("again",
            fmt::format("weft-gradcheck run {}{}", finding.token, has_jacobian ? " --jacobian j.csv" : ""),
            true);
}

// Another failure of an op and argument that was reported in full.
void add_likewise(Lines& lines, const Finding& finding) {
  std::string text = fmt::format("{}  {}", case_name(finding), finding.check);
  if (finding.verdict == Verdict::unresolved) text += ", unresolved";
  if (finding.compared > 0)
    text += fmt::format(", {} of {}", grouped(finding.differing), grouped(finding.compared));
  lines.add("likewise", text, true);
}

using Group = std::vector<const Finding*>;

// Of one op, argument and verdict; disagreements before what is unresolved.
std::vector<Group> failures_of(const GradcheckReport& report) {
  std::vector<Group> groups;
  for (const Verdict verdict : {Verdict::disagree, Verdict::unresolved}) {
    for (const Finding& finding : report.findings) {
      if (finding.verdict != verdict) continue;
      const auto same = std::ranges::find_if(groups, [&](const Group& group) {
        return group[0]->verdict == verdict && group[0]->op == finding.op &&
               group[0]->argument == finding.argument;
      });
      if (same == groups.end())
        groups.push_back({&finding});
      else
        same->push_back(&finding);
    }
  }
  return groups;
}

// ---- what agrees

// The oracle of a check whose resolution is an error of a gradient or a value; empty: of another one.
std::string_view oracle_of(std::string_view check) {
  constexpr std::pair<std::string_view, std::string_view> names[] = {
      {"P0", "value"}, {"O1", "dual"}, {"O2", "difference"}, {"O4", "second order"}, {"O5", "f32"}};
  for (const auto& [id, oracle] : names) {
    if (check == id) return oracle;
  }
  return {};
}

struct Tally {
  std::set<std::string_view> samples;
  std::int64_t checks = 0, failed = 0;
  std::map<std::string_view, double> resolution;  // by oracle, the worst

  void add(const Finding& finding) {
    samples.insert(finding.sample);
    ++checks;
    failed += finding.verdict != Verdict::agree;
    const std::string_view oracle = oracle_of(finding.check);
    if (finding.verdict != Verdict::agree || finding.resolution == 0 || oracle.empty()) return;
    resolution[oracle] = std::max(resolution[oracle], finding.resolution);
  }

  std::string text() const {
    std::string out =
        fmt::format("{} on {}", counted(checks, "check"), counted(std::ssize(samples), "sample"));
    if (failed > 0) out += fmt::format(", {} failed", grouped(failed));
    for (const auto& [oracle, value] : resolution) out += fmt::format(", {} {:.1e}", oracle, value);
    return out;
  }
};

// One line where all agrees; else what there was, and who agrees.
void add_summary(Lines& lines, const GradcheckReport& report) {
  constexpr std::size_t most_named = 8;
  std::map<std::string_view, std::int64_t> failed;
  Tally tally;
  for (const Finding& finding : report.findings) {
    failed[finding.op] += finding.verdict != Verdict::agree;
    tally.add(finding);
  }
  const std::string time = report.seconds == 0 ? "" : fmt::format(", {:.2g} s", report.seconds);
  if (tally.failed == 0) {
    const std::string subject =
        failed.size() == 1 ? std::string(failed.begin()->first) : counted(std::ssize(failed), "op");
    return lines.add_paragraph(fmt::format("gradients agree  {}: {}{}", subject, tally.text(), time));
  }
  std::vector<std::string_view> agreeing;
  for (const auto& [op, failures] : failed) {
    if (failures == 0) agreeing.push_back(op);
  }
  std::string others;
  if (agreeing.size() > most_named) others = fmt::format("; {} ops agree", agreeing.size());
  if (!agreeing.empty() && agreeing.size() <= most_named)
    others = fmt::format("; agree: {}", fmt::join(agreeing, ", "));
  lines.add("in all", tally.text() + time + others);
}

// Keeps `most` lines, the last of which says how many there were.
void cut(std::vector<std::string>& lines, std::size_t most) {
  if (lines.size() <= most) return;
  const std::size_t kept = most > 0 ? most - 1 : 0;
  const std::string rest =
      fmt::format(" ... {}", counted(std::ssize(lines) - static_cast<std::ptrdiff_t>(kept), "more line"));
  lines.resize(kept);
  if (most > 0) lines.push_back(rest);
}

}  // namespace

std::string_view name(Verdict verdict) {
  constexpr std::string_view names[] = {"agree", "disagree", "unresolved"};
  return names[static_cast<std::size_t>(verdict)];
}

std::string_view name(Blame blame) {
  constexpr std::string_view names[] = {"nobody", "the backward rule", "the reference",
                                        "the executed forward", "unclear"};
  return names[static_cast<std::size_t>(blame)];
}

Verdict GradcheckReport::verdict() const {
  Verdict worst = findings.empty() ? Verdict::unresolved : Verdict::agree;
  for (const Finding& finding : findings) {
    if (finding.verdict == Verdict::disagree) return Verdict::disagree;
    if (finding.verdict == Verdict::unresolved) worst = Verdict::unresolved;
  }
  return worst;
}

std::string to_text(const GradcheckReport& report, int max_lines) {
  const auto most = static_cast<std::size_t>(std::max(max_lines, 1));
  Lines failures, rest;
  for (const Group& group : failures_of(report)) {
    add_failure(failures, *group[0]);
    for (std::size_t i = 1; i < group.size(); ++i) add_likewise(failures, *group[i]);
  }
  if (report.findings.empty()) failures.heading("GRADIENTS UNRESOLVED  nothing was checked");
  if (!report.findings.empty()) add_summary(rest, report);
  if (report.resampled > 0)
    rest.add("note", fmt::format("{} drawn anew because of a kink", counted(report.resampled, "sample")));
  for (const std::string& note : report.notes) rest.add("note", note);

  if (!failures.list().empty()) cut(rest.list(), std::max<std::size_t>(most / 4, 1));
  cut(rest.list(), most);
  cut(failures.list(), most - rest.list().size());
  failures.list().insert(failures.list().end(), rest.list().begin(), rest.list().end());
  return fmt::format("{}", fmt::join(failures.list(), "\n"));
}

}  // namespace weft
