// softmax_crossentropy(logits, targets): how far softmax(logits) is from the targets, along the last axis.
//   p_rj  = softmax(x)_rj                             x: logits, r: a row, j: one of c classes
//   t_rj  = (1 - s) [j = label_r] + s / c             class indices
//   t_rj  = (1 - s) probability_rj + s / c            probabilities; they need not sum to 1
//   l_r   = -sum_j t_rj log p_rj                      0 where label_r is ignored
//   y     = l (none), sum_r l_r (sum), sum_r l_r / n (mean)       n: rows that are not ignored; of none y is
//   0 gx_rj = gy_r (p_rj sum_k t_rk - t_rj)             0 where label_r is ignored; divided by n for the mean
// log p is (x - m) - log(sum exp(x - m)) with the row's maximum m: finite for all finite logits. An ignored
// row leaves no trace, NaN included. Targets get no gradient. Keeps logits and targets.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/elementwise.hpp"
#include "kernels/parallel.hpp"
#include "kernels/reduce.hpp"
#include "kernels/softmax.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& softmax_crossentropy_info();

namespace {

// Targets row by row: labels [rows] or probabilities [rows, classes].
class TargetRows {
 public:
  TargetRows(const Tensor& targets, const Shape& logits, const CrossentropyOptions& options)
      : values_(is_floating(targets.dtype()) ? targets : targets.to(DType::i64)), options_(options) {
    classes_ = logits[-1];
    rows_ = logits.without(logits.rank() - 1).elements();
  }

  std::int64_t rows() const { return rows_; }
  std::int64_t classes() const { return classes_; }
  bool are_labels() const { return !is_floating(values_.dtype()); }
  std::int64_t label(std::int64_t row) const {
    return values_.values<std::int64_t>()[static_cast<std::size_t>(row)];
  }
  template <class T>
  const T* probabilities(std::int64_t row) const {
    return values_.values<T>().data() + row * classes_;
  }
  bool is_ignored(std::int64_t row) const { return are_labels() && options_.ignore_index == label(row); }

  // t = given_part [j = label] + uniform_part, or given_part probability_j + uniform_part.
  double given_part() const { return 1 - options_.label_smoothing; }
  double uniform_part() const {
    return options_.label_smoothing == 0 ? 0 : options_.label_smoothing / static_cast<double>(classes_);
  }

  // What the sum over rows is divided by.
  double divisor() const {
    if (options_.reduction != Reduction::mean) return 1;
    std::int64_t counted = 0;
    for (std::int64_t row = 0; row < rows_; ++row) counted += is_ignored(row) ? 0 : 1;
    return static_cast<double>(std::max<std::int64_t>(counted, 1));
  }

 private:
  Tensor values_;
  CrossentropyOptions options_;
  std::int64_t rows_ = 0, classes_ = 0;
};

// sum_j of -log p_j
template <class T>
WEFT_VECTOR_LOOP T uniform_loss(const T* x, T largest, T log_sum, std::int64_t count) {
  T loss = 0;
#pragma omp simd reduction(+ : loss)
  for (std::int64_t j = 0; j < count; ++j) loss += log_sum - (x[j] - largest);
  return loss;
}

// sum_j of -t_j log p_j
template <class T>
WEFT_VECTOR_LOOP T dense_loss(const T* x, const T* probability, T given, T uniform, T largest, T log_sum,
                              std::int64_t count) {
  T loss = 0;
#pragma omp simd reduction(+ : loss)
  for (std::int64_t j = 0; j < count; ++j) {
    loss += (given * probability[j] + uniform) * (log_sum - (x[j] - largest));
  }
  return loss;
}

template <class T>
WEFT_VECTOR_LOOP void smooth_targets(const T* probability, T given, T uniform, T* __restrict t,
                                     std::int64_t count) {
#pragma omp simd
  for (std::int64_t j = 0; j < count; ++j) t[j] = given * probability[j] + uniform;
}

// g_j = weight (total p_j - t_j), in place of p.
template <class T>
WEFT_VECTOR_LOOP void label_gradient(T* g, T weight, T uniform, std::int64_t count) {
#pragma omp simd
  for (std::int64_t j = 0; j < count; ++j) g[j] = weight * (g[j] - uniform);
}
template <class T>
WEFT_VECTOR_LOOP void dense_gradient(T* __restrict g, const T* probability, T given, T uniform, T weight,
                                     std::int64_t count) {
  T total = 0;
#pragma omp simd reduction(+ : total)
  for (std::int64_t j = 0; j < count; ++j) total += given * probability[j] + uniform;
#pragma omp simd
  for (std::int64_t j = 0; j < count; ++j) {
    g[j] = weight * (g[j] * total - (given * probability[j] + uniform));
  }
}

template <class T>
T row_loss(const T* x, const TargetRows& targets, std::int64_t row) {
  const T given = static_cast<T>(targets.given_part()), uniform = static_cast<T>(targets.uniform_part());
  const auto [largest, sum] = row_exp_sum(x, targets.classes());
  const T log_sum = vector_math::log(sum);
  if (!targets.are_labels()) {
    return dense_loss(x, targets.probabilities<T>(row), given, uniform, largest, log_sum, targets.classes());
  }
  const T loss = given * (log_sum - (x[targets.label(row)] - largest));
  return uniform == 0 ? loss : loss + uniform * uniform_loss(x, largest, log_sum, targets.classes());
}

// l, [rows...]
Tensor row_losses(const Tensor& logits, const TargetRows& targets) {
  Tensor losses(logits.shape().without(logits.rank() - 1), logits.dtype());
  visit_floating(logits.dtype(), [&]<class T>() {
    const T* x = logits.values<T>().data();
    T* y = losses.mutable_values<T>().data();
    parallel_for(targets.rows(), softmax_row_grain(targets.classes()),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t r = begin; r < end; ++r) {
                     y[r] = targets.is_ignored(r) ? T(0) : row_loss(x + r * targets.classes(), targets, r);
                   }
                 });
  });
  return losses;
}

