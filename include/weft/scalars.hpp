// The scalars on which an op's reference runs. A reference is a template over T and uses only + - * /,
// comparisons, and exp, log, tanh, sqrt, erf, pow, abs, floor of T, found by argument-dependent lookup after
// `using std::exp;` and so on.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

namespace weft {

// A value and eight derivatives (forward mode).
class Dual {
 public:
  static constexpr int width = 8;

  Dual() = default;
  Dual(double value) : value_(value) {}
  static Dual variable(double value, int direction) {
    Dual x(value);
    x.derivative_[static_cast<std::size_t>(direction)] = 1;
    return x;
  }
  double value() const { return value_; }
  double derivative(int direction) const { return derivative_[static_cast<std::size_t>(direction)]; }

  friend Dual operator+(const Dual& a, const Dual& b) { return combine(a.value_ + b.value_, a, 1, b, 1); }
  friend Dual operator-(const Dual& a, const Dual& b) { return combine(a.value_ - b.value_, a, 1, b, -1); }
  friend Dual operator*(const Dual& a, const Dual& b) {
    return combine(a.value_ * b.value_, a, b.value_, b, a.value_);
  }
  friend Dual operator/(const Dual& a, const Dual& b) {
    return combine(a.value_ / b.value_, a, 1 / b.value_, b, -a.value_ / (b.value_ * b.value_));
  }
  friend Dual operator-(const Dual& a) { return chain(a, -a.value_, -1); }
  Dual& operator+=(const Dual& b) { return *this = *this + b; }
  Dual& operator-=(const Dual& b) { return *this = *this - b; }
  Dual& operator*=(const Dual& b) { return *this = *this * b; }
  Dual& operator/=(const Dual& b) { return *this = *this / b; }
  friend bool operator<(const Dual& a, const Dual& b) { return a.value_ < b.value_; }
  friend bool operator>(const Dual& a, const Dual& b) { return a.value_ > b.value_; }
  friend bool operator<=(const Dual& a, const Dual& b) { return a.value_ <= b.value_; }
  friend bool operator>=(const Dual& a, const Dual& b) { return a.value_ >= b.value_; }
  friend bool operator==(const Dual& a, const Dual& b) { return a.value_ == b.value_; }

  friend Dual exp(const Dual& a) { return chain(a, std::exp(a.value_), std::exp(a.value_)); }
  friend Dual log(const Dual& a) { return chain(a, std::log(a.value_), 1 / a.value_); }
  friend Dual tanh(const Dual& a) {
    const double y = std::tanh(a.value_);
    return chain(a, y, 1 - y * y);
  }
  friend Dual sqrt(const Dual& a) {
    const double y = std::sqrt(a.value_);
    return chain(a, y, 0.5 / y);
  }
  friend Dual erf(const Dual& a) {
    return chain(a, std::erf(a.value_), 1.1283791670955126 * std::exp(-a.value_ * a.value_));
  }
  friend Dual pow(const Dual& a, double p) {
    return chain(a, std::pow(a.value_, p), p == 0 ? 0 : p * std::pow(a.value_, p - 1));
  }
  friend Dual abs(const Dual& a) { return a.value_ < 0 ? -a : a; }
  friend Dual floor(const Dual& a) { return Dual(std::floor(a.value_)); }

 private:
  static Dual chain(const Dual& a, double value, double da) {
    Dual y(value);
    for (std::size_t i = 0; i < width; ++i) y.derivative_[i] = da * a.derivative_[i];
    return y;
  }
  static Dual combine(double value, const Dual& a, double da, const Dual& b, double db) {
    Dual y(value);
    for (std::size_t i = 0; i < width; ++i) y.derivative_[i] = da * a.derivative_[i] + db * b.derivative_[i];
    return y;
  }

  double value_ = 0;
  std::array<double, width> derivative_{};
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
    return std::min(gamma, 6 * std::sqrt(l) * unit_roundoff) * magnitude_;
  }

  friend Bounded operator+(const Bounded& a, const Bounded& b) {
    return {a.value_ + b.value_, a.magnitude_ + b.magnitude_, std::max(a.chain_, b.chain_) + 1};
  }
  friend Bounded operator-(const Bounded& a, const Bounded& b) {
    return {a.value_ - b.value_, a.magnitude_ + b.magnitude_, std::max(a.chain_, b.chain_) + 1};
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
  friend bool operator<(const Bounded& a, const Bounded& b) { return a.value_ < b.value_; }
  friend bool operator>(const Bounded& a, const Bounded& b) { return a.value_ > b.value_; }
  friend bool operator<=(const Bounded& a, const Bounded& b) { return a.value_ <= b.value_; }
  friend bool operator>=(const Bounded& a, const Bounded& b) { return a.value_ >= b.value_; }
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
  // A library function: m = |f(a)| + |f'(a)| m(a), four more roundings.
  static Bounded apply(const Bounded& a, double value, double derivative) {
    return {value, std::fabs(value) + std::fabs(derivative) * a.magnitude_, a.chain_ + 4};
  }

  double value_ = 0, magnitude_ = 0, chain_ = 0;
};

}  // namespace weft
