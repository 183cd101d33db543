// The scalars on which an op's reference runs: double, Dual, Dual2, Traced, Bounded. A reference is a
// template over T and uses only + - * /, comparisons, and exp, log, tanh, sqrt, erf, pow, abs, floor of T,
// found by argument-dependent lookup after `using std::exp;` and so on.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace weft {

// A value and its derivatives in `Width` directions (forward mode), over any scalar T.
template <class T, int Width>
class DualNumber {
 public:
  static constexpr int width = Width;

  DualNumber() = default;
  DualNumber(double value) : value_(value) {}
  DualNumber(const T& value) requires(!std::same_as<T, double>) : value_(value) {}
  // A variable that changes by `rate` per unit of `direction`.
  static DualNumber variable(const T& value, int direction, const T& rate = T(1.0)) {
    DualNumber x(value);
    x.derivative_[static_cast<std::size_t>(direction)] = rate;
    return x;
  }
  const T& value() const { return value_; }
  const T& derivative(int direction) const { return derivative_[static_cast<std::size_t>(direction)]; }

  friend DualNumber operator+(const DualNumber& a, const DualNumber& b) {
    return combine(a.value_ + b.value_, a, T(1.0), b, T(1.0));
  }
  friend DualNumber operator-(const DualNumber& a, const DualNumber& b) {
    return combine(a.value_ - b.value_, a, T(1.0), b, T(-1.0));
  }
  friend DualNumber operator*(const DualNumber& a, const DualNumber& b) {
    return combine(a.value_ * b.value_, a, b.value_, b, a.value_);
  }
  friend DualNumber operator/(const DualNumber& a, const DualNumber& b) {
    return combine(a.value_ / b.value_, a, T(1.0) / b.value_, b, -a.value_ / (b.value_ * b.value_));
  }
  friend DualNumber operator-(const DualNumber& a) { return chain(a, -a.value_, T(-1.0)); }
  DualNumber& operator+=(const DualNumber& b) { return *this = *this + b; }
  DualNumber& operator-=(const DualNumber& b) { return *this = *this - b; }
  DualNumber& operator*=(const DualNumber& b) { return *this = *this * b; }
  DualNumber& operator/=(const DualNumber& b) { return *this = *this / b; }
  friend std::partial_ordering operator<=>(const DualNumber& a, const DualNumber& b) {
    return a.value_ <=> b.value_;
  }
  friend bool operator==(const DualNumber& a, const DualNumber& b) { return a.value_ == b.value_; }

  friend DualNumber exp(const DualNumber& a) {
    using std::exp;
    const T y = exp(a.value_);
    return chain(a, y, y);
  }
  friend DualNumber log(const DualNumber& a) {
    using std::log;
    return chain(a, log(a.value_), T(1.0) / a.value_);
  }
  friend DualNumber tanh(const DualNumber& a) {
    using std::tanh;
    const T y = tanh(a.value_);
    return chain(a, y, T(1.0) - y * y);
  }
  friend DualNumber sqrt(const DualNumber& a) {
    using std::sqrt;
    const T y = sqrt(a.value_);
    return chain(a, y, T(0.5) / y);
  }
  friend DualNumber erf(const DualNumber& a) {
    using std::erf, std::exp;
    return chain(a, erf(a.value_), T(1.1283791670955126) * exp(-a.value_ * a.value_));  // 2 / sqrt(pi)
  }
  friend DualNumber pow(const DualNumber& a, double p) {
    using std::pow;
    return chain(a, pow(a.value_, p), p == 0 ? T(0.0) : T(p) * pow(a.value_, p - 1));
  }
  friend DualNumber abs(const DualNumber& a) { return a.value_ < T(0.0) ? -a : a; }
  friend DualNumber floor(const DualNumber& a) {
    using std::floor;
    return DualNumber(floor(a.value_));
  }

 private:
  static DualNumber chain(const DualNumber& a, const T& value, const T& da) {
    DualNumber y(value);
    for (std::size_t i = 0; i < Width; ++i) y.derivative_[i] = da * a.derivative_[i];
    return y;
  }
  static DualNumber combine(const T& value, const DualNumber& a, const T& da, const DualNumber& b,
                            const T& db) {
    DualNumber y(value);
    for (std::size_t i = 0; i < Width; ++i) y.derivative_[i] = da * a.derivative_[i] + db * b.derivative_[i];
    return y;
  }

  T value_{};
  std::array<T, Width> derivative_{};
};

// J u in ceil(N / 8) passes.
using Dual = DualNumber<double, 8>;
// H w: with x_i = Dual2::variable(Dual::variable(x_i, i), 0, w_i), f(x).derivative(0).derivative(i) is
// (H w)_i.
using Dual2 = DualNumber<Dual, 1>;

