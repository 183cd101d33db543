// P1 to P8: what holds for every rule, whatever it computes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/pool.hpp"
#include "gradcheck/checks.hpp"
#include "kernels/parallel.hpp"
#include "weft/gradient.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.bytes() == 0 || std::memcmp(a.data(), b.data(), a.bytes()) == 0);
}

std::vector<Tensor> clones(std::span<const Tensor> tensors) {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.clone());
  return result;
}

class Properties {
 public:
  Properties(const OpCase& op, const RuleContext& context, GradcheckReport& report)
      : op_(op), context_(context), report_(report) {}

  void run() {
    usual_ = Recorded(op_, op_.inputs).gradients(op_.gy);
    shapes();
    memory();
    linearity();
    repeatability();
    kinds_of_gy();
    wanted_alone();
    recorded_path();
    invariants();
  }

 private:
  std::size_t operand(std::size_t k) const { return op_.checked[k]; }

  // One finding for a property of each gradient: the first position that breaks it.
  void require(std::string_view check, std::size_t k, bool holds, std::string_view summary,
               std::string_view likely) {
    add(op_.finding(check, operand(k), holds ? Verdict::agree : Verdict::disagree, std::string(summary)),
        Blame::rule, likely);
  }
  void require_same(std::string_view check, std::span<const Tensor> gx, std::string_view summary,
                    std::string_view likely) {
    for (std::size_t k = 0; k < gx.size(); ++k)
      require(check, k, same_bits(gx[k], usual_[k]), summary, likely);
  }
  void require_value(std::string_view check, bool holds, std::string_view summary, std::string_view likely) {
    add(op_.finding(check, no_operand, holds ? Verdict::agree : Verdict::disagree, std::string(summary)),
        Blame::forward, likely);
  }
  void add(Finding f, Blame blame, std::string_view likely) {
    if (f.verdict != Verdict::agree) {
      f.blame = blame;
      f.likely = likely;
    }
    report_.findings.push_back(std::move(f));
  }
  // The absolute rounding error of entry n of gradient k. Of a rule that is not recorded it is not known:
  // what is promised to be noticed takes its place.
  double rounding(std::size_t k, std::size_t n) const {
    if (!op_.gx_bounds.empty() && op_.gx_bounds[k].elements() > 0)
      return op_.gx_bounds[k][static_cast<std::int64_t>(n)].error(unit_roundoff_f64);
    return op_.options.detect_exact * std::max(largest(usual_[k]), largest(op_.gy));
  }
  double most_rounding(std::size_t k) const {
    double most = 0;
    for (std::size_t n = 0; n < usual_[k].values<double>().size(); ++n) most = std::max(most, rounding(k, n));
    return most;
  }
  static double largest(const Tensor& x) {
    double size = 0;
    for (const double value : x.values<double>()) size = std::max(size, std::fabs(value));
    return size;
  }

  // |found - expected| within `times` the rounding error of gradient k, and `more`.
  void require_within(std::string_view check, std::size_t k, const Tensor& found, const Tensor& expected,
                      std::string_view summary, std::string_view likely, double times = 2, double more = 0) {
    const auto a = found.values<double>(), b = expected.values<double>();
    const double bound = times * most_rounding(k) + more;
    Comparison judged;
    for (std::size_t n = 0; n < a.size(); ++n) {
      const bool holds = a[n] == b[n] || std::fabs(a[n] - b[n]) <= bound;
      judged.add(n, holds || std::isnan(b[n]) ? Verdict::agree : Verdict::disagree, holds ? 0 : 1);
    }
    Finding f = op_.finding(check, operand(k), judged, std::string(summary), [&](std::size_t n) {
      const std::string where = fmt::format("g{}{}", op_.operand_name(operand(k)),
                                            index_text(found.shape(), static_cast<std::int64_t>(n)));
      return WrongEntry{where, a[n], b[n]};
    });
    add(std::move(f), Blame::rule, likely);
  }

  // P1
  void shapes() {
    for (std::size_t k = 0; k < usual_.size(); ++k) {
      const Tensor& x = op_.inputs[operand(k)];
      require("P1", k, usual_[k].shape() == x.shape() && usual_[k].dtype() == x.dtype(),
              fmt::format("the gradient is {}, its operand {}",
                          to_string(TensorType{usual_[k].shape(), usual_[k].dtype()}),
                          to_string(TensorType{x.shape(), x.dtype()})),
              "");
    }
    std::vector<std::size_t> others;
    for (std::size_t i = 0; i < op_.inputs.size(); ++i) {
      if (is_floating(op_.inputs[i].dtype()) && std::ranges::find(op_.checked, i) == op_.checked.end())
        others.push_back(i);
    }
    if (others.empty()) return;
    const std::vector<Tensor> gx = Recorded(op_, op_.inputs, others).gradients(op_.gy);
    for (std::size_t k = 0; k < others.size(); ++k) {
      const bool is_zero = std::ranges::all_of(gx[k].values<double>(), [](double v) { return v == 0; });
      add(op_.finding("P1", others[k], is_zero ? Verdict::agree : Verdict::disagree,
                      "an operand that is an index or a constant got a gradient"),
          Blame::rule, "the rule sets a gradient for an operand that has none");
    }
  }