// t, like the logits; 0 in ignored rows.
Tensor dense_targets(const TargetRows& targets, const Shape& shape, DType dtype) {
  Tensor dense = Tensor::zeros(shape, dtype);
  visit_floating(dtype, [&]<class T>() {
    const T given = static_cast<T>(targets.given_part()), uniform = static_cast<T>(targets.uniform_part());
    const std::int64_t classes = targets.classes();
    for (std::int64_t r = 0; r < targets.rows(); ++r) {
      T* t = dense.mutable_values<T>().data() + r * classes;
      if (!targets.are_labels()) {
        smooth_targets(targets.probabilities<T>(r), given, uniform, t, classes);
      } else if (!targets.is_ignored(r)) {
        std::fill_n(t, classes, uniform);
        t[targets.label(r)] += given;
      }
    }
  });
  return dense;
}

// Whether each row counts, [rows..., 1].
Tensor counted_rows(const TargetRows& targets, const Shape& logits) {
  Tensor counted(logits.with(logits.rank() - 1, 1), DType::boolean);
  const auto to = counted.mutable_values<bool>();
  for (std::int64_t r = 0; r < targets.rows(); ++r) to[static_cast<std::size_t>(r)] = !targets.is_ignored(r);
  return counted;
}

// gx in one pass over the rows; gy [rows...] or one number for all.
Tensor fused_gradient(const Tensor& logits, const TargetRows& targets, const Tensor& gy, bool gy_per_row) {
  Tensor gx(logits.shape(), logits.dtype());
  visit_floating(logits.dtype(), [&]<class T>() {
    const T given = static_cast<T>(targets.given_part()), uniform = static_cast<T>(targets.uniform_part());
    const T factor = static_cast<T>(1 / targets.divisor());
    const std::int64_t classes = targets.classes();
    const T *x = logits.values<T>().data(), *row_gy = gy.values<T>().data();
    T* to = gx.mutable_values<T>().data();
    parallel_for(targets.rows(), softmax_row_grain(classes), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        T* g = to + r * classes;
        if (targets.is_ignored(r)) {
          std::fill_n(g, classes, T(0));
          continue;
        }
        const T weight = factor * row_gy[gy_per_row ? r : 0];
        softmax_row(x + r * classes, g, classes);
        if (targets.are_labels()) {
          label_gradient(g, weight, uniform, classes);
          g[targets.label(r)] -= weight * given;
        } else {
          dense_gradient(g, targets.probabilities<T>(r), given, uniform, weight, classes);
        }
      }
    });
  });
  return gx;
}

struct SoftmaxCrossentropy final : Op {
  CrossentropyOptions options;
  explicit SoftmaxCrossentropy(const CrossentropyOptions& options) : options(options) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    const Var x = gx.input(0);
    const TargetRows targets(gx.input(1).value(), x.shape(), options);
    const bool per_row = options.reduction == Reduction::none;
    if (gx.wants(0)) {
      gx.set(0, gx.recording() ? recorded_gradient(x, targets, gy)
                               : Var(fused_gradient(x.value(), targets, gy.value(), per_row)));
    }
    if (gx.wants(1)) gx.set(1, Tensor::zeros(gx.shape(1), x.dtype()));
  }
  const OpInfo& info() const override { return softmax_crossentropy_info(); }
  double flops(std::span<const TensorType> x, const TensorType&) const override {
    return 5.0 * static_cast<double>(x[0].shape.elements());  // maximum, difference, exp, sum, product
  }
  Attributes attributes() const override { return attributes_of(options); }

 private:
  Var recorded_gradient(const Var& x, const TargetRows& targets, const Var& gy) const {
    const int last = x.rank() - 1;
    const Tensor t = dense_targets(targets, x.shape(), x.dtype());
    const Tensor totals = reduce_sum(t, {last}, true);
    Var difference = subtract(multiply(softmax(x), totals), t);
    if (options.ignore_index) {
      difference = where(counted_rows(targets, x.shape()), difference, Tensor::scalar(0, x.dtype()));
    }
    const Var weight = scale(gy, 1 / targets.divisor());
    if (options.reduction != Reduction::none) return multiply(difference, weight);
    return multiply(difference, reshape(weight, x.shape().with(last, 1).extents()));
  }
};

