// Steps of whole models, timed: one line "ROW SECONDS" from stdin, one line "MILLISECONDS STEPS" to stdout,
// the median over the steps that fit into the seconds. compare.py asks it and PyTorch by turns.
//   OMP_NUM_THREADS=2 benchmark_training_rows
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <vector>

#include "steps/steps.hpp"

int main() {
  std::map<std::string, Step> made;
  std::string row;
  double seconds = 0;
  while (std::cin >> row >> seconds) {
    const auto found = steps.find(row);
    if (found == steps.end()) {
      fmt::print(stderr, "no row '{}'\n", row);
      return 1;
    }
    Step& step = made[row];
    if (!step) step = found->second();
    using Clock = std::chrono::steady_clock;
    double loss = 0;
    for (int warm_up = 0; warm_up < 3; ++warm_up) loss += step();
    std::vector<double> times;
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    while (times.size() < 3 || Clock::now() < end) {
      const auto start = Clock::now();
      loss += step();
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    std::ranges::nth_element(times, times.begin() + std::ssize(times) / 2);
    fmt::print("{:.6f} {} {:.3g}\n", times[times.size() / 2], times.size(), loss);
    std::fflush(stdout);
  }
}
