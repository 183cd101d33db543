// The three derivatives of an op: by its rule, by dual numbers of its reference, by differences of its
// executed forward. Jacobians are row-major, [outputs, inputs of one operand].
#pragma once

#include <vector>

#include "gradcheck/op_case.hpp"

namespace weft {

// dy/dx_i by the rule, for each of op.checked: one call of the engine for every output.
std::vector<std::vector<double>> rule_jacobians(const OpCase& op);

// dy/dx_i by the reference, in ceil(inputs / 8) passes.
std::vector<double> dual_jacobian(const OpCase& op, std::size_t i);

// J u_d for up to eight directions u_d of operand i: [direction][output].
std::vector<std::vector<double>> dual_products(const OpCase& op, std::size_t i,
                                               std::span<const Tensor> directions);

// How far and to which side the operands can be moved along u (one direction for each; an empty tensor: that
// one stays) without a comparison of the reference coming out
// differently; without a reference both sides, and kinks are looked for by the ladder.
struct Room {
  double step = 0;
  Side side = Side::both;
  bool found = false;   // false: a kink on both sides, or too near
  bool smooth = false;  // the reference makes the same decisions all along
};
Room room_along(const OpCase& op, std::span<const Tensor> u);

// The decisions that the reference makes at x + t u.
Trace trace_along(const OpCase& op, std::span<const Tensor> u, double t);

// A step along u that meets no kink on either side but the one that the operands lie on.
double step_beside_kinks(const OpCase& op, std::span<const Tensor> u);

struct DifferenceJacobian {
  std::vector<Estimate> entries;
  std::int64_t evaluations = 0;  // of the forward
  std::int64_t no_room = 0;      // columns that a kink left without a step
  std::vector<bool> covered;     // which columns there was time for
};
// dy/dx_i by differences along each coordinate, as many as fit into the budget; `scale` is of the entries.
DifferenceJacobian difference_jacobian(const OpCase& op, std::size_t i, std::span<const double> scale);

// The size of steps: a power of two near the typical |x|.
double typical_step(const Tensor& x);

}  // namespace weft
