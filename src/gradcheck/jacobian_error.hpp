// What the parts of the diagnosis share: a wrong Jacobian, seen as a tensor [y's axes..., x's axes...].
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gradcheck/diagnosis.hpp"

namespace weft::diagnosis {

struct JointAxis {
  std::string name;        // "h of y", "axis 0 of a"
  std::string short_name;  // "h", "0"
  bool of_x;
  std::int64_t extent, stride;

  std::int64_t index(std::size_t k) const { return static_cast<std::int64_t>(k) / stride % extent; }
  std::size_t offset(std::int64_t index) const { return static_cast<std::size_t>(index * stride); }
};

class JacobianError {
 public:
  explicit JacobianError(const WrongJacobian& wrong);

  const WrongJacobian& wrong;
  const std::string argument;  // its name
  const Shape x_shape, y_shape;
  std::size_t rows, columns;
  std::vector<JointAxis> axes;  // of y, then of x
  double largest = 0;           // of |expected|
  std::size_t wrong_entries = 0, missing_entries = 0, spurious_entries = 0;

  std::size_t size() const { return wrong.found.size(); }
  double found(std::size_t k) const { return wrong.found[k]; }
  double expected(std::size_t k) const { return wrong.expected[k]; }
  bool has_found(std::size_t k) const { return !(std::abs(found(k)) <= wrong.threshold[k]); }
  bool has_expected(std::size_t k) const { return !(std::abs(expected(k)) <= wrong.threshold[k]); }
  bool is_wrong(std::size_t k) const { return !(std::abs(found(k) - expected(k)) <= wrong.threshold[k]); }
  bool is_missing(std::size_t k) const { return has_expected(k) && !has_found(k); }
  bool is_spurious(std::size_t k) const { return has_found(k) && !has_expected(k); }
  // Whether `value` is what was found at k, up to rounding errors.
  bool is_found(double value, std::size_t k) const;

  const JointAxis& y_axis(int axis) const { return axes[static_cast<std::size_t>(axis)]; }
  const JointAxis& x_axis(int axis) const { return axes[static_cast<std::size_t>(axis + y_shape.rank())]; }
  bool has_attribute(std::string_view name) const;

  // Whether predicted(k) is what was found, everywhere.
  template <class F>
  bool explains(F&& predicted) const {
    for (std::size_t k = 0; k < size(); ++k) {
      if (!is_found(predicted(k), k)) return false;
    }
    return true;
  }
};

// Each knows one kind of mistake and says it in a sentence; empty: it is not that.
std::string find_not_finite(const JacobianError& e);
std::string find_zero(const JacobianError& e);
std::string find_single_precision(const JacobianError& e);     // off by what f32 loses
std::string find_factor(const JacobianError& e);               // a constant factor, named
std::string find_scalar_gy(const JacobianError& e);            // rows of a gy with one 1 inside are 0
std::string find_ignored_gy(const JacobianError& e);           // all rows are equal
std::string find_exchanged_gradients(const JacobianError& e);  // it is another operand's
std::string find_window(
    const JacobianError& e);  // stride, padding, dilation, filter, groups, by their values
std::string find_window_support(const JacobianError& e);   // likewise, by where entries stand
std::string find_wrong_reduction(const JacobianError& e);  // x's axes follow other axes of y
std::string find_moved_axes(const JacobianError& e);       // exchanged, reversed, rolled, shifted
std::string find_lost_coupling(const JacobianError& e);    // elements along an axis do not see each other
std::string find_missing_term(const JacobianError& e);     // of a norm's gradient
std::string find_moved_index(const JacobianError& e);      // a label off by one
std::string find_overwritten(const JacobianError& e);      // one of several contributions is kept
std::string find_ties(const JacobianError& e);
std::string find_row_factors(const JacobianError& e);   // each output has a factor of its own
std::string find_whole_ratios(const JacobianError& e);  // some entries count k times, or once in k
std::string find_wrong_mask(const JacobianError& e);    // of an elementwise op
std::string find_wrong_values(const JacobianError& e);  // all of them, and nothing else
std::string find_wrong_slice(const JacobianError& e);   // wrong at some indices along an axis only

// Where the entries differ: one output's support in one plane.
std::vector<std::string> draw_support(const JacobianError& e);

}  // namespace weft::diagnosis
