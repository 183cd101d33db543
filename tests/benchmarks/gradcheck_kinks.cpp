// gradcheck_kinks N [seed]: the checker on N random kinky functions, from `seed` on. Prints each false alarm
// and each wrong derivative that passed, by seed, and a summary. Exit code 1 where there was one.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "kinky_functions.hpp"

int main(int argc, char** argv) {
  const std::uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  if (count == 0 || argc > 3) {
    std::fputs("usage: gradcheck_kinks N [seed]\n", stderr);
    return 3;
  }
  kinky::Tally tally;
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  for (std::uint64_t i = 0; i < count; ++i) {
    const kinky::Function function(first + i);
    const kinky::Result result = kinky::Check(function).run();
    tally.add(result);
    if (!result.clean()) {
      fmt::print("seed {}, {}: {}\n", first + i, result.on_kink ? "on a kink" : "generic",
                 result.traced.clean() ? "black box" : "by signature");
    }
    if ((i + 1) % 100000 == 0) {
      fmt::print("{} functions, {:.0f} s{}\n", i + 1, seconds(),
                 tally.clean() ? ", none judged wrongly" : "");
      std::fflush(stdout);
    }
  }
  fmt::print("{}{:.0f} functions a second\n", tally.text(), static_cast<double>(count) / seconds());
  return tally.clean() ? 0 : 1;
}
