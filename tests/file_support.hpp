// What the tests of files share: tensors to write and to compare, errors to read, Python to compare with.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "temporary_folder.hpp"
#include "weft/error.hpp"
#include "weft/tensor.hpp"

using weft::DType;
using weft::FileError;
using weft::Shape;
using weft::Tensor;

inline Tensor counting(const Shape& shape, DType dtype) {
  std::vector<double> values(static_cast<std::size_t>(shape.elements()));
  std::iota(values.begin(), values.end(), 0.0);
  return Tensor::of(shape, values).to(dtype);
}

inline bool is_same(const Tensor& a, const Tensor& b) {
  return to_string(a, 1 << 20) == to_string(b, 1 << 20);
}

// The text of the FileError that f throws; every file that f opened is closed again.
template <class F>
std::string error_of(F&& f) {
  const auto open_files = [] {
    const std::filesystem::directory_iterator files("/proc/self/fd");
    return std::distance(begin(files), end(files));
  };
  const auto before = open_files();
  std::string text = "nothing was thrown";
  try {
    f();
  } catch (const FileError& error) {
    text = error.what();
  }
  CHECK(open_files() == before);
  return text;
}

// Whether Python with h5py is here; says so where it is not.
inline bool has_h5py() {
  static const bool found = std::system("/usr/bin/python3 -c 'import h5py, numpy' > /dev/null 2>&1") == 0;
  if (!found) WARN("skipped: /usr/bin/python3 has no h5py");
  return found;
}

inline bool python(const std::string& program, const std::string& file) {
  const TemporaryFolder folder;
  write_text(folder / "program.py", "import sys, h5py, numpy as np\npath = sys.argv[1]\n" + program);
  return std::system(("/usr/bin/python3 " + folder / "program.py" + " " + file).c_str()) == 0;
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  double largest = 0;
  const Tensor x = a.to(DType::f64), y = b.to(DType::f64);
  for (std::size_t i = 0; i < x.values<double>().size(); ++i)
    largest = std::max(largest, std::abs(x.values<double>()[i] - y.values<double>()[i]));
  return largest;
}
