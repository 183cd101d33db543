// Random piecewise smooth functions of relu, leaky relu, abs, clamp, huber, max, overlapping max pools, top-k
// and sort among exp, square and logistic, in two or three layers; and how the checker judges them. The right
// derivative is that of dual numbers, the wrong one is off by twice what has to be noticed.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "gradcheck/kinks.hpp"
#include "gradcheck/ladder.hpp"
#include "gradcheck/verdict.hpp"
#include "weft/scalars.hpp"

namespace kinky {

using namespace weft;

enum class Activation : std::uint8_t { linear, relu, leaky, abs, clamp, huber, max, exp, square, logistic };
enum class Selection : std::uint8_t { none, pool, top, sort };

struct Unit {
  Activation activation = Activation::linear;
  std::vector<double> weights, other_weights;  // `max` is of two sums
  double bias = 0, other_bias = 0;
};

struct Layer {
  std::vector<Unit> units;
  Selection selection = Selection::none;
};

template <class T>
T weighted_sum(const std::vector<double>& weights, const std::vector<T>& x) {
  T sum = T(weights[0]) * x[0];
  for (std::size_t i = 1; i < x.size(); ++i) sum += T(weights[i]) * x[i];
  return sum;
}

template <class T>
T activate(const Unit& unit, const std::vector<T>& x) {
  using std::abs, std::exp;
  const T z = weighted_sum(unit.weights, x) + T(unit.bias);
  switch (unit.activation) {
    case Activation::linear:
      return z;
    case Activation::relu:
      return z <= T(0.0) ? T(0.0) : z;
    case Activation::leaky:
      return z < T(0.0) ? T(0.125) * z : z;
    case Activation::abs:
      return abs(z);
    case Activation::clamp:
      return z < T(-1.0) ? T(-1.0) : z > T(1.0) ? T(1.0) : z;
    case Activation::huber:
      return abs(z) <= T(1.0) ? T(0.5) * z * z : abs(z) - T(0.5);
    case Activation::exp:
      return exp(T(0.25) * z);
    case Activation::square:
      return T(0.125) * z * z;
    case Activation::logistic:
      return T(1.0) / (T(1.0) + exp(-z));
    case Activation::max:
      break;
  }
  const T other = weighted_sum(unit.other_weights, x) + T(unit.other_bias);
  return other > z ? other : z;
}

template <class T>
std::vector<T> select(Selection selection, std::vector<T> v) {
  if (selection == Selection::none) return v;
  if (selection == Selection::pool) {  // windows of 3 with stride 1
    std::vector<T> pooled;
    for (std::size_t o = 0; o + 2 < v.size(); ++o) {
      T largest = v[o];
      for (std::size_t i = o + 1; i < o + 3; ++i) {
        if (v[i] > largest) largest = v[i];
      }
      pooled.push_back(largest);
    }
    return pooled;
  }
  for (std::size_t i = 1; i < v.size(); ++i) {
    for (std::size_t j = i; j > 0 && v[j] > v[j - 1]; --j) std::swap(v[j], v[j - 1]);
  }
  if (selection == Selection::top) v.resize(v.size() / 2);
  return v;
}

class Function {
 public:
  explicit Function(std::uint64_t seed) : random_(static_cast<std::mt19937::result_type>(seed * 2654435761)) {
    const std::size_t inputs = 2 + below(4), layers = 2 + below(2);
    for (std::size_t i = 0; i < inputs; ++i) {
      x_.push_back((static_cast<double>(below(1 << 15)) - (1 << 14)) / (1 << 12));
      u_.push_back(sign() * (1 + static_cast<double>(below(64)) / 64));
      direct_.push_back(weight());
    }
    on_kink_ = below(3) == 0;
    const std::size_t kinked = below(layers);
    std::vector<double> values = x_;
    for (std::size_t l = 0; l < layers; ++l) {
      Layer layer;
      layer.selection = static_cast<Selection>(below(4));
      for (std::size_t i = 4 + below(3); i > 0; --i) layer.units.push_back(unit(values));
      if (on_kink_ && l == kinked) put_on_kink(layer, values);
      layers_.push_back(layer);
      values = apply(layer, values);
    }
    for (std::size_t i = 0; i < values.size(); ++i) last_.push_back(weight());
  }

  const std::vector<double>& x() const { return x_; }
  const std::vector<double>& u() const { return u_; }
  bool on_kink() const { return on_kink_; }

  template <class T>
  T operator()(const std::vector<T>& x) const {
    std::vector<T> v = x;
    for (const Layer& layer : layers_) v = apply(layer, v);
    return weighted_sum(last_, v) + weighted_sum(direct_, x);
  }

