// The subcommands of weft-gradcheck. Each prints to stdout and returns the exit code.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gradcheck/op_case.hpp"
#include "weft/gradcheck.hpp"

namespace weft::tool {

enum ExitCode : int { agree = 0, disagree = 1, unresolved = 2, usage = 3, internal = 4 };
ExitCode exit_code(Verdict verdict);

// What the user asked for cannot be done: one sentence, and the command to type next.
class UsageError : public Error {
 public:
  UsageError(const std::string& text, std::string next) : Error(text), next_(std::move(next)) {}
  const std::string& next() const { return next_; }

 private:
  std::string next_;
};

struct Project {
  std::span<const OpInfo* const> infos;
  std::span<const PlantedBug> bugs;
};

// An op, or one of its samples.
struct Case {
  const OpInfo* info;
  std::optional<std::size_t> sample;
  std::uint64_t seed;
};
// Throws UsageError where `text` is no op, token or "all".
std::vector<Case> cases_of(const Project& project, const std::string& text);
// Throws UsageError where `cases` are not one sample that has gradients, which `who` needs.
void require_one_sample(const std::vector<Case>& cases, std::string_view who);
// The operands of a case that is a sample. The options must outlive it.
OpCase op_case_of(const Case& one, const GradcheckOptions& options);
std::string token_of(const Case& one);

struct RunOptions {
  std::vector<std::string> cases;
  std::vector<std::string> oracles;  // "dual", "difference"; none: every check
  int seeds = 1;
  std::optional<double> budget;                          // seconds
  std::filesystem::path json, junit, jacobian, diagram;  // empty: not written
};

int list(const Project& project, const std::string& op, bool as_json);
int run(const Project& project, const RunOptions& options);
int bugs(const Project& project, const std::string& op);
int explain(const Project& project, const std::string& token);

// One line on a terminal that is overwritten; nothing elsewhere.
class Progress {
 public:
  explicit Progress(std::size_t count);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();
  void next(std::string_view what);
  void clear();

 private:
  std::size_t count_, done_ = 0;
  bool is_terminal_;
};

}  // namespace weft::tool
