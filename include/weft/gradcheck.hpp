// The gradient checker: is this gradient the derivative of this function? No tolerance is chosen by hand: the
// numerical derivative carries an error bar, and a verdict is an equivalence test on it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/op_info.hpp"

namespace weft {

class Snapshot;

// agree: shown equal to within the promised threshold. disagree: shown different. unresolved: this test has
// no resolution here, which counts as a failure.
enum class Verdict : std::uint8_t { agree, disagree, unresolved };
std::string_view name(Verdict verdict);

// full: every entry of the Jacobian. probes: random projections of it. automatic: full up to 65,536 entries.
enum class Coverage : std::uint8_t { automatic, full, probes };

struct GradcheckOptions {
  // The smallest error noticed, relative to the gradient's scale (delta): against dual numbers, which are
  // exact, and against differences.
  double detect_exact = 1e-11, detect_difference = 1e-6;
  Coverage coverage = Coverage::automatic;
  int probes = 12;        // per input tensor
  int order = 1;          // of check_gradients; 2: gradients of gradients too. check_op does both
  int max_resamples = 8;  // where a kink leaves no room for a step
  int threads = 1;        // that samples are spread over
  std::uint64_t seed = 0x5eed;
  double budget = 0.1;  // seconds per sample or node; what was left out is reported
};

// ---- numerical derivatives

// Which points a difference may use.
enum class Side : std::uint8_t { both, right, left };

struct LadderOptions {
  double step = 0.25;    // the first and largest one
  double noise = -1;     // absolute error of a value of g; negative: measured (ECnoise)
  double scale = 0;      // of the derivative, for the stopping rule; 0: its own size
  double detect = 1e-6;  // the error to be noticed, relative to the scale
  Side side = Side::both;
  bool affine = false;  // one step of 1, which truncates nothing
  bool smooth = false;  // g is known to have no kink within the step; otherwise one is looked for
};

// value +- error. `error` is infinite where no step gave a derivative: g has a kink or a jump at 0, or is not
// finite around it.
struct Estimate {
  double value = 0, error = 0;
  double noise = 0;     // of g, absolute
  double order = 0;     // of the truncation error in the step: 2 for each column of the table used
  int evaluations = 0;  // of g
  bool one_sided = false;
};

// g'(0) by central (or one-sided) differences, extrapolated to step 0 (Ridders, Adv. Eng. Softw. 4 (1982)
// 75).
Estimate directional_derivative(const std::function<double(double)>& g, const LadderOptions& options = {});

// ---- reports

// Whose fault a disagreement is: the party that the other two of (rule, reference, executed forward)
// contradict.
enum class Blame : std::uint8_t { nobody, rule, reference, forward, unclear };
std::string_view name(Blame blame);

// One number that is wrong: "y[1, 0, 0, 0] <- x[1, 1, 0, 2]".
struct WrongEntry {
  std::string where;
  double found = 0, expected = 0;
};

// What one oracle said.
struct OracleVerdict {
  std::string oracle;  // "dual", "difference", "difference, h = 1", "reference"
  Verdict verdict = Verdict::agree;
  double would_notice = 0;  // the smallest relative error it had noticed
  std::int64_t evaluations = 0;
};

// One check of one gradient, or of a value.
struct Finding {
  std::string check;  // "P0" to "P8", "O1" to "O5", "E1"
  Verdict verdict = Verdict::agree;
  std::string op;
  std::string argument;   // whose gradient; empty: the value
  std::string sample;     // which sample, or which node
  double resolution = 0;  // (|found - expected| + K error) / scale, the largest: the error is no larger
  double scale = 0;       // of a gradient: its largest entry

