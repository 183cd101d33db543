#include "gradcheck/ladder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "weft/error.hpp"

namespace weft {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int most_rows = 10;
constexpr int rows_before_divergence = 5;
constexpr int levels_per_restart = 3;  // h0 / 8
constexpr int most_restarts = 3;       // more of them only to get away from a kink
constexpr double enough = 1.0 / 100;   // stop when K error is below this part of what is to be noticed
constexpr double too_much = 1.0 / 10;  // start again while it is above this part

struct Opinion {
  double value = 0, error = infinity;
};

double noise_of_quotient(Side side, double noise, double step) {
  return (side == Side::both ? 1 : 2) * noise / step;
}

bool compatible(const Opinion& a, const Opinion& b) {  // false for NaN
  return std::fabs(a.value - b.value) <= error_bars * (a.error + b.error);
}

// The extrapolation of difference quotients whose steps halve, of which only the last row is kept.
class Table {
 public:
  explicit Table(double base) : base_(base) {}  // 4: central quotients; 2: one-sided ones

  // noise: of the quotient. A quotient that is not finite starts the table anew; a full table takes no more.
  void add(double quotient, double noise) {
    if (rows_ == most_rows) return;
    if (!std::isfinite(quotient)) {
      *this = Table(base_);
      return;
    }
    std::array<double, most_rows> row{quotient};
    double power = 1, growth = 1;
    for (std::size_t j = 1; j <= rows_; ++j) {
      power *= base_;
      growth *= (power + 1) / (power - 1);
      row[j] = row[j - 1] + (row[j - 1] - last_[j - 1]) / (power - 1);
      if (j == rows_) break;
      const double error = std::max({std::fabs(row[j] - row[j - 1]), std::fabs(row[j] - last_[j - 1]),
                                     std::fabs(row[j] - last_[j])}) +
                           growth * noise;
      if (std::isfinite(row[j]) && error < best_.error) {
        best_ = {row[j], error};
        column_ = j;
      }
    }
    moved_ = rows_ > 0 ? std::fabs(row[rows_] - last_[rows_ - 1]) : 0;
    last_ = row;
    ++rows_;
  }

  const Opinion& best() const { return best_; }
  double order() const { return (base_ == 4 ? 2 : 1) * static_cast<double>(column_ + 1); }
  bool ends() const {
    return rows_ == most_rows || (rows_ > rows_before_divergence && moved_ > 2 * best_.error);
  }

 private:
  double base_;
  std::size_t rows_ = 0, column_ = 0;
  std::array<double, most_rows> last_{};
  double moved_ = 0;  // the diagonal
  Opinion best_;
};

// The three quotients of one output over one step.
struct Quotients {
  double central = 0, right = 0, left = 0;
  double of(Side side) const { return side == Side::both ? central : side == Side::right ? right : left; }
};

// One output's way down the steps.
class Descent {
 public:
  Descent(const LadderOptions& options, double noise, double scale, int last_level)
      : options_(options), noise_(noise), scale_(scale), last_level_(last_level) {
    estimate_.error = infinity;
    estimate_.noise = noise;
    estimate_.one_sided = options.side != Side::both;
  }

  // Quotients over small steps, within which only near kinks lie.
  void set_near(const std::array<Opinion, 2>& near) { near_ = near; }
  int next() const { return next_; }
  bool done() const { return done_; }
  const Estimate& estimate() const { return estimate_; }

  void add(const Quotients& quotients, double h, int evaluations) {
    table_.add(quotients.of(options_.side), noise_of_quotient(options_.side, noise_, h));
    if (options_.side == Side::both && !options_.smooth) {
      right_.add(quotients.right, noise_of_quotient(Side::right, noise_, h));
      left_.add(quotients.left, noise_of_quotient(Side::left, noise_, h));
    }
    estimate_.evaluations = evaluations;
    ++next_;
    const Opinion now = covering_opinion(), before{estimate_.value, estimate_.error};
    if (suspects_kink(now)) {
      estimate_.error = infinity;  // what larger steps said is as doubtful
    } else if (now.error < before.error || !compatible(now, before)) {  // larger steps agree by coincidence
      estimate_.value = now.value;
      estimate_.error = now.error;
      estimate_.order = table_.order();
    }
    if (resolves(estimate_.value, estimate_.error, enough)) {
      done_ = true;
    } else if (table_.ends() || next_ > last_level_) {
      restart();
    }
  }