 private:
  template <class T>
  static std::vector<T> apply(const Layer& layer, const std::vector<T>& x) {
    std::vector<T> v;
    for (const Unit& unit : layer.units) v.push_back(activate(unit, x));
    return select(layer.selection, std::move(v));
  }

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  double sign() { return below(2) ? 1 : -1; }
  double weight() { return sign() * (16 + below(48)) / 64; }  // on a grid: sums in the first layer are exact

  std::vector<double> weights(std::size_t count) {
    std::vector<double> w(count);
    for (double& v : w) v = weight();
    return w;
  }
  Unit unit(const std::vector<double>& values) {
    Unit unit;
    unit.activation = static_cast<Activation>(below(10));
    unit.weights = weights(values.size());
    unit.other_weights = weights(values.size());
    unit.bias = weight();
    unit.other_bias = weight();
    return unit;
  }

  // Moves a bias so that a kink lies at x: of the activation, or a tie in what selects.
  void put_on_kink(Layer& layer, const std::vector<double>& values) {
    const std::size_t chosen = below(static_cast<std::uint32_t>(layer.units.size() - 1));
    Unit& first = layer.units[chosen];
    const double sum = weighted_sum(first.weights, values);
    if (layer.selection != Selection::none && below(2)) {
      Unit& second = layer.units[chosen + 1];
      if (first.activation == Activation::max) first.activation = Activation::relu;
      second.activation = first.activation;
      second.bias = (sum + first.bias) - weighted_sum(second.weights, values);
      return;
    }
    constexpr std::array kinds{Activation::relu,  Activation::leaky, Activation::abs,
                               Activation::clamp, Activation::huber, Activation::max};
    first.activation = kinds[below(kinds.size())];
    const bool at_one = first.activation == Activation::clamp || first.activation == Activation::huber;
    first.bias = (at_one ? sign() : 0.0) - sum;
    first.other_bias = (sum + first.bias) - weighted_sum(first.other_weights, values);
  }

  std::mt19937 random_;
  std::vector<double> x_, u_, direct_, last_;
  std::vector<Layer> layers_;
  bool on_kink_ = false;
};

struct Judged {
  Verdict right = Verdict::unresolved;  // of the right derivative
  std::array<Verdict, 2> wrong{Verdict::unresolved, Verdict::unresolved};
  bool clean() const {
    return right != Verdict::disagree && wrong[0] != Verdict::agree && wrong[1] != Verdict::agree;
  }
};

struct Result {
  bool on_kink = false;
  // By signature: the direction had to be another one; none was found; a side had to be chosen.
  bool redirected = false, resampled = false, one_sided = false;
  Judged traced, black_box;  // of black_box only where not redirected: else the right answer is not known
  int evaluations = 0, black_box_evaluations = 0, traces = 0;
  bool clean() const { return traced.clean() && black_box.clean(); }
};

constexpr double detect = 1e-6;

inline Judged judge_all(double derivative, const Estimate& estimate, double scale, double own_error) {
  const double s = std::max(scale, std::fabs(estimate.value)), error = estimate.error + own_error;
  return {.right = judge(derivative, estimate.value, error, s, detect),
          .wrong = {judge(derivative + 2 * detect * s, estimate.value, error, s, detect),
                    judge(derivative - 2 * detect * s, estimate.value, error, s, detect)}};
}

// The derivative of f at x along u, by dual numbers; and what the checker says of it.
class Check {
 public:
  explicit Check(const Function& f) : f_(f) {
    std::vector<Dual> x;
    for (std::size_t i = 0; i < f.x().size(); ++i) x.push_back(Dual::variable(f.x()[i], static_cast<int>(i)));
    gradient_ = f(x);
    const Bounded bounded = f(std::vector<Bounded>(f.x().begin(), f.x().end()));
    noise_ = bounded.error(unit_roundoff_f64);
    chain_ = bounded.chain();
  }

