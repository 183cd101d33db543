// Tensors of small integers, whose sums are exact in f32 and f64, in whatever order: kernels must agree with
// loops to the last bit.
#pragma once

#include <vector>

#include "weft/random.hpp"
#include "weft/tensor.hpp"

// From -4 to 4.
inline weft::Tensor integers(const weft::Shape& shape, weft::DType dtype, std::uint64_t seed) {
  weft::Random random(seed);
  std::vector<double> values(static_cast<std::size_t>(shape.elements()));
  for (double& value : values) value = static_cast<double>(random.below(9) - 4);
  return weft::Tensor::of<double>(shape, values).to(dtype);
}

inline std::vector<double> values_of(const weft::Tensor& x) {
  const weft::Tensor converted = x.to(weft::DType::f64);
  const auto values = converted.values<double>();
  return {values.begin(), values.end()};
}
