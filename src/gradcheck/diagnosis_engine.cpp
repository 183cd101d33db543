// Wrong gradients of an engine: which ways to use a var it gets wrong.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "gradcheck/diagnosis_checks.hpp"

namespace weft {

namespace {

constexpr std::string_view again = ", called again";

class FailedRecords {
 public:
  explicit FailedRecords(std::span<const Finding> findings) {
    for (const Finding& f : findings) {
      if (f.verdict != Verdict::agree) names_.insert(f.sample);
    }
  }

  std::string likely() const {
    if (std::ranges::all_of(names_, [](std::string_view name) { return name.ends_with(again); }))
      return "what an earlier call left is used again: gradients have to begin empty";
    const std::set<int> inputs = uses("an input"), results = uses("a result");
    if (inputs.contains(2))
      return "a later use of a var overwrites the gradient of an earlier one: they add up";
    if (!inputs.empty())
      return fmt::format("wrong only where a var is used {} times", fmt::join(inputs, ", "));
    if (!results.empty())
      return "the rule of a result is called before all its consumers have given their gradients";
    if (has("a constant that shares its elements with x") || has("a value computed in a pause"))
      return "a gradient goes into a constant, or into a value computed in a pause";
    if (std::ranges::any_of(names_, [](std::string_view name) { return name.find(" share") != name.npos; }) ||
        has("x + x") || has("two views of a result, added"))
      return "a gradient that two operands share is added to in place";
    return {};
  }

 private:
  bool has(std::string_view name) const { return names_.contains(name); }

  // n of the failed records "<who> used <n> times".
  std::set<int> uses(const std::string& who) const {
    std::set<int> failed;
    for (int n = 1; n <= 9; ++n) {
      if (has(fmt::format("{} used {} times", who, n))) failed.insert(n);
    }
    return failed;
  }

  std::set<std::string_view> names_;
};

}  // namespace

void diagnose_engine(std::span<Finding> findings) {
  const std::string likely = FailedRecords(findings).likely();
  for (Finding& f : findings) {
    if (f.verdict != Verdict::agree) f.likely = likely;
  }
}

}  // namespace weft
