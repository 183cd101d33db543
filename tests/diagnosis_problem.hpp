// A wrong Jacobian and the right one, both made by plain loops, and what the diagnosis says of them.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>

#include "gradcheck/diagnosis.hpp"
#include "weft/op_info.hpp"

namespace weft {

using Entry = std::function<double(const Ints& y, const Ints& x)>;

inline const OpInfo& info_of(std::string_view name) {
  const auto found = std::ranges::find_if(all_ops(), [&](const OpInfo* info) { return info->name == name; });
  REQUIRE(found != all_ops().end());
  return **found;
}

inline std::vector<double> jacobian_of(const Shape& y_shape, const Shape& x_shape, const Entry& entry) {
  std::vector<double> jacobian;
  for_each_index(y_shape, [&](const Ints& y) {
    for_each_index(x_shape, [&](const Ints& x) { jacobian.push_back(entry(y, x)); });
  });
  return jacobian;
}

struct Problem {
  std::string_view op;
  std::vector<Shape> shapes;
  std::size_t argument = 0;
  Shape y_shape;
  Attributes attributes = {};
  std::vector<double> found = {}, expected = {};
  std::vector<std::vector<double>> all_expected = {};

  Diagnosis diagnosis() const {
    double largest = 0;
    for (const double value : expected) largest = std::max(largest, std::fabs(value));
    std::vector<double> threshold;
    for (const double value : expected)
      threshold.push_back(1e-11 * std::max(std::fabs(value), 1e-3 * largest));
    return diagnose({.info = info_of(op),
                     .attributes = attributes,
                     .shapes = shapes,
                     .argument = argument,
                     .y_shape = y_shape,
                     .found = found,
                     .expected = expected,
                     .threshold = threshold,
                     .all_expected = all_expected});
  }
  std::string likely() const { return diagnosis().likely; }
};

inline Problem with_entries(Problem problem, const Entry& found, const Entry& expected) {
  const Shape& x = problem.shapes[problem.argument];
  problem.found = jacobian_of(problem.y_shape, x, found);
  problem.expected = jacobian_of(problem.y_shape, x, expected);
  return problem;
}

// A number of its own for each index.
inline double value_at(const Ints& index, double seed = 0.3) {
  double sum = seed;
  for (int axis = 0; axis < index.size(); ++axis)
    sum = std::fmod(sum * 7.31 + static_cast<double>(index[axis] + 1) * 0.717, 3);
  return sum - 1.4;
}

}  // namespace weft
