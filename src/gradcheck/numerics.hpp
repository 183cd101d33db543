// Central differences with an error bar, and the verdict on them (spec: an equivalence test, no tolerance).
#pragma once

#include <functional>
#include <string>

#include "gradcheck/ladder.hpp"

namespace weft {

inline constexpr double difference_step = 0x1p-8;

struct Difference {
  double value = 0;
  double error = 0;  // absolute
};

// The derivative of g at 0 from g(+-h), g(+-h/2) and g(+-h/4), extrapolated twice (Richardson). Its error bar
// is what the last extrapolation changed, plus what the absolute noise of g contributes.
//   D(h) = (g(h) - g(-h)) / 2h,   A(h) = (4 D(h/2) - D(h)) / 3,   B = (16 A(h/2) - A(h)) / 15
//   E = max(|B - A(h/2)|, |B - A(h)| / 16) + 8 noise / h
Difference central_difference(const std::function<double(double)>& g, double h, double noise);

// The same for a g that is affine: one step of 1, no truncation.
Difference affine_difference(const std::function<double(double)>& g, double noise);

// found: what is checked; E its numerical opponent; scale: of the derivative. K = 4.
Verdict judge(double found, const Difference& expected, double scale, double detect);
double resolution(double found, const Difference& expected, double scale);

// Judges with smaller and smaller steps until the verdict is no longer `unresolved`: kinks within a step
// widen the bar.
struct Judged {
  Verdict verdict = Verdict::unresolved;
  double resolution = 0;
  Difference expected;
};
Judged judge_difference(double found, const std::function<double(double)>& g, double noise, double scale,
                        double step, double detect);

// Keeps the worst of many comparisons and what to say about it.
class Worst {
 public:
  // `describe` is called where this comparison is the worst so far and failed.
  template <class Describe>
  void add(Verdict verdict, double found_resolution, Describe&& describe) {
    if (!(found_resolution <= resolution_)) resolution_ = found_resolution;
    if (verdict == Verdict::agree) return;
    ++failures_;
    if (verdict_ != Verdict::disagree && (verdict_ == Verdict::agree || verdict == Verdict::disagree)) {
      verdict_ = verdict;
      details_ = describe();
    }
  }
  void count() { ++comparisons_; }
  Finding finding(std::string check, std::string op, std::string argument, std::string sample) const;

 private:
  Verdict verdict_ = Verdict::agree;
  double resolution_ = 0;
  std::int64_t failures_ = 0, comparisons_ = 0;
  std::string details_;
};

// The index of the i-th element, row-major: "[1, 0, 2]".
std::string index_text(const Shape& shape, std::int64_t i);

}  // namespace weft
