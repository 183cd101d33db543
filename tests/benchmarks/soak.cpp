// Many steps of one row of training_rows.cpp: whether they slow down or memory grows.
//   benchmark_soak ROW STEPS
// prints one line: the median time of the first and of the last tenth of the steps in milliseconds, memory
// after the first tenth and at the end, and its peak, in MB.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <span>
#include <vector>

#include "resident.hpp"
#include "steps/steps.hpp"

namespace {

double median(std::span<const double> times) {
  std::vector<double> sorted(times.begin(), times.end());
  std::ranges::sort(sorted);
  return sorted[sorted.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const auto row = argc == 3 ? steps.find(argv[1]) : steps.end();
  const std::size_t count = argc == 3 ? static_cast<std::size_t>(std::max(std::atoll(argv[2]), 0LL)) : 0;
  if (row == steps.end() || count < 10) {
    fmt::print(stderr, "usage: benchmark_soak ROW STEPS, a row of training_rows.cpp and 10 steps at least\n");
    return 1;
  }
  const Step step = row->second();
  double loss = 0, early_bytes = 0;
  std::vector<double> times(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = std::chrono::steady_clock::now();
    loss += step();
    times[i] = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (i + 1 == count / 10) early_bytes = resident_bytes("VmRSS:");
  }
  const std::span<const double> all(times);
  fmt::print("{:.6f} {:.6f} {:.2f} {:.2f} {:.2f} {:.3g}\n", median(all.first(count / 10)),
             median(all.last(count / 10)), early_bytes / 1e6, resident_bytes("VmRSS:") / 1e6,
             resident_bytes("VmHWM:") / 1e6, loss);
}