  Result run() const {
    Result result;
    result.on_kink = f_.on_kink();
    std::vector<double> u = f_.u();
    StepChoice choice = choose(u, result);
    result.redirected = !choice.found;
    for (std::size_t i = 0; i < u.size() && !choice.found; ++i) {  // coordinate directions
      u.assign(u.size(), 0);
      u[i] = f_.u()[i];
      choice = choose(u, result);
    }
    result.resampled = !choice.found;
    if (choice.found) {
      result.one_sided = choice.side != Side::both;
      const Estimate estimate = directional_derivative(
          along(u),
          {.step = choice.step, .noise = noise_, .scale = scale(u), .side = choice.side, .smooth = true});
      result.evaluations = estimate.evaluations;
      result.traced = judge_all(slope(u), estimate, scale(u), own_error(u));
    }
    if (!result.redirected) {
      const Estimate estimate = directional_derivative(along(f_.u()), {.scale = scale(f_.u())});
      result.black_box_evaluations = estimate.evaluations;
      result.black_box = judge_all(slope(f_.u()), estimate, scale(f_.u()), own_error(f_.u()));
    }
    return result;
  }

 private:
  std::function<double(double)> along(const std::vector<double>& u) const {
    return [this, &u](double t) {
      std::vector<double> x = f_.x();
      for (std::size_t i = 0; i < x.size(); ++i) x[i] += t * u[i];
      return f_(x);
    };
  }
  StepChoice choose(const std::vector<double>& u, Result& result) const {
    const auto trace_at = [&](double t) {
      Trace trace;
      std::vector<Traced> x;
      for (std::size_t i = 0; i < u.size(); ++i) x.emplace_back(f_.x()[i] + t * u[i], &trace);
      f_(x);
      return trace;
    };
    const StepChoice choice = choose_step(trace_at, 2);
    result.traces += choice.traces;
    return choice;
  }
  double slope(const std::vector<double>& u) const {
    double sum = 0;
    for (std::size_t i = 0; i < u.size(); ++i) sum += gradient_.derivative(static_cast<int>(i)) * u[i];
    return sum;
  }
  double scale(const std::vector<double>& u) const {
    double sum = 0;
    for (std::size_t i = 0; i < u.size(); ++i) {
      sum += std::fabs(gradient_.derivative(static_cast<int>(i)) * u[i]);
    }
    return sum;
  }
  double own_error(const std::vector<double>& u) const {
    return 6 * std::sqrt(chain_) * unit_roundoff_f64 * scale(u);
  }

  const Function& f_;
  Dual gradient_;
  double noise_ = 0, chain_ = 0;
};

// Counts over many functions.
struct Tally {
  struct Path {  // each function has one right derivative and two wrong ones
    std::int64_t false_alarms = 0, unresolved = 0, missed = 0, unnoticed = 0, evaluations = 0;
    void add(const Judged& judged) {
      false_alarms += judged.right == Verdict::disagree;
      unresolved += judged.right == Verdict::unresolved;
      for (const Verdict verdict : judged.wrong) {
        missed += verdict == Verdict::agree;
        unnoticed += verdict != Verdict::disagree;
      }
    }
  };
  std::int64_t generic = 0, on_kink = 0, one_sided = 0, redirected = 0, traces = 0;
  std::int64_t resampled_generic = 0, resampled_on_kink = 0, unresolved_generic = 0;
  Path traced, black_box;

  void add(const Result& result) {
    ++(result.on_kink ? on_kink : generic);
    one_sided += result.one_sided;
    redirected += result.redirected;
    traces += result.traces;
    if (result.resampled) {
      ++(result.on_kink ? resampled_on_kink : resampled_generic);
    } else {
      traced.add(result.traced);
      unresolved_generic += !result.on_kink && result.traced.right == Verdict::unresolved;
    }
    if (!result.redirected) black_box.add(result.black_box);
    traced.evaluations += result.evaluations;
    black_box.evaluations += result.black_box_evaluations;
  }

  bool clean() const {
    return traced.false_alarms + traced.missed + black_box.false_alarms + black_box.missed == 0;
  }
  std::string text() const {
    const std::int64_t functions = generic + on_kink;
    const auto each = [&](std::int64_t n) { return static_cast<double>(n) / static_cast<double>(functions); };
    const auto path = [&](const char* name, const Path& p) {
      return fmt::format(
          "{:<14} false alarms {}, wrong ones accepted {}, right ones unresolved {}, wrong ones not rejected "
          "{}, "
          "{:.1f} evaluations\n",
          name, p.false_alarms, p.missed, p.unresolved, p.unnoticed, each(p.evaluations));
    };
    return fmt::format("{} functions: {} generic, {} on a kink\n", functions, generic, on_kink) +
           fmt::format("one-sided {}, another direction {}, {:.1f} traces each\n", one_sided, redirected,
                       each(traces)) +
           fmt::format("no direction: generic {}, on a kink {}; generic ones unresolved {}\n",
                       resampled_generic, resampled_on_kink, unresolved_generic) +
           path("by signature", traced) + path("black box", black_box);
  }
};

}  // namespace kinky
