// What is run for each op and sample, in this order. Every function appends its findings to the report.
#pragma once

#include "gradcheck/op_case.hpp"

namespace weft {

// P0: the value against the reference within its bound, NaN and infinities where it has them.
void check_value(const OpCase& op, GradcheckReport& report);
// P0 of a sample that must throw: that text, and the graph is as it was.
void check_throws(const OpCase& op, std::string_view text, GradcheckReport& report);

// P1 to P8: what every rule must do, whatever it computes. `other` has the same shapes and other attributes
// where the samples have such a one.
struct RuleContext {
  const OpCase* other = nullptr;
  bool finite = true;  // no NaN and no infinity among the operands
};
void check_properties(const OpCase& op, const RuleContext& context, GradcheckReport& report);

// O1, O2: the rule against dual numbers, and both against differences. `with_differences` is false where the
// operands leave no room for steps. Returns false where a kink was in the way of a step.
bool check_derivatives(const OpCase& op, bool with_differences, GradcheckReport& report);
// The same by random projections, for an op with too many entries.
bool check_probes(const OpCase& op, bool with_differences, GradcheckReport& report);

// O3: operands on ties and kinks put there on purpose.
void check_ties(const OpCase& op, GradcheckReport& report);

// O4: the gradient of the gradient against dual numbers of second order and against differences of the
// gradient; u^T H w = w^T H u.
void check_second_order(const OpCase& op, bool with_differences, GradcheckReport& report);

// O5: the f32 kernels, forward and backward, within the bound of their rounding errors.
void check_f32(const OpCase& op, GradcheckReport& report);

}  // namespace weft
