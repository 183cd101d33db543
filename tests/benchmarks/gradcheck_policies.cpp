// gradcheck_policies [N]: weft's gradient checker against other tools' decision rules, on the planted bugs
// that are ops, on the right ops and on N kinky functions (3,000). Exit code 1 where a rule beats weft in a
// kill rate or in false alarms.
//
// A sample kills a bug where the planted op is rejected and the right op is accepted. Samples that must throw
// and those of NaN and infinities have no derivative: weft alone can be asked about them.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>
#include <string>

#include "mutants/planted_bugs.hpp"
#include "policies/customary_samples.hpp"
#include "policies/policies.hpp"

namespace weft::policies {

namespace {

constexpr std::uint64_t seed = 0x5eed;

struct Case {  // a sample of a right op
  const OpInfo* info;
  Sample sample;
  std::vector<Tensor> operands;  // none where a policy cannot be asked
};
using SampleSet = std::vector<Case>;

struct Row {
  std::string name;
  std::size_t killed[2] = {0, 0};  // on weft's samples, on the customary ones
  std::size_t alarms_on_ops = 0, alarms_on_kinks = 0;
  double seconds = 0;
  std::set<std::size_t> bugs[2] = {};      // which, by index
  std::map<std::string, int> alarms = {};  // by op
};

// Judges a sample of an op, and a kinky function.
struct Judge {
  std::string name;
  std::function<bool(const OpInfo&, const Case&)> accepts;
  std::function<bool(std::uint64_t)> accepts_kinky;
};

Judge judge_of(const Policy& policy) {
  const auto accepts = [policy](const OpInfo& info, const Case& sample) {
    if (sample.operands.empty()) return true;
    try {
      const Pair pair = pair_of(info, sample.sample.attributes, sample.operands, policy.dtype);
      Random random(seed, policy.name);
      return pair.empty() || policy.accepts(pair, random);
    } catch (const Error&) {
      return false;
    }
  };
  const auto accepts_kinky = [policy](std::uint64_t number) {
    const kinky::Function function(number);
    Random random(number, policy.name);
    return policy.accepts(pair_of(function, policy.dtype), random);
  };
  return {std::string(policy.name), accepts, accepts_kinky};
}

Judge judge_weft() {
  const auto accepts = [](const OpInfo& info, const Case& sample) {
    return check_op(info, sample.sample).verdict() != Verdict::disagree;
  };
  const auto accepts_kinky = [](std::uint64_t number) {
    const kinky::Function function(number);
    const kinky::Result result = kinky::Check(function).run();
    return result.traced.right != Verdict::disagree && result.black_box.right != Verdict::disagree;
  };
  return {"weft", accepts, accepts_kinky};
}

SampleSet sample_set(bool customary) {
  SampleSet set;
  for (const OpInfo* info : all_ops()) {
    for (const Sample& sample : customary ? customary_samples(*info) : info->samples.list()) {
      const bool has_derivative = sample.throws.empty() && sample.pattern != Pattern::special;
      set.push_back(
          {info, sample,
           has_derivative ? sample_inputs(*info, sample, seed, DType::f64) : std::vector<Tensor>()});
    }
  }
  return set;
}

bool is_killed(const Judge& judge, const OpInfo& planted, const SampleSet& set,
               const std::vector<bool>& accepted) {
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (set[i].info->name == planted.name && accepted[i] && !judge.accepts(planted, set[i])) return true;
  }
  return false;
}

struct Bug {
  const PlantedBug* bug;
  const OpInfo* healthy;
};

std::vector<Bug> bugs_of_ops() {
  std::vector<Bug> bugs;
  for (const PlantedBug& bug : planted_bugs()) {
    const auto op = std::ranges::find(all_ops(), bug.op, [](const OpInfo* info) { return info->name; });
    if (bug.plant && op != all_ops().end()) bugs.push_back({&bug, *op});
  }
  return bugs;
}

Row run(const Judge& judge, const SampleSet (&sets)[2], const std::vector<Bug>& bugs,
        std::uint64_t functions) {
  const auto begin = std::chrono::steady_clock::now();
  Row row{.name = judge.name};
  for (int s = 0; s < 2; ++s) {
    std::vector<bool> accepted;
    for (const Case& sample : sets[s]) {
      accepted.push_back(judge.accepts(*sample.info, sample));
      if (accepted.back()) continue;
      ++row.alarms_on_ops;
      ++row.alarms[std::string(sample.info->name)];
    }
    for (std::size_t b = 0; b < bugs.size(); ++b) {
      // A new one for each set: some bugs remember what they were called with.
      if (!is_killed(judge, bugs[b].bug->plant(*bugs[b].healthy), sets[s], accepted)) continue;
      ++row.killed[s];
      row.bugs[s].insert(b);
    }
  }
  for (std::uint64_t f = 1; f <= functions; ++f) row.alarms_on_kinks += !judge.accepts_kinky(f);
  row.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return row;
}

std::string rate(std::size_t part, std::size_t whole) {
  return fmt::format("{} of {} ({:.0f} %)", part, whole,
                     whole == 0 ? 0.0 : 100 * static_cast<double>(part) / static_cast<double>(whole));
}

// The columns in which `row` is better than weft's, each with what shows it.
std::vector<std::string> better_columns(const Row& row, const Row& weft, const std::vector<Bug>& bugs) {
  std::vector<std::string> columns;
  constexpr const char* kill_columns[] = {"kills on weft's samples", "kills on customary samples"};
  for (int s = 0; s < 2; ++s) {
    if (row.killed[s] <= weft.killed[s]) continue;
    std::string column = kill_columns[s];
    for (const std::size_t b : row.bugs[s]) {
      const PlantedBug& bug = *bugs[b].bug;
      if (!weft.bugs[s].contains(b)) column += fmt::format(", {} of {}: {}", bug.id, bug.op, bug.title);
    }
    columns.push_back(column);
  }
  if (row.alarms_on_ops < weft.alarms_on_ops) {
    std::string column = "false alarms on ops";
    for (const auto& [op, count] : weft.alarms) column += fmt::format(", {} on {}", count, op);
    columns.push_back(column);
  }
  if (row.alarms_on_kinks < weft.alarms_on_kinks) columns.emplace_back("false alarms on kinky functions");
  return columns;
}

int compare(std::uint64_t functions) {
  const SampleSet sets[2] = {sample_set(false), sample_set(true)};
  const std::vector<Bug> bugs = bugs_of_ops();
  const std::size_t samples = sets[0].size() + sets[1].size();
  fmt::print(
      "{} planted bugs of ops ({} of an engine or of ops to come left out), {} + {} samples of {} ops\n\n",
      bugs.size(), planted_bugs().size() - bugs.size(), sets[0].size(), sets[1].size(), all_ops().size());
  fmt::print("{:<21} {:>16} {:>16} {:>18} {:>20} {:>8}\n", "", "kills, weft's", "customary", "false alarms",
             "false alarms", "time");
  fmt::print("{:<21} {:>16} {:>16} {:>18} {:>20} {:>8}\n", "policy", "samples", "samples", "on right ops",
             "on kinky functions", "s");
  std::vector<Judge> judges{judge_weft()};
  for (const Policy& policy : all_policies()) judges.push_back(judge_of(policy));
  std::vector<Row> rows;
  for (const Judge& judge : judges) {
    const Row row = run(judge, sets, bugs, functions);
    fmt::print("{:<21} {:>16} {:>16} {:>18} {:>20} {:>8.2f}\n", row.name, rate(row.killed[0], bugs.size()),
               rate(row.killed[1], bugs.size()), rate(row.alarms_on_ops, samples),
               rate(row.alarms_on_kinks, functions), row.seconds);
    std::fflush(stdout);
    rows.push_back(row);
  }
  fmt::print("\n");
  bool is_beaten = false;
  for (const Row& row : rows) {
    for (const std::string& column : better_columns(row, rows[0], bugs)) {
      fmt::print("{} beats weft: {}\n", row.name, column);
      is_beaten = true;
    }
  }
  if (!is_beaten) fmt::print("no policy beats weft in any column but time\n");
  return is_beaten ? 1 : 0;
}

}  // namespace

}  // namespace weft::policies

int main(int argc, char** argv) {
  std::uint64_t functions = 3000;
  const std::string_view count = argc > 1 ? argv[1] : "3000";
  const auto [end, problem] = std::from_chars(count.data(), count.data() + count.size(), functions);
  if (argc > 2 || problem != std::errc() || end != count.data() + count.size()) {
    std::fputs("usage: gradcheck_policies [number of kinky functions]\n", stderr);
    return 3;
  }
  return weft::policies::compare(functions);
}
