// Bugs of softmax_crossentropy: M31 to M35.
#include <cmath>
#include <set>

#include "mutants/lists.hpp"
#include "mutants/naive.hpp"

namespace weft {

namespace {

enum class Defect {
  none,
  mean_dropped,      // M31
  divided_by_c,      // M32
  gy_ignored,        // M33
  not_shifted,       // M34
  label_off_by_one,  // M35
  repeats_once,      // M35
};

// Logits and targets row by row.
struct Rows {
  Rows(const Var& logits, const Var& targets, const Attributes& a)
      : options(options_of<CrossentropyOptions>(a)),
        x(numbers(logits)),
        t(numbers(targets)),
        labels(!is_floating(targets.dtype())),
        classes(logits.extent(-1)),
        count(classes == 0 ? 0 : x.elements() / classes) {}

  bool ignored(std::int64_t row) const {
    return labels && options.ignore_index && static_cast<double>(*options.ignore_index) == t[row];
  }
  double counted() const {
    double rows = 0;
    for (std::int64_t row = 0; row < count; ++row) rows += ignored(row) ? 0 : 1;
    return std::max(rows, 1.0);
  }
  double target(std::int64_t row, std::int64_t j, double label) const {
    const double given = labels ? (label == static_cast<double>(j) ? 1 : 0) : t[row * classes + j];
    return (1 - options.label_smoothing) * given + options.label_smoothing / static_cast<double>(classes);
  }
  // log sum exp of the row.
  double log_sum(std::int64_t row, bool shifted) const {
    double largest = x[row * classes], sum = 0;
    for (std::int64_t j = 1; j < classes; ++j) largest = std::max(largest, x[row * classes + j]);
    if (!shifted) largest = 0;
    for (std::int64_t j = 0; j < classes; ++j) sum += std::exp(x[row * classes + j] - largest);
    return std::log(sum) + largest;
  }

  CrossentropyOptions options;
  Numbers x, t;
  bool labels;
  std::int64_t classes, count;
};

double divisor_of(const Rows& rows, Defect defect) {
  if (rows.options.reduction != Reduction::mean || defect == Defect::mean_dropped) return 1;
  return rows.counted() * (defect == Defect::divided_by_c ? static_cast<double>(rows.classes) : 1);
}

Numbers logits_gradient(const Rows& rows, const Numbers& gy, Defect defect) {
  Numbers gx(rows.x.shape());
  const double divisor = divisor_of(rows, defect);
  std::set<double> seen;
  for (std::int64_t row = 0; row < rows.count; ++row) {
    if (rows.ignored(row)) continue;
    double label = rows.labels ? rows.t[row] : 0;
    if (defect == Defect::label_off_by_one) label -= 1;
    if (defect == Defect::repeats_once && !seen.insert(label).second) label = -1;
    const double log_sum = rows.log_sum(row, true);
    const double g =
        defect == Defect::gy_ignored ? 1 : gy[rows.options.reduction == Reduction::none ? row : 0];
    double total = 0;
    for (std::int64_t j = 0; j < rows.classes; ++j)
      total += rows.target(row, j, rows.labels ? rows.t[row] : 0);
    for (std::int64_t j = 0; j < rows.classes; ++j) {
      const double p = std::exp(rows.x[row * rows.classes + j] - log_sum);
      gx[row * rows.classes + j] = g * (p * total - rows.target(row, j, label)) / divisor;
    }
  }
  return gx;
}

OpInfo with_naive_rule(const OpInfo& info, Defect defect) {
  return with_rule(first_order(info),
                   [defect](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
                     const Rows rows(gx.input(0), gx.input(1), a);
                     if (gx.wants(0))
                       gx.set(0, to_tensor(logits_gradient(rows, numbers(gy), defect), gy.dtype()));
                     if (gx.wants(1)) gx.set(1, Tensor::zeros(gx.shape(1), gy.dtype()));
                   });
}

// M34: log sum exp without the row's maximum taken off: exp overflows.
OpInfo without_shift(const OpInfo& info, bool shifted) {
  return with_forward(info, [shifted](std::span<const Tensor> x, const Attributes& a) {
    (void)softmax_crossentropy(x[0], x[1], options_of<CrossentropyOptions>(a));  // throws as it does
    const Rows rows(x[0], x[1], a);
    Numbers losses(x[0].shape().without(-1));
    double sum = 0;
    for (std::int64_t row = 0; row < rows.count; ++row) {
      if (rows.ignored(row)) continue;
      const double log_sum = rows.log_sum(row, shifted);
      for (std::int64_t j = 0; j < rows.classes; ++j) {
        const double t = rows.target(row, j, rows.labels ? rows.t[row] : 0);
        if (t != 0) losses[row] += t * (log_sum - rows.x[row * rows.classes + j]);
      }
      sum += losses[row];
    }
    if (rows.options.reduction == Reduction::none) return to_tensor(losses, x[0].dtype());
    return Tensor::scalar(sum / divisor_of(rows, Defect::none), x[0].dtype());
  });
}

PlantedBug rule_bug(std::string_view id, std::string_view title, std::string_view exposed, Defect defect) {
  return {.id = id,
          .op = "softmax_crossentropy",
          .argument = "logits",
          .title = title,
          .exposed = exposed,
          .plant = [defect](const OpInfo& info) { return with_naive_rule(info, defect); }};
}

}  // namespace

PlantedBugs naive_crossentropy_rules() {
  return {rule_bug("naive", "the rule of softmax_crossentropy", "", Defect::none)};
}

PlantedBugs crossentropy_bugs() {
  return {
      rule_bug("M31", "1/n dropped", "n >= 2", Defect::mean_dropped),
      rule_bug("M32", "1/(n c) for 1/n", "c > 1", Defect::divided_by_c),
      rule_bug("M33", "gy ignored", "gy != 1", Defect::gy_ignored),
      {.id = "M34",
       .op = "softmax_crossentropy",
       .argument = "",
       .title = "no shift, NaN",
       .exposed = "logits +-80, 1e3",
       .plant = [](const OpInfo& info) { return without_shift(info, false); }},
      rule_bug("M35", "labels off by one", "repeated, absent class", Defect::label_off_by_one),
      rule_bug("M35", "repeated labels counted once", "repeated, absent class", Defect::repeats_once),
  };
}

}  // namespace weft
