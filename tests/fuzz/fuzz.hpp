// What a fuzz target is: with libFuzzer (cmake -DWEFT_FUZZ=ON, clang) its entry point is called by that, else
// by driver.cpp, which changes seeds at random.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

std::vector<std::string> fuzz_seeds();  // whole, undamaged inputs
