// An op on given operands: what the checks have in common.
#pragma once

#include <chrono>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "gradcheck/verdict.hpp"
#include "weft/gradcheck.hpp"
#include "weft/random.hpp"

namespace weft {

inline std::chrono::steady_clock::duration budget_of(const GradcheckOptions& options) {
  using Duration = std::chrono::steady_clock::duration;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.budget));
}

// The operands as a reference takes them.
template <class T>
Inputs<T> reference_inputs(std::span<const Tensor> x);
extern template Inputs<double> reference_inputs(std::span<const Tensor>);
extern template Inputs<Dual> reference_inputs(std::span<const Tensor>);
extern template Inputs<Dual2> reference_inputs(std::span<const Tensor>);
extern template Inputs<Traced> reference_inputs(std::span<const Tensor>);
extern template Inputs<Bounded> reference_inputs(std::span<const Tensor>);

// Both signs, magnitudes in [1, 2): a gy or a direction that no rule maps to 0 by accident.
Tensor dense_like(const Shape& shape, Random& random);
double dot(const Tensor& a, const Tensor& b);

// The index of the i-th element, row-major: "[1, 0, 2]".
std::string index_text(const Shape& shape, std::int64_t i);

inline constexpr std::size_t no_operand = std::numeric_limits<std::size_t>::max();

struct OpCase {
  // `inputs` in f64 where they are floating.
  OpCase(const OpInfo& info, Attributes attributes, std::vector<Tensor> inputs, std::string name,
         const GradcheckOptions& options);

  const OpInfo& info;
  const GradcheckOptions& options;
  std::string name;  // of the sample or node
  std::string token;
  Attributes attributes;
  std::vector<Tensor> inputs;
  std::vector<std::size_t> checked;  // operands that get a gradient
  Array<Bounded> bounds;             // the reference's value and rounding bound; set by run_reference()
  bool reference_fits = true;        // into the budget; otherwise `bounds` is empty
  Shape y_shape;
  Tensor gy;  // dense, like y in f64
  std::vector<Array<Bounded>>
      gx_bounds;  // of the rule's record for gy, per checked operand; empty: not recorded

  // Runs the reference, unless a pass of it would take longer than the budget (a naive loop is taken to be 20
  // times slower than the op) and `always` is not set.
  void run_reference(bool always);
  // Replays the rule's own record on bounds. Throws what the rule throws.
  void run_rule_bounds();
  // Of output i: the absolute error of a computed value, and the longest chain of roundings.
  double noise(std::size_t i) const;
  double chain(std::size_t i) const;

  const Argument& argument(std::size_t i) const {
    return info.arguments[std::min(i, info.arguments.size() - 1)];
  }
  std::string operand_name(std::size_t i) const;    // "x"; of a repeated argument "parts[1]"
  Tensor forward(std::span<const Tensor> x) const;  // by the op, unrecorded
  std::vector<Tensor> inputs_in(DType floating) const;
  // The operands with x_i + t u in place of x_i.
  std::vector<Tensor> moved(std::size_t i, const Tensor& u, double t) const;

  // A finding about the gradient of an operand, or about the value. `entry` describes one position.
  Finding finding(std::string_view check, std::size_t operand, Verdict verdict, std::string summary) const;
  template <class Entry>
  Finding finding(std::string_view check, std::size_t operand, const Comparison& comparison,
                  std::string summary, Entry&& entry) const {
    Finding result = finding(check, operand, comparison.verdict,
                             comparison.verdict == Verdict::agree ? std::string() : std::move(summary));
    result.resolution = comparison.resolution;
    result.differing = comparison.differing + comparison.unresolved;
    result.compared = comparison.compared;
    for (const std::size_t position : comparison.worst) result.worst.push_back(entry(position));
    return result;
  }

 private:
  Tensor value_;  // by the op
};

// The op recorded once, on `inputs` of any floating dtype. The operands of `sources` are inputs of the graph,
// the others constants.
struct Recorded {
  Recorded(const OpCase& op, std::span<const Tensor> inputs, std::span<const std::size_t> sources);
  Recorded(const OpCase& op, std::span<const Tensor> inputs) : Recorded(op, inputs, op.checked) {}
  std::vector<Tensor> gradients(const Tensor& gy) const;  // of every source

  Graph g;
  std::vector<Var> x, targets;
  Var y;
};

// Compares position by position: found(k), expected(k), error(k), scale(k) are numbers.
template <class Found, class Expected, class Error, class Scale>
Comparison compare(std::size_t count, double detect, Found&& found, Expected&& expected, Error&& error,
                   Scale&& scale) {
  Comparison comparison;
  for (std::size_t k = 0; k < count; ++k)
    comparison.judge(k, found(k), expected(k), error(k), scale(k), detect);
  return comparison;
}

}  // namespace weft
