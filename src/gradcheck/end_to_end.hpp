// E1 and O4 of a whole function: the engine's gradient from end to end.
#pragma once

#include <string>
#include <vector>

#include "weft/gradcheck.hpp"

namespace weft {

struct EndToEnd {
  DifferentiableFunction f;
  std::vector<Tensor> x = {};           // its operands, floating ones in f64
  std::vector<std::string> names = {};  // theirs
  bool references_fit = true;           // into the budget: then dual numbers go through the whole record
  bool executed = false;  // f is the user's code, and not a replay: it is differenced in any case
};

// The gradient of <gy, f> by each floating operand along random directions, against dual numbers through the
// references of the record (or the rules one by one), and against differences of f.
void check_end_to_end(const EndToEnd& ends, const GradcheckOptions& options, GradcheckReport& report);

}  // namespace weft