 private:
  bool resolves(double value, double error, double part) const {
    const double scale = scale_ > 0 ? scale_ : std::fabs(value);
    return error_bars * error <= part * options_.detect * scale;
  }

  // At a kink the one-sided tables, whose difference the bar covers, or the near quotients contradict the
  // table.
  bool suspects_kink(const Opinion& covering) const {
    if (options_.smooth) return false;
    const Opinion& found = table_.best();
    if (!compatible(found, near_[0]) || !compatible(found, near_[1])) return true;
    return options_.side == Side::both && !resolves(covering.value, covering.error, too_much) &&
           !(compatible(found, right_.best()) && compatible(found, left_.best()));
  }
  // The table's, with a bar that covers what the one-sided ones say.
  Opinion covering_opinion() const {
    Opinion now = table_.best();
    if (options_.smooth || options_.side != Side::both || now.error == infinity) return now;
    for (const Opinion& one : {right_.best(), left_.best()}) {
      now.error = std::max(now.error, std::fabs(table_.best().value - one.value) + one.error);
    }
    return now;
  }

  void restart() {
    const int first = first_ + levels_per_restart;
    const bool allowed = restarts_ < most_restarts || estimate_.error == infinity;
    done_ = resolves(estimate_.value, estimate_.error, too_much) || !allowed ||
            first + most_rows - 1 > last_level_;
    if (done_) return;
    ++restarts_;
    first_ = next_ = first;
    table_ = make_table();
    right_ = left_ = Table(2);
  }

  Table make_table() const { return Table(options_.side == Side::both ? 4 : 2); }

  const LadderOptions& options_;
  double noise_, scale_;
  int last_level_, first_ = 0, next_ = 0, restarts_ = 0;
  bool done_ = false;
  Table table_ = make_table(), right_{2}, left_{2};
  std::array<Opinion, 2> near_;
  Estimate estimate_;
};

// The values of g at 0 and at +-step / 2^level, each computed once.
class Evaluations {
 public:
  Evaluations(const VectorFunction& g, std::size_t outputs, const LadderOptions& options, double step,
              int levels)
      : g_(g),
        outputs_(outputs),
        side_(options.side),
        step_(step),
        levels_(static_cast<std::size_t>(levels)) {
    if (options.side != Side::both || !options.smooth) {
      centre_.resize(outputs);
      evaluate(0, centre_);
    }
  }

  double step(int level) const { return std::ldexp(step_, -level); }
  int count() const { return count_; }
  void reach(int level) {
    Level& values = levels_[static_cast<std::size_t>(level)];
    if (values.known) return;
    values.known = true;
    if (side_ != Side::left) evaluate(step(level), values.right = std::vector<double>(outputs_));
    if (side_ != Side::right) evaluate(-step(level), values.left = std::vector<double>(outputs_));
  }
  Quotients quotients(int level, std::size_t output) const {
    const Level& values = levels_[static_cast<std::size_t>(level)];
    const double h = step(level);
    Quotients q;
    if (side_ == Side::both) q.central = (values.right[output] - values.left[output]) / (2 * h);
    if (!centre_.empty() && side_ != Side::left) q.right = (values.right[output] - centre_[output]) / h;
    if (!centre_.empty() && side_ != Side::right) q.left = (centre_[output] - values.left[output]) / h;
    return q;
  }

 private:
  struct Level {
    bool known = false;
    std::vector<double> right, left;
  };

  void evaluate(double t, std::vector<double>& y) {
    g_(t, y);
    ++count_;
  }

