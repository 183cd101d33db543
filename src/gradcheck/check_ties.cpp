// O3: operands that lie on ties and kinks. Where a function has no derivative, the rule's must lie between
// the one-sided ones, one output at a time (a sum of maxima of mixed sign is not regular in Clarke's sense),
// and follow the op's policy.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gradcheck/checks.hpp"
#include "gradcheck/jacobians.hpp"

namespace weft {

namespace {

struct OneSided {
  std::vector<Estimate> right, left;  // per output
};

class Ties {
 public:
  Ties(const OpCase& op, GradcheckReport& report) : op_(op), report_(report) {
    rows_ = static_cast<std::size_t>(op.y_shape.elements());
    for (std::size_t row = 0; row < rows_; ++row) noise_.push_back(op.noise(row));
    scale_.assign(rows_, 1);
  }

  void run() {
    const std::vector<std::vector<double>> rules = rule_jacobians(op_);
    for (std::size_t k = 0; k < op_.checked.size(); ++k) check(op_.checked[k], rules[k]);
  }

 private:
  void check(std::size_t i, const std::vector<double>& rule) {
    const auto columns = static_cast<std::size_t>(op_.inputs[i].elements());
    Comparison between, policy;
    nearest_.assign(rows_ * columns, 0);
    std::vector<OneSided> sides;
    Tensor u = Tensor::zeros(op_.inputs[i].shape(), DType::f64);
    for (std::size_t n = 0; n < columns; ++n) {
      u.mutable_values<double>()[n] = 1;
      sides.push_back(one_sided(i, u));
      u.mutable_values<double>()[n] = 0;
      for (std::size_t row = 0; row < rows_; ++row)
        require_between(between, row * columns + n, rule[row * columns + n], sides[n], row);
    }
    // u = 1 finds "every tie gets gy" with certainty.
    const OneSided all = one_sided(i, Tensor::full(op_.inputs[i].shape(), 1, DType::f64));
    for (std::size_t row = 0; row < rows_; ++row) {
      double sum = 0;
      for (std::size_t n = 0; n < columns; ++n) sum += rule[row * columns + n];
      require_between(between, row * columns, sum, all, row);
      if (op_.info.ties != TiePolicy::none) require_policy(policy, row, rule, sides);
    }
    add(i, between, rule, "the gradient lies outside the one-sided derivatives");
    if (op_.info.ties != TiePolicy::none) add(i, policy, rule, "ties do not follow the op's policy");
  }

  OneSided one_sided(std::size_t i, const Tensor& u) const {
    std::vector<Tensor> directions(op_.inputs.size());
    directions[i] = u;
    const double step = step_beside_kinks(op_, directions);
    const VectorFunction g = [&](double t, std::span<double> y) {
      std::ranges::copy(op_.forward(op_.moved(i, u, t)).values<double>(), y.begin());
    };
    const auto estimate = [&](Side side) {
      const LadderOptions options{
          .step = step, .detect = op_.options.detect_difference, .side = side, .smooth = true};
      return directional_derivatives(g, {noise_, scale_, options});
    };
    return {estimate(Side::right), estimate(Side::left)};
  }

  void require_between(Comparison& comparison, std::size_t position, double found, const OneSided& sides,
                       std::size_t row) {
    const Estimate &right = sides.right[row], &left = sides.left[row];
    const double size = std::max(std::fabs(right.value), std::fabs(left.value));
    const double error = error_bars * std::max(right.error, left.error) + op_.options.detect_exact * size;
    const double low = std::min(right.value, left.value) - error,
                 high = std::max(right.value, left.value) + error;
    const bool is_known = std::isfinite(low) && std::isfinite(high);
    const Verdict verdict = !is_known                       ? Verdict::unresolved
                            : found >= low && found <= high ? Verdict::agree
                                                            : Verdict::disagree;
    comparison.add(position, verdict, error);
    if (verdict != Verdict::agree) nearest_[position] = std::clamp(found, low, high);
  }

  // The inputs that tie in a row are those whose one-sided derivatives differ.
  void require_policy(Comparison& comparison, std::size_t row, const std::vector<double>& rule,
                      const std::vector<OneSided>& sides) {
    std::vector<std::size_t> tied;
    for (std::size_t n = 0; n < sides.size(); ++n) {
      const Estimate &right = sides[n].right[row], &left = sides[n].left[row];
      if (std::fabs(right.value - left.value) > error_bars * (right.error + left.error) + 1e-6)
        tied.push_back(n);
    }
    if (tied.size() < 2) return;
    const std::size_t winner = op_.info.ties == TiePolicy::last ? tied.back() : tied.front();
    for (const std::size_t n : tied) {
      const double right = sides[n].right[row].value;
      double expected = n == winner ? right : 0;
      if (op_.info.ties == TiePolicy::split) expected = right / static_cast<double>(tied.size());
      const double found = rule[row * sides.size() + n];
      const double error = error_bars * sides[n].right[row].error;
      const bool holds = std::fabs(found - expected) <= error + 1e-6 * std::fabs(right);
      comparison.add(row * sides.size() + n, holds ? Verdict::agree : Verdict::disagree, error);
      if (!holds) nearest_[row * sides.size() + n] = expected;
    }
  }

  void add(std::size_t i, const Comparison& comparison, const std::vector<double>& rule,
           std::string_view summary) {
    const std::int64_t columns = op_.inputs[i].elements();
    Finding f = op_.finding("O3", i, comparison, std::string(summary), [&](std::size_t k) {
      const auto at = static_cast<std::int64_t>(k);
      return WrongEntry{fmt::format("y{} <- {}{}", index_text(op_.y_shape, at / columns), op_.operand_name(i),
                                    index_text(op_.inputs[i].shape(), at % columns)),
                        rule[k], nearest_[k]};
    });
    if (f.verdict != Verdict::agree) {
      f.blame = Blame::rule;
      f.likely = "another convention at ties and kinks than the op's: who gets the gradient there";
    }
    report_.findings.push_back(std::move(f));
  }

  const OpCase& op_;
  GradcheckReport& report_;
  std::size_t rows_ = 0;
  std::vector<double> noise_, scale_;
  std::vector<double> nearest_;  // to what a wrong entry should have been
};

}  // namespace

void check_ties(const OpCase& op, GradcheckReport& report) {
  if (op.y_shape.elements() == 0) return;
  Ties(op, report).run();
}

}  // namespace weft
