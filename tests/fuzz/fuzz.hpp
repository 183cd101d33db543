// What a fuzz target is: with libFuzzer (run.sh) its entry point is called by that, else by driver.cpp, which
// changes seeds at random.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

std::vector<std::string> fuzz_seeds();  // whole, undamaged inputs

constexpr std::size_t largest_input = 1 << 20;
constexpr std::int64_t largest_tensor = 1 << 20;

// While it lives, holding more than so many bytes more than at its beginning, tensors apart, ends the
// process.
class AllocationLimit {
 public:
  explicit AllocationLimit(std::size_t bytes);
  ~AllocationLimit();
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;
};