  const VectorFunction& g_;
  std::size_t outputs_;
  Side side_;
  double step_;
  std::vector<double> centre_;
  std::vector<Level> levels_;
  int count_ = 0;
};

// Over the smallest step, where noise hides small kinks; and over one 1024 times larger, where it does not,
// with what half of that step changes.
std::array<Opinion, 2> near_quotients(Evaluations& values, int last_level, Side side, std::size_t output,
                                      double noise) {
  const int near_level = std::max(last_level - 10, 0);
  const auto quotient = [&](int level) {
    values.reach(level);
    return Opinion{values.quotients(level, output).of(side),
                   noise_of_quotient(side, noise, values.step(level))};
  };
  const Opinion nearest = quotient(last_level), half = quotient(near_level + 1);
  Opinion near = quotient(near_level);
  near.error = std::fabs(near.value - half.value) + half.error;
  return {nearest, near};
}

std::vector<Estimate> affine_derivatives(const VectorFunction& g, const LadderInput& input) {
  LadderOptions options = input.options;
  options.smooth = true;
  Evaluations values(g, input.noise.size(), options, 1, 1);
  values.reach(0);
  std::vector<Estimate> estimates(input.noise.size());
  for (std::size_t i = 0; i < estimates.size(); ++i) {
    const double value = values.quotients(0, i).of(options.side), noise = input.noise[i];
    estimates[i] = {.value = std::isfinite(value) ? value : 0,
                    .error = std::isfinite(value) ? noise_of_quotient(options.side, noise, 1) : infinity,
                    .noise = noise,
                    .evaluations = values.count(),
                    .one_sided = options.side != Side::both};
  }
  return estimates;
}

}  // namespace

std::vector<Estimate> directional_derivatives(const VectorFunction& g, const LadderInput& input) {
  const LadderOptions& options = input.options;
  if (input.noise.size() != input.scale.size()) {
    throw Error(fmt::format("directional_derivatives: {} noises and {} scales, needed one of each per output",
                            input.noise.size(), input.scale.size()));
  }
  if (options.affine) return affine_derivatives(g, input);
  if (!(options.step > 0 && options.step < infinity)) {
    throw Error(fmt::format("directional_derivatives: the step is {}, needed a positive one", options.step));
  }
  const double step = std::exp2(std::floor(std::log2(options.step)));
  // Below 2^-30 a step times a direction would be rounded where it is added to x.
  const int last_level = std::max(most_rows - 1, static_cast<int>(std::log2(step)) + 30);

  const std::size_t outputs = input.noise.size();
  Evaluations values(g, outputs, options, step, last_level + 1);
  std::vector<Descent> descents;
  for (std::size_t i = 0; i < outputs; ++i) {
    descents.emplace_back(options, input.noise[i], input.scale[i], last_level);
  }
  for (std::size_t i = 0; i < outputs && !options.smooth; ++i) {
    descents[i].set_near(near_quotients(values, last_level, options.side, i, input.noise[i]));
  }
  for (int level = 0; level <= last_level; ++level) {
    if (std::ranges::all_of(descents, &Descent::done)) break;
    values.reach(level);
    for (std::size_t i = 0; i < outputs; ++i) {
      Descent& descent = descents[i];
      while (!descent.done() && descent.next() <= level) {
        const int at = descent.next();
        descent.add(values.quotients(at, i), values.step(at), values.count());
      }
    }
  }
  std::vector<Estimate> estimates(outputs);
  std::ranges::transform(descents, estimates.begin(), &Descent::estimate);
  return estimates;
}

Estimate directional_derivative(const std::function<double(double)>& g, const LadderOptions& options) {
  double noise = options.noise;
  int evaluations = 0;
  if (noise < 0) {
    const auto counted = [&](double t) {
      ++evaluations;
      return g(t);
    };
    const double h = options.step / 1024, right = counted(h), left = counted(-h);
    const double scale = options.scale > 0 ? options.scale : std::fabs(right - left) / (2 * h);
    const double rounding = rounding_noise(counted(0), scale, options.step);
    noise = std::max(std::isfinite(rounding) ? rounding : 0, measured_noise(counted));
  }
  const VectorFunction vector = [&](double t, std::span<double> y) { y[0] = g(t); };
  Estimate estimate = directional_derivatives(
      vector, {.noise = {&noise, 1}, .scale = {&options.scale, 1}, .options = options})[0];
  estimate.evaluations += evaluations;
  return estimate;
}

}  // namespace weft