  // Of a failure only:
  Blame blame = Blame::nobody;
  std::string summary;               // what was found and what was needed, in one sentence
  std::vector<std::string> context;  // attributes, inputs, output; one line each, its first word the heading
  std::vector<OracleVerdict> oracles;
  std::int64_t differing = 0, compared = 0;  // entries
  bool others_equal = false;                 // those that do not differ agree to the bit
  std::string entry_axes;                    // what indices mean: "y[n, h, w, k] <- x[n, h, w, c]"
  std::vector<WrongEntry> worst;             // the worst first
  std::vector<std::string> pattern;          // where the entries differ; one line each
  std::string likely;                        // the likely mistake; empty: none was recognised
  std::string token;                         // replays exactly this case: `weft-gradcheck run <token>`
};

struct GradcheckReport {
  std::vector<Finding> findings;
  std::vector<std::string> notes;  // what was left out, and why
  std::int64_t resampled = 0;      // samples drawn anew because of a kink
  double seconds = 0;
  std::shared_ptr<const Snapshot> record =
      nullptr;  // that check_gradients has checked; save_diagram draws it

  Verdict verdict() const;  // the worst; unresolved where nothing was checked
  explicit operator bool() const { return verdict() == Verdict::agree; }
};
std::string to_text(const GradcheckReport& report, int max_lines = 40);  // a summary, then the failures
std::string to_json(const GradcheckReport& report);

// ---- checks

// An op on all of its samples, or on one: value, properties of the rule, the rule against dual numbers of the
// reference, both against differences of the executed forward, second order, f32 kernels.
GradcheckReport check_op(const OpInfo& info, const GradcheckOptions& options = {});
GradcheckReport check_op(const OpInfo& info, const Sample& sample, const GradcheckOptions& options = {});

// The gradients of a recorded `loss`: every node in place, then every parameter and floating input end to
// end. The record is replayed in f64; g is not changed, and backward() may have been called before. Throws
// GraphError where loss is not of g.
GradcheckReport check_gradients(const Graph& g, const Var& loss, const GradcheckOptions& options = {});

// The gradients of f, which records its result in the graph it is given, with respect to each of `x`.
using DifferentiableFunction = std::function<Var(Graph& g, std::span<const Var> x)>;
GradcheckReport check_gradients(const DifferentiableFunction& f, std::span<const Tensor> x,
                                const GradcheckOptions& options = {});

// An engine: the gradients of y with respect to each of xs, given gy.
using GradientFunction =
    std::function<std::vector<Tensor>(const Var& y, std::span<const Var> xs, const Tensor& gy)>;
// E1: an engine on records that exercise it (a var used 1 to 9 times, x op x, diamonds, chains, shared
// parameters, constants, pauses, two calls, random graphs) against dual numbers.
GradcheckReport check_engine(const GradientFunction& engine, const GradcheckOptions& options = {});

// What an op's samples leave out: attributes that leave their default in fewer than two samples, pairs of
// attributes that never do so together, comparisons of the reference that always come out one way, declared
// ties without a sample, operands without elements.
struct CoverageReport {
  std::vector<std::string> missing;
  std::size_t samples = 0;
};
CoverageReport sample_coverage(const OpInfo& info);

// The operands of a sample, in row-major order, with floating ones in `dtype`.
std::vector<Tensor> sample_inputs(const OpInfo& info, const Sample& sample, std::uint64_t seed, DType dtype);

// A short name for each of an op's samples, unique among them: "s2x3_p2x0x0x1". With op and seed it makes the
// token "conv2d:s2x3_p2x0x0x1:5eed".
std::vector<std::string> sample_names(const OpInfo& info);

// ---- planted bugs and the command line

// A defect that the checker has to notice. The op it belongs to may not exist yet.
struct PlantedBug {
  std::string_view id;            // "M01"
  std::string_view op;            // "engine" for one of an engine
  std::string_view argument;      // whose gradient is wrong; empty: the value
  std::string_view title;         // "stride ignored in gx"
  std::string_view exposed;       // "stride > 1"
  std::string_view mistake = {};  // what a right `likely` line says: "the stride is ignored"
  // The op with the defect; for an engine, the engine. One of the two is set.
  std::function<OpInfo(const OpInfo& healthy)> plant = {};
  GradientFunction engine = {};
};

// The command weft-gradcheck over a project's own ops: list, run, bugs, explain. Returns the exit code: 0
// agree, 1 disagree, 2 unresolved, 3 usage, 4 internal. In the library weft::gradcheck_main.
int gradcheck_main(int argc, char** argv, std::span<const OpInfo* const> infos,
                   std::span<const PlantedBug> bugs = {});

}  // namespace weft