  // P2 and P3
  void memory() {
    const std::vector<Tensor> before = clones(op_.inputs);
    const Tensor gy = op_.gy.clone();
    std::int64_t damaged = 0;
    std::vector<Tensor> poisoned;
    bool y_is_same = false, y_is_kept = false;
    {
      const Tensor usual_y = op_.forward(op_.inputs);
      const detail::CheckedMemory memory;
      {
        const Recorded recorded(op_, op_.inputs);
        y_is_same = same_bits(recorded.y.value(), usual_y);
        poisoned = recorded.gradients(op_.gy);
        y_is_kept = !y_is_same || same_bits(recorded.y.value(), usual_y);
        poisoned = clones(poisoned);
      }
      damaged = memory.damaged();
    }
    std::vector<std::string> changed;
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (!same_bits(op_.inputs[i], before[i])) changed.push_back(op_.operand_name(i));
    }
    if (!y_is_kept) changed.emplace_back("the output y");
    if (!same_bits(op_.gy, gy)) changed.emplace_back("gy");
    const std::string names = fmt::format("{}", fmt::join(changed, ", "));
    require_value(
        "P2", changed.empty(), fmt::format("the rule changed {}", names),
        fmt::format("the rule computes in place in {}, which others hold too: it needs a tensor of its own",
                    names));
    require_value("P2", damaged == 0, fmt::format("{} tensors were written outside their bounds", damaged),
                  "an index runs past the end: a loop over the extents of another tensor");
    constexpr const char* unwritten = "part of it is read before it is written: new memory does not hold 0";
    require_value("P3", y_is_same, "the value is another one in memory that held NaN", unwritten);
    require_same("P3", poisoned, "the gradient is another one in memory that held NaN", unwritten);
  }

  // P4
  void linearity() {
    const Recorded recorded(op_, op_.inputs);
    const std::vector<Tensor> zero = recorded.gradients(Tensor::zeros(op_.y_shape, DType::f64));
    if (!context_.finite) return;
    for (std::size_t k = 0; k < zero.size(); ++k) {
      require("P4", k, std::ranges::all_of(zero[k].values<double>(), [](double v) { return v == 0; }),
              "gy = 0 does not give 0", "the rule does not use gy, or adds something to it");
    }
    Random random(op_.options.seed, "linearity");
    const Tensor b = dense_like(op_.y_shape, random);
    Tensor mixed(op_.y_shape, DType::f64);
    for (std::size_t n = 0; n < mixed.values<double>().size(); ++n)
      mixed.mutable_values<double>()[n] = 2 * op_.gy.values<double>()[n] - 3 * b.values<double>()[n];
    const std::vector<Tensor> gb = recorded.gradients(b), gmixed = recorded.gradients(mixed);
    for (std::size_t k = 0; k < gb.size(); ++k) {
      Tensor expected = gb[k].clone();
      const auto to = expected.mutable_values<double>();
      for (std::size_t n = 0; n < to.size(); ++n) to[n] = 2 * usual_[k].values<double>()[n] - 3 * to[n];
      require_within("P4", k, gmixed[k], expected, "the gradient is not linear in gy",
                     "the rule decides by gy, where the operands have to decide", 2 + 3 + 5);
    }
  }

  // P5
  void repeatability() {
    require_same("P5", Recorded(op_, op_.inputs).gradients(op_.gy), "two runs differ",
                 op_.info.stochastic
                     ? "another mask than the forward's: the rule draws one of its own"
                     : "a race between threads, or state that the rule keeps from call to call");
    if (context_.other) {
      const Recorded between(*context_.other, context_.other->inputs);
      (void)between.gradients(context_.other->gy);
      require_same("P5", Recorded(op_, op_.inputs).gradients(op_.gy),
                   "a run with other attributes in between changes the gradient",
                   "what was set up for one call serves another: its key lacks an attribute");
    }
    for (const int threads : {1, 2}) {
      const ForcedThreads forced(threads);
      const std::vector<Tensor> gx = Recorded(op_, op_.inputs).gradients(op_.gy);
      for (std::size_t k = 0; k < gx.size(); ++k)
        require_within("P5", k, gx[k], usual_[k], fmt::format("{} threads give another gradient", threads),
                       "a race between threads: a part of a sum is lost or counted twice");
    }
  }

  // P6
  void kinds_of_gy() {
    if (op_.y_shape.elements() == 0) return;
    const Recorded recorded(op_, op_.inputs);
    const Var loss = mean(recorded.y);
    const Tensor even =
        Tensor::full(op_.y_shape, 1 / static_cast<double>(op_.y_shape.elements()), DType::f64);
    const std::vector<Tensor> expected = recorded.gradients(even);
    const std::vector<Var> found = gradient(loss, recorded.targets);
    for (std::size_t k = 0; k < found.size(); ++k) {
      require("P6", k, same_bits(found[k].value(), expected[k]),
              "a gy that was broadcast from a scalar gives another gradient than a dense one",
              "a gy whose elements are all equal is read as one number");
    }
    share_storage(recorded, recorded.y.value(), "y");
    for (const std::size_t i : op_.checked) {
      if (op_.inputs[i].elements() == op_.y_shape.elements())
        share_storage(recorded, op_.inputs[i].reshape(op_.y_shape.extents()), op_.argument(i).name);
    }
  }

  void share_storage(const Recorded& recorded, const Tensor& gy, std::string_view with) {
    const std::vector<Tensor> expected = recorded.gradients(gy.clone()), found = recorded.gradients(gy);
    for (std::size_t k = 0; k < found.size(); ++k) {
      require("P6", k, same_bits(found[k], expected[k]),
              fmt::format("a gy that shares storage with {} gives another gradient", with),
              "the rule writes into gy or into what shares its storage");
    }
  }

  // P7
  void wanted_alone() {
    if (op_.checked.size() < 2) return;
    for (std::size_t k = 0; k < op_.checked.size(); ++k) {
      constexpr const char* likely = "what the gradient needs is there only where another one is wanted too";
      try {
        const Recorded alone(op_, op_.inputs, std::span(&op_.checked[k], 1));
        require("P7", k, same_bits(alone.gradients(op_.gy)[0], usual_[k]),
                "wanted alone, the gradient is another one", likely);
      } catch (const Error& error) {
        require("P7", k, false, fmt::format("wanted alone, the rule threw '{}'", error.what()), likely);
      }
    }
  }

  void recorded_path() {
    const Recorded recorded(op_, op_.inputs);
    const std::vector<Var> gx = gradient(recorded.y, recorded.targets, {.record = true, .gy = Var(op_.gy)});
    for (std::size_t k = 0; k < gx.size(); ++k)
      require_within("P7", k, usual_[k], gx[k].value(), "unrecorded, the gradient is another one",
                     "the unrecorded (fused) path computes another gradient than the recorded one");
  }

  // P8
  void invariants() {
    if (!context_.finite) return;
    for (const Invariant invariant : op_.info.invariants) {
      if (invariant == Invariant::rows_sum_to_zero) rows_sum_to_zero();
      if (invariant == Invariant::sum_is_kept) sum_is_kept();
      if (invariant == Invariant::batch_equivariant) batch_equivariant();
    }
  }

  void rows_sum_to_zero() {
    const Tensor& gx = usual_[0];
    const AttributeValue* given = op_.attributes.find("axis");
    const int axis = normalize_axis(op_.info.name, given ? given->as<std::int64_t>() : -1, gx.rank());
    const Tensor sums = sum(Var(gx), {.axes = {axis}}).value();
    const double most =
        2 * static_cast<double>(gx.extent(axis)) * most_rounding(0) + op_.options.detect_exact * largest(gx);
    const auto is_zero = [&](double sum) { return std::fabs(sum) <= most; };
    require("P8", 0, std::ranges::all_of(sums.values<double>(), is_zero),
            fmt::format("the gradient does not sum to 0 along axis {}", axis),
            "the term that couples the elements along the axis is missing or of another axis");
  }

  void sum_is_kept() {
    double found = 0, expected = 0, size = 0, elements = static_cast<double>(op_.gy.elements());
    for (const Tensor& gx : usual_) {
      for (const double value : gx.values<double>()) found += value;
      elements += static_cast<double>(gx.elements());
    }
    for (const double value : op_.gy.values<double>()) {
      expected += value;
      size += std::fabs(value);
    }
    const double most = (2 * elements * unit_roundoff_f64 + op_.options.detect_exact) * size;
    require("P8", 0, std::fabs(found - expected) <= most,
            fmt::format("the gradients sum to {}, gy to {}", found, expected),
            "an element of gy is lost or counted twice");
  }

  static Tensor rotated(const Tensor& x) {  // by one along the first axis
    if (x.rank() == 0 || x.extent(0) < 2) return x;
    Tensor y(x.shape(), x.dtype());
    const std::size_t row = x.bytes() / static_cast<std::size_t>(x.extent(0));
    const auto* from = static_cast<const std::byte*>(x.data());
    auto* to = static_cast<std::byte*>(y.mutable_data());
    std::memcpy(to + row, from, x.bytes() - row);
    std::memcpy(to, from + x.bytes() - row, row);
    return y;
  }

  void batch_equivariant() {
    std::vector<Tensor> inputs = op_.inputs;
    inputs[0] = rotated(inputs[0]);
    const std::vector<Tensor> gx = Recorded(op_, inputs).gradients(rotated(op_.gy));
    for (std::size_t k = 0; k < gx.size(); ++k) {
      require_within("P8", k, gx[k], operand(k) == 0 ? rotated(usual_[k]) : usual_[k],
                     "images in another order give another gradient",
                     "the images of a batch are not treated alike: an index along n is missing", 2,
                     op_.options.detect_exact * largest(usual_[k]));
    }
  }

  const OpCase& op_;
  const RuleContext& context_;
  GradcheckReport& report_;
  std::vector<Tensor> usual_;  // the gradients for op.gy
};

}  // namespace

void check_properties(const OpCase& op, const RuleContext& context, GradcheckReport& report) {
  Properties(op, context, report).run();
}

}  // namespace weft