void require_labels_in_range(const Var& logits, const Var& targets, const TargetRows& rows,
                             SourceLocation at) {
  for (std::int64_t r = 0; r < rows.rows(); ++r) {
    if (rows.is_ignored(r) || (rows.label(r) >= 0 && rows.label(r) < rows.classes())) continue;
    fail<Error>("softmax_crossentropy",
                fmt::format("label {} in row {} is outside [0, {}): logits have {} classes", rows.label(r), r,
                            rows.classes(), rows.classes()),
                {{"logits", logits}, {"targets", targets}}, at);
  }
}

void require_fitting(const Var& logits, const Var& targets, const CrossentropyOptions& options,
                     SourceLocation at) {
  constexpr std::string_view op = "softmax_crossentropy";
  require_floating(op, {"logits", logits}, at);
  if (logits.rank() == 0) {
    fail<ShapeError>(op, "logits need an axis of classes", {{"logits", logits}}, at);
  }
  if (!(options.label_smoothing >= 0 && options.label_smoothing < 1)) {
    fail<Error>(op, fmt::format("label_smoothing must lie in [0, 1), found {}", options.label_smoothing),
                {{"logits", logits}}, at);
  }
  const Shape rows = logits.shape().without(logits.rank() - 1);
  const bool labels = !is_floating(targets.dtype());
  if (targets.shape() != (labels ? rows : logits.shape())) {
    fail<ShapeError>(op,
                     fmt::format("targets must be class indices {} or probabilities {}", to_string(rows),
                                 to_string(logits.shape())),
                     {{"logits", logits}, {"targets", targets}}, at);
  }
  if (labels) {
    require_integer(op, {"targets", targets}, at);
  } else {
    require_same_dtype(op, {"logits", logits}, {"targets", targets}, at);
    if (options.ignore_index) {
      fail<Error>(op, "ignore_index needs class indices as targets",
                  {{"logits", logits}, {"targets", targets}}, at);
    }
  }
}

template <class T>
Array<T> crossentropy(const Inputs<T>& x, const Attributes& a) {
  using std::exp, std::log;
  const auto options = options_of<CrossentropyOptions>(a);
  const Shape& shape = x[0].shape();
  const bool labels = x[1].shape() != shape;
  const std::int64_t classes = shape[-1];
  const T smoothing(options.label_smoothing), uniform = smoothing / T(static_cast<double>(classes));
  Array<T> losses(shape.without(shape.rank() - 1)), sum(Shape{});
  double counted = 0;
  for (std::int64_t r = 0, first = 0; r < losses.elements(); ++r, first += classes) {
    if (labels && options.ignore_index == x.integers(1)[r]) continue;
    T largest = x[0][first], exp_sum(0.0);
    for (std::int64_t i = first + 1; i < first + classes; ++i) {
      if (x[0][i] > largest) largest = x[0][i];
    }
    for (std::int64_t i = first; i < first + classes; ++i) exp_sum += exp(x[0][i] - largest);
    for (std::int64_t i = first; i < first + classes; ++i) {
      const bool hit = labels && i - first == x.integers(1)[r];
      if (labels && !hit && options.label_smoothing == 0) continue;
      const T target = labels ? T(hit ? 1.0 : 0.0) : x[1][i];
      losses[r] += ((T(1.0) - smoothing) * target + uniform) * (log(exp_sum) - (x[0][i] - largest));
    }
    sum[0] += losses[r];
    counted += 1;
  }
  if (options.reduction == Reduction::none) return losses;
  if (options.reduction == Reduction::mean && counted > 0) sum[0] /= T(counted);
  return sum;
}

}  // namespace

Var softmax_crossentropy(const Var& logits, const Var& targets, const CrossentropyOptions& options,
                         SourceLocation at) {
  require_fitting(logits, targets, options, at);
  const TargetRows rows(targets.value(), logits.shape(), options);
  if (rows.are_labels()) require_labels_in_range(logits, targets, rows, at);
  Tensor y = row_losses(logits.value(), rows);
  if (options.reduction != Reduction::none) {
    const double divisor = rows.divisor();
    y = map(reduce_sum(y, normalize_axes("softmax_crossentropy", {}, y.rank()), false),
            [divisor](auto total) { return total / static_cast<decltype(total)>(divisor); });
  }
  const Saved saved{.operands = is_differentiable(logits) ? operand(0) | operand(1) : 0};
  return record(SoftmaxCrossentropy(options), std::move(y), {logits, targets}, saved, at);
}

