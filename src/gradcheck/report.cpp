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

// Lines of a label and a text beside it.
class Lines {
 public:
  // Breaks at spaces; spaces within a line stay as they are. Only a longer word is broken, but a command's
  // never.
  void add(std::string_view label, std::string_view text, bool is_command = false) {
    constexpr std::size_t width = columns - label_columns - 1;
    do {
      std::size_t length = std::min(text.size(), width);
      if (text.size() > width) {
        const std::size_t space = text.substr(0, width + 1).rfind(' ');
        if (space != std::string_view::npos && space > 0) {
          length = space;
        } else if (is_command) {
          length = std::min(text.find(' '), text.size());
        }
      }
      std::string line = fmt::format(" {:<{}}{}", label, label_columns, text.substr(0, length));
      line.erase(line.find_last_not_of(' ') + 1);
      lines_.push_back(std::move(line));
      text.remove_prefix(std::min(text.find_first_not_of(' ', length), text.size()));
      label = {};
    } while (!text.empty());
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

void add_worst(Lines& lines, const Finding& finding) {
  constexpr std::size_t most = 4;
  if (finding.worst.empty()) return;
  const std::string found_name = finding.argument.empty() ? "found" : "backward",
                    expected_name = opponent(finding);
  const auto [y_axes, x_axes] = parts_of(finding.entry_axes);
  const std::span shown(finding.worst.data(), std::min(finding.worst.size(), most));
  std::size_t y_width = y_axes.size(), x_width = x_axes.size(), found_width = found_name.size(),
              expected_width = expected_name.size();
  const auto element = [&](std::string_view text) {
    return finding.entry_axes.empty() ? text : index_of(text);
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

struct Tally {
  std::set<std::string_view> samples;
  std::int64_t checks = 0, failed = 0;
  std::map<std::string, double> resolution;  // by oracle, the worst

  void add(const Finding& finding) {
    samples.insert(finding.sample);
    ++checks;
    failed += finding.verdict != Verdict::agree;
    if (finding.verdict != Verdict::agree || finding.resolution == 0) return;
    double& worst = resolution[oracle_of(finding.check)];
    worst = std::max(worst, finding.resolution);
  }

  std::string text() const {
    std::string out =
        fmt::format("{} on {}", counted(checks, "check"), counted(std::ssize(samples), "sample"));
    if (failed > 0) out += fmt::format(", {} failed", grouped(failed));
    for (const auto& [oracle, value] : resolution) out += fmt::format(", {} {:.1e}", oracle, value);
    return out;
  }

 private:
  static std::string oracle_of(const std::string& check) {
    constexpr std::pair<std::string_view, std::string_view> names[] = {
        {"P0", "value"}, {"O1", "dual"},         {"O2", "difference"},
        {"O3", "kinks"}, {"O4", "second order"}, {"O5", "f32"}};
    for (const auto& [id, oracle] : names) {
      if (check == id) return std::string(oracle);
    }
    return check;
  }
};

std::string time_text(double seconds) { return seconds == 0 ? "" : fmt::format(", {:.2g} s", seconds); }

// A line for each op that agrees, or one for many.
void add_summary(Lines& lines, const GradcheckReport& report) {
  constexpr std::size_t most_ops = 8;
  std::map<std::string_view, Tally> by_op;
  Tally all;
  for (const Finding& finding : report.findings) {
    by_op[finding.op].add(finding);
    all.add(finding);
  }
  std::vector<std::string_view> agreeing;
  for (const auto& [op, tally] : by_op) {
    if (tally.failed == 0) agreeing.push_back(op);
  }
  if (agreeing.size() == by_op.size() && (agreeing.size() > most_ops || agreeing.size() == 1)) {
    const std::string subject =
        agreeing.size() == 1 ? std::string(agreeing[0]) : counted(std::ssize(agreeing), "op");
    lines.add("agree", fmt::format("{}: {}{}", subject, all.text(), time_text(report.seconds)));
    return;
  }
  if (agreeing.size() <= most_ops) {
    for (const std::string_view op : agreeing)
      lines.add("agree", fmt::format("{}: {}", op, by_op[op].text()));
  }
  const std::string others =
      agreeing.size() > most_ops ? fmt::format("{} agree; ", counted(std::ssize(agreeing), "op")) : "";
  lines.add("in all", fmt::format("{}{}{}", others, all.text(), time_text(report.seconds)));
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
  if (report.verdict() == Verdict::agree) rest.heading("gradients agree");
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
