// The gradient checker: is this gradient the derivative of this function? No tolerance is chosen by hand: the
// numerical derivative carries an error bar, and a verdict is an equivalence test on it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "weft/op_info.hpp"

namespace weft {

// agree: shown equal to within the promised threshold. disagree: shown different. unresolved: this test has
// no resolution here, which counts as a failure.
enum class Verdict : std::uint8_t { agree, disagree, unresolved };
std::string_view name(Verdict verdict);

struct GradcheckOptions {
  double detect_exact =
      1e-11;  // smallest error noticed, relative to the gradient's scale, against exact derivatives
  double detect_difference = 1e-6;  // against central differences
  double step = 0x1p-8;             // of the central differences, halved for the error bar
  int order = 1;                    // of check_gradients; 2: gradients of gradients too. check_op does both
  int probes = 12;                  // directions per tensor where there are too many entries for all
  std::uint64_t seed = 0x5eed;
};

// One check of one gradient, or of a value.
struct Finding {
  std::string check;  // "value", "value f32", "dual", "difference", "second order", "throws", ...
  Verdict verdict = Verdict::agree;
  std::string op;
  std::string argument;   // whose gradient; empty for a value
  std::string sample;     // which sample, or which node
  double resolution = 0;  // smallest relative error that would have been noticed
  std::string details;    // on failure: the worst entry, found and expected
};

struct GradcheckReport {
  std::vector<Finding> findings;

  Verdict verdict() const;  // the worst; unresolved where nothing was checked
  explicit operator bool() const { return verdict() == Verdict::agree; }
};
std::string to_string(const GradcheckReport& report);  // a summary, then every failure

// An op on all of its samples, or on one: value and f32 kernel against the reference within derived bounds,
// the backward rule against dual numbers and against central differences, second order.
GradcheckReport check_op(const OpInfo& info, const GradcheckOptions& options = {});
GradcheckReport check_op(const OpInfo& info, const Sample& sample, const GradcheckOptions& options = {});

// The gradients of a recorded `loss` with respect to every parameter and floating input it depends on. The
// record is replayed in f64; g is not changed, and backward() may have been called before. Throws GraphError
// where loss is not of g.
GradcheckReport check_gradients(const Graph& g, const Var& loss, const GradcheckOptions& options = {});

// The gradients of f, which records its result in the graph it is given, with respect to each of `x`.
using DifferentiableFunction = std::function<Var(Graph& g, std::span<const Var> x)>;
GradcheckReport check_gradients(const DifferentiableFunction& f, std::span<const Tensor> x,
                                const GradcheckOptions& options = {});

// The operands of a sample, in row-major order, with floating ones in `dtype`.
std::vector<Tensor> sample_inputs(const OpInfo& info, const Sample& sample, std::uint64_t seed, DType dtype);

}  // namespace weft