static Samples softmax_crossentropy_samples() {
  return samples()
      .shapes({{7, 5}, {7}})
      .grid({{"reduction", {"mean", "sum", "none"}}, {"label_smoothing", {0, 0.25}}})
      .shapes({{7, 5}, {7}})
      .values(1, {3, 1, 1, 0, 3, 4, 1})
      .grid({{"reduction", {"mean", "sum", "none"}}, {"label_smoothing", {0, 0.25}}})
      .with({{"ignore_index", 1}})
      .shapes({{3, 4}, {3}})
      .values(1, {-100, 3, -100})
      .with({{"ignore_index", -100}})
      .shapes({{2, 3}, {2}})
      .values(1, {-1, -1})
      .grid({{"reduction", {"mean", "sum", "none"}}})
      .with({{"ignore_index", -1}})
      .shapes({{5, 3}, {5, 3}})
      .dtype(1, DType::f64)
      .grid({{"reduction", {"mean", "sum", "none"}}, {"label_smoothing", {0, 0.125}}})
      .shapes({{2, 3, 5}, {2, 3}})
      .grid({{"reduction", {"mean", "none"}}})
      .shapes({{2, 3, 5}, {2, 3, 5}})
      .dtype(1, DType::f64)
      .grid({{"reduction", {"mean", "none"}}})
      .shapes({{6}, {}})
      .grid({{"reduction", {"mean", "none"}}})
      .shapes({{7, 5}, {7}})
      .dtype(1, DType::i32)
      .shapes({{7, 5}, {7}})
      .dtype(1, DType::u8)
      .shapes({{3, 1}, {3}})
      .shapes({{0, 3}, {0}})
      .grid({{"reduction", {"mean", "sum", "none"}}})
      .shapes({{2, 17}, {2}})
      .with({{"label_smoothing", 0.25}})
      .shapes({{2, 33}, {2, 33}})
      .dtype(1, DType::f64)
      .pattern(Pattern::ties)
      .shapes({{3, 3}, {3}})
      .values(0, {1e3, 999.5, -1e3, 999, 1e3, 998.5, -1e3, 80, 79.5})
      .values(1, {0, 2, 1})
      .grid({{"reduction", {"mean", "none"}}, {"label_smoothing", {0, 0.25}}})
      .pattern(Pattern::large)
      .shapes({{2, 3}, {2}})
      .values(0, {1e4, -1e4, 0, -1e4, 1e4, 9999})
      .grid({{"reduction", {"mean", "none"}}, {"label_smoothing", {0, 0.25}}})
      .pattern(Pattern::large)
      .shapes({{5, 7}, {5}})
      .pattern(Pattern::special)
      .with({{"reduction", "none"}});
}

static Samples with_errors(Samples valid) {
  return std::move(valid)
      .throws({{}, {}}, "logits need an axis of classes")
      .values(1, {0})
      .throws({{2, 3}, {3}}, "targets must be class indices [2] or probabilities [2, 3]")
      .throws({{2, 3}, {2, 4}}, "targets must be class indices [2] or probabilities [2, 3]")
      .dtype(1, DType::f64)
      .throws({{2, 3}, {2}}, "label 3 in row 1 is outside [0, 3): logits have 3 classes")
      .values(1, {0, 3})
      .throws({{2, 3}, {2}}, "label -1 in row 0 is outside [0, 3): logits have 3 classes")
      .values(1, {-1, 2})
      .throws({{2, 3}, {2}}, "label_smoothing must lie in [0, 1), found 1")
      .with({{"label_smoothing", 1}})
      .throws({{2, 3}, {2, 3}}, "ignore_index needs class indices")
      .dtype(1, DType::f64)
      .with({{"ignore_index", 1}});
}

const OpInfo& softmax_crossentropy_info() {
  static const OpInfo info{
      .name = "softmax_crossentropy",
      .group = OpGroup::loss,
      .arguments = {{"logits"},
                    {.name = "targets", .role = Role::index, .domain = Domain::indices_of(0, -1)}},
      .attributes = {{"reduction"}, {"label_smoothing"}, {"ignore_index"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return softmax_crossentropy(x[0], x[1], options_of<CrossentropyOptions>(a));
          },
      .reference = []<class T>(const Inputs<T>& x, const Attributes& a) { return crossentropy(x, a); },
      .samples = with_errors(softmax_crossentropy_samples()),
      .invariants = {Invariant::rows_sum_to_zero},
  };
  return info;
}

}  // namespace weft
