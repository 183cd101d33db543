// print_threads [N]: prints how many threads compute, in the main thread and in another one, after
// set_threads(N) in the main thread where N is given.
#include <cstdlib>
#include <thread>

#include "weft/weft.hpp"

using namespace weft;

int main(int argc, char** argv) try {
  if (argc > 1) set_threads(std::atoi(argv[1]));
  const int here = threads();
  int there = 0;
  std::thread([&] {
    try {
      there = threads();
    } catch (const Error&) {
    }
  }).join();
  fmt::print("{} here, {} in another thread\n", here, there);
} catch (const Error& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
