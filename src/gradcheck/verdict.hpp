// The verdict: an equivalence test on an estimate and its error bar.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "gradcheck/ladder.hpp"

namespace weft {

// agree        |found - expected| + K error <= detect scale
// disagree     |found - expected| - K error >  detect scale
// unresolved   otherwise. A wider bar never makes `agree`.
// found and expected that are the same number agree with an error of 0 whatever the scale. A found NaN
// disagrees with a finite number of finite error; an expected NaN and an infinite error resolve nothing.
Verdict judge(double found, double expected, double error, double scale, double detect);
// (|found - expected| + K error) / scale: the smallest error that this comparison had noticed. Infinite where
// it had noticed none.
double resolution(double found, double expected, double error, double scale);

// S_ij = max(|J_ij|, eta max_k |J_ik|, eta max_k |J_kj|), eta = 1e-3, of a row-major [rows, columns]: a
// structural zero is compared with its row and its column.
std::vector<double> jacobian_scales(std::span<const double> jacobian, std::size_t rows, std::size_t columns);

// Many comparisons of one tensor of numbers.
struct Comparison {
  Verdict verdict = Verdict::agree;
  double resolution = 0;
  double would_notice = 0;  // K error / scale, the largest: what would be noticed whatever was found
  std::int64_t differing = 0, unresolved = 0, compared = 0;
  std::vector<std::size_t> worst;  // positions, the worst first, at most 8

  // Judges one position.
  void judge(std::size_t position, double found, double expected, double error, double scale, double detect);
  // One that was judged otherwise.
  void add(std::size_t position, Verdict verdict, double resolution);

 private:
  using Rank = std::pair<bool, double>;  // disagrees; resolution
  std::vector<Rank> worst_ranks_;        // of `worst`
};

}  // namespace weft
