// From a wrong Jacobian to the likely mistake.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/gradcheck.hpp"

namespace weft {

// The Jacobian dy/dx of one argument, as a rule computes it and as it should be; row-major [y..., x...].
struct WrongJacobian {
  const OpInfo& info;
  const Attributes& attributes;   // all of the op's, defaults included
  std::span<const Shape> shapes;  // of the operands
  std::size_t argument;           // whose Jacobian
  Shape y_shape;
  std::span<const double> found, expected;
  std::span<const double> threshold;  // per entry: a larger difference is an error
  // The right Jacobians of all operands, empty for those without: for two that were exchanged.
  std::span<const std::vector<double>> all_expected;
};

struct Diagnosis {
  std::vector<std::string> pattern;  // at most 8 lines of at most 64 columns
  std::string likely;                // one sentence; empty: none was recognised
};

Diagnosis diagnose(const WrongJacobian& wrong);

// Names for the axes of an operand, or of "y": n, h, w, c of images and kh, kw, c_in, c_out of filters where
// the op slides a window over images; else numbers.
std::vector<std::string> axis_names(const OpInfo& info, std::string_view tensor, const Shape& shape);

// What tells the failing samples of an op from the passing ones, by the smallest difference in attributes:
// "every sample with stride (1, 1) agrees"; empty where nothing does.
std::string distinguishing_attribute(const OpInfo& info, std::span<const Sample* const> passing,
                                     std::span<const Sample* const> failing);

}  // namespace weft
