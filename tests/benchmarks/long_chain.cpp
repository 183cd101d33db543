// A chain of 1,000,000 ops on one value, 500,000 times tanh(x * 1.01): the milliseconds of recording,
// backward and destroying it, and the bytes of memory an op that the process got for the record, and for the
// record and the gradients. One line of five numbers; the times are medians of five chains, the memory is
// that of the first.
//   benchmark_long_chain
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

#include "resident.hpp"
#include "weft/weft.hpp"

using namespace weft;

namespace {

constexpr int ops = 1'000'000, chains = 5;

struct Marks {
  std::array<double, 3> milliseconds;  // record, backward, destroy
  double record_bytes, peak_bytes;     // an op
};

template <class F>
double milliseconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

Marks measure(int count) {
  Marks marks{};
  const double before = resident_bytes("VmRSS:");
  auto g = std::make_unique<Graph>();
  Var x, y, gx;
  marks.milliseconds[0] = milliseconds_of([&] {
    y = x = g->input(Tensor::full({1}, 0.5, DType::f32));
    for (int i = 0; i < count / 2; ++i) y = tanh(y * 1.01);
  });
  marks.record_bytes = (resident_bytes("VmRSS:") - before) / count;
  marks.milliseconds[1] = milliseconds_of([&] { gx = gradient(y, x); });
  marks.peak_bytes = (resident_bytes("VmHWM:") - before) / count;
  marks.milliseconds[2] = milliseconds_of([&] { g.reset(); });
  if (!(gx.item() >= 0)) throw Error("the gradient is not a number");
  return marks;
}

}  // namespace

int main() try {
  measure(1000);
  std::array<Marks, chains> marks;
  for (Marks& of_chain : marks) of_chain = measure(ops);
  for (std::size_t part = 0; part < 3; ++part) {
    std::array<double, chains> times;
    std::ranges::transform(marks, times.begin(), [&](const Marks& m) { return m.milliseconds[part]; });
    std::ranges::sort(times);
    fmt::print("{:.3f} ", times[chains / 2]);
  }
  fmt::print("{:.1f} {:.1f}\n", marks[0].record_bytes, marks[0].peak_bytes);
} catch (const Error& error) {
  fmt::print(stderr, "benchmark_long_chain: {}\n", error.what());
  return 1;
}
