// The header of NumPy's .npy arrays (numpy.lib.format, versions 1 to 3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/plain_elements.hpp"

namespace weft::io {

struct NpyHeader {
  std::uint64_t bytes = 0;  // of the header: elements follow
  std::string problem;      // not empty: what is wrong with it
  PlainElement element;
  bool column_major = false;
  std::vector<std::int64_t> shape;
};

constexpr std::uint64_t most_npy_header_bytes = 65536 + 12;

// Of the first bytes of an array, all of the header or most_npy_header_bytes.
NpyHeader parse_npy_header(std::string_view bytes);
std::string npy_header(const TensorType& type);

}  // namespace weft::io
