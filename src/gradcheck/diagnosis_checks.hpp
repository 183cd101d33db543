// From a failed check, other than of a Jacobian, to the likely mistake: one sentence; empty: none was
// recognised.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "gradcheck/op_case.hpp"

namespace weft {

// A value `y`, in f64, that is not the reference's; `wrong` lists the positions that differ, and is empty
// where the shapes do.
std::string diagnose_value(const OpCase& op, const Tensor& y, std::span<const std::size_t> wrong);

// A value of the f32 kernel that is wrong at `wrong` where the f64 kernel's is right.
std::string diagnose_f32_kernel(const OpCase& op, std::span<const std::size_t> wrong);

// A rule that throws or sets a gradient of another shape than its operand's.
std::string diagnose_shape(const OpCase& op, std::size_t operand);

// A failure of one check is explained by another of the same sample: a gy that was overwritten makes every
// gradient wrong. `findings` are all of one sample.
void settle_likely(std::span<Finding> findings);

// E1: what the records have in common on which an engine fails.
void diagnose_engine(std::span<Finding> findings);

}  // namespace weft