// What a computation on Traced decided: every comparison, the sign in every abs, every floor.
struct Trace {
  enum class Decision : std::uint8_t { less, greater, less_equal, greater_equal, equal, sign };
  struct Outcomes {
    std::int64_t yes = 0, no = 0;
  };

  std::uint64_t signature = 0;  // a hash: equal where the decisions and their order are
  double margin = std::numeric_limits<double>::infinity();  // smallest |a - b| above 0 of the operands
  std::int64_t comparisons = 0;                             // decisions
  std::int64_t ties = 0;                                    // those with a == b
  std::array<Outcomes, 6> outcomes{};                       // by Decision; `sign` is yes where negative

  bool decide(Decision decision, bool outcome, double difference) {
    Outcomes& seen = outcomes[static_cast<std::size_t>(decision)];
    ++(outcome ? seen.yes : seen.no);
    log(outcome ? 1 : 0, std::fabs(difference));
    return outcome;
  }
  void log(std::uint64_t outcome, double gap) {  // gap: how far from another outcome
    signature = (std::rotl(signature, 23) ^ (outcome + 0x9e3779b97f4a7c15)) * 0xbf58476d1ce4e5b9;
    ++comparisons;
    if (gap == 0) ++ties;
    if (gap > 0 && gap < margin) margin = gap;
  }
};

// A double that logs decisions into a trace. A number without a trace takes that of the other operand.
class Traced {
 public:
  Traced() = default;
  Traced(double value) : value_(value) {}
  Traced(double value, Trace* trace) : value_(value), trace_(trace) {}  // *trace must outlive all results

  double value() const { return value_; }
  Trace* trace() const { return trace_; }

  friend Traced operator+(const Traced& a, const Traced& b) { return {a.value_ + b.value_, either(a, b)}; }
  friend Traced operator-(const Traced& a, const Traced& b) { return {a.value_ - b.value_, either(a, b)}; }
  friend Traced operator*(const Traced& a, const Traced& b) { return {a.value_ * b.value_, either(a, b)}; }
  friend Traced operator/(const Traced& a, const Traced& b) { return {a.value_ / b.value_, either(a, b)}; }
  friend Traced operator-(const Traced& a) { return {-a.value_, a.trace_}; }
  Traced& operator+=(const Traced& b) { return *this = *this + b; }
  Traced& operator-=(const Traced& b) { return *this = *this - b; }
  Traced& operator*=(const Traced& b) { return *this = *this * b; }
  Traced& operator/=(const Traced& b) { return *this = *this / b; }
  friend bool operator<(const Traced& a, const Traced& b) {
    return decide(Trace::Decision::less, a.value_ < b.value_, a, b);
  }
  friend bool operator>(const Traced& a, const Traced& b) {
    return decide(Trace::Decision::greater, a.value_ > b.value_, a, b);
  }
  friend bool operator<=(const Traced& a, const Traced& b) {
    return decide(Trace::Decision::less_equal, a.value_ <= b.value_, a, b);
  }
  friend bool operator>=(const Traced& a, const Traced& b) {
    return decide(Trace::Decision::greater_equal, a.value_ >= b.value_, a, b);
  }
  friend bool operator==(const Traced& a, const Traced& b) {
    return decide(Trace::Decision::equal, a.value_ == b.value_, a, b);
  }

  friend Traced exp(const Traced& a) { return {std::exp(a.value_), a.trace_}; }
  friend Traced log(const Traced& a) { return {std::log(a.value_), a.trace_}; }
  friend Traced tanh(const Traced& a) { return {std::tanh(a.value_), a.trace_}; }
  friend Traced sqrt(const Traced& a) { return {std::sqrt(a.value_), a.trace_}; }
  friend Traced erf(const Traced& a) { return {std::erf(a.value_), a.trace_}; }
  friend Traced pow(const Traced& a, double p) { return {std::pow(a.value_, p), a.trace_}; }
  friend Traced abs(const Traced& a) {
    decide(Trace::Decision::sign, a.value_ < 0, a, Traced());
    return {std::fabs(a.value_), a.trace_};
  }
  friend Traced floor(const Traced& a) {
    const double below = std::floor(a.value_), above = a.value_ - below;
    if (a.trace_) a.trace_->log(std::bit_cast<std::uint64_t>(below + 0.0), above < 0.5 ? above : 1 - above);
    return {below, a.trace_};
  }

