// The rows of tiny ops of training_rows.cpp with libtorch, without Python: "ROW SECONDS" lines in,
// "MILLISECONDS STEPS VALUE" lines out, -1 for a row that it does not have.
//   OMP_NUM_THREADS=1 benchmark_libtorch_rows
#include <torch/torch.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

namespace {

// 500 times tanh(x * 1.01) on 32 values: 1,000 ops, forward and backward.
double chain() {
  static const torch::Tensor x = torch::randn({32}).requires_grad_(), gy = torch::ones({32});
  torch::Tensor y = x;
  for (int i = 0; i < 500; ++i) y = torch::tanh(y * 1.01);
  return torch::autograd::grad({y}, {x}, {gy})[0][0].item<double>();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--version") {
    std::puts(TORCH_VERSION);
    return 0;
  }
  using Clock = std::chrono::steady_clock;
  std::string row;
  double seconds = 0;
  while (std::cin >> row >> seconds) {
    double value = 0, median = -1;
    std::vector<double> times;
    if (row == "chain") {
      for (int warm_up = 0; warm_up < 3; ++warm_up) value += chain();
      const auto end = Clock::now() + std::chrono::duration<double>(seconds);
      while (times.size() < 3 || Clock::now() < end) {
        const auto start = Clock::now();
        value += chain();
        times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
      }
      std::sort(times.begin(), times.end());
      median = times[times.size() / 2];
    }
    std::printf("%.6f %zu %.3g\n", median, times.size(), value);
    std::fflush(stdout);
  }
}