 private:
  static Trace* either(const Traced& a, const Traced& b) { return a.trace_ ? a.trace_ : b.trace_; }
  static bool decide(Trace::Decision decision, bool outcome, const Traced& a, const Traced& b) {
    Trace* trace = either(a, b);
    return trace ? trace->decide(decision, outcome, a.value_ - b.value_) : outcome;
  }

  double value_ = 0;
  Trace* trace_ = nullptr;
};

// A value v, the sum m of the absolute terms it was made of, and the longest chain l of roundings. An
// implementation that sums the same terms in whatever order, with unit roundoff u, errs by at most
//   min(gamma_l, lambda sqrt(l) u) m,    gamma_l = l u / (1 - l u),  lambda = 6
// (Higham, Accuracy and Stability of Numerical Algorithms, 2002; Higham and Mary, SIAM J. Sci. Comput. 41,
// 2019).
class Bounded {
 public:
  Bounded() = default;
  Bounded(double value) : value_(value), magnitude_(std::fabs(value)) {}

  double value() const { return value_; }
  double magnitude() const { return magnitude_; }
  double chain() const { return chain_; }
  double error(double unit_roundoff) const {  // absolute
    const double l = chain_;
    const double gamma = l * unit_roundoff < 0.5 ? l * unit_roundoff / (1 - l * unit_roundoff) : 1;
    const double statistical = 6 * std::sqrt(l) * unit_roundoff;
    return (gamma < statistical ? gamma : statistical) * magnitude_;
  }

  friend Bounded operator+(const Bounded& a, const Bounded& b) {
    return {a.value_ + b.value_, a.magnitude_ + b.magnitude_, longer(a, b) + 1};
  }
  friend Bounded operator-(const Bounded& a, const Bounded& b) {
    return {a.value_ - b.value_, a.magnitude_ + b.magnitude_, longer(a, b) + 1};
  }
  friend Bounded operator*(const Bounded& a, const Bounded& b) {
    return {a.value_ * b.value_, a.magnitude_ * b.magnitude_, a.chain_ + b.chain_ + 1};
  }
  friend Bounded operator/(const Bounded& a, const Bounded& b) {
    const double size = std::fabs(b.value_);
    return {a.value_ / b.value_, a.magnitude_ / size + std::fabs(a.value_) * b.magnitude_ / (size * size),
            a.chain_ + b.chain_ + 1};
  }
  friend Bounded operator-(const Bounded& a) { return {-a.value_, a.magnitude_, a.chain_}; }
  Bounded& operator+=(const Bounded& b) { return *this = *this + b; }
  Bounded& operator-=(const Bounded& b) { return *this = *this - b; }
  Bounded& operator*=(const Bounded& b) { return *this = *this * b; }
  Bounded& operator/=(const Bounded& b) { return *this = *this / b; }
  friend std::partial_ordering operator<=>(const Bounded& a, const Bounded& b) {
    return a.value_ <=> b.value_;
  }
  friend bool operator==(const Bounded& a, const Bounded& b) { return a.value_ == b.value_; }

  friend Bounded exp(const Bounded& a) { return apply(a, std::exp(a.value_), std::exp(a.value_)); }
  friend Bounded log(const Bounded& a) { return apply(a, std::log(a.value_), 1 / a.value_); }
  friend Bounded tanh(const Bounded& a) {
    const double y = std::tanh(a.value_);
    return apply(a, y, 1 - y * y);
  }
  friend Bounded sqrt(const Bounded& a) { return apply(a, std::sqrt(a.value_), 0.5 / std::sqrt(a.value_)); }
  friend Bounded erf(const Bounded& a) {
    return apply(a, std::erf(a.value_), 1.1283791670955126 * std::exp(-a.value_ * a.value_));
  }
  friend Bounded pow(const Bounded& a, double p) {
    return apply(a, std::pow(a.value_, p), p == 0 ? 0 : p * std::pow(a.value_, p - 1));
  }
  friend Bounded abs(const Bounded& a) { return {std::fabs(a.value_), a.magnitude_, a.chain_}; }
  friend Bounded floor(const Bounded& a) { return Bounded(std::floor(a.value_)); }

 private:
  Bounded(double value, double magnitude, double chain)
      : value_(value), magnitude_(magnitude), chain_(chain) {}
  static double longer(const Bounded& a, const Bounded& b) {
    return a.chain_ < b.chain_ ? b.chain_ : a.chain_;
  }
  // A library function: m = |f(a)| + |f'(a)| m(a), four more roundings.
  static Bounded apply(const Bounded& a, double value, double derivative) {
    return {value, std::fabs(value) + std::fabs(derivative) * a.magnitude_, a.chain_ + 4};
  }

  double value_ = 0, magnitude_ = 0, chain_ = 0;
};

}  // namespace weft
