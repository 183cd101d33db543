// Reverse-mode differentiation.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "weft/graph.hpp"

namespace weft {

struct GradientOptions {
  bool record = false;  // record the gradient itself, so that it can be differentiated again
  Var gy = {};  // [like y] the gradient that arrives at y; may be left out for one element: then it is 1
};

// dy/dx for each x, like x in shape and dtype: J^T gy. Zeros where y does not depend on x. Releases nothing.
// Throws GraphError: y or an x is not of one graph, y has several elements and no gy is given, a value that a
// rule needs was released by backward(), a parameter was updated since it was used.
std::vector<Var> gradient(const Var& y, std::span<const Var> xs, const GradientOptions& options = {});
std::vector<Var> gradient(const Var& y, std::initializer_list<Var> xs, const GradientOptions& options = {});
Var gradient(const Var& y, const Var& x, const GradientOptions& options = {});

// J u: the derivative of y along the direction `u` of x, like y. Two reverse passes, the second over the
// first.
Var jvp(const Var& y, const Var& x, const Var& u);

Tensor jacobian(const Var& y, const Var& x);  // [y's shape..., x's shape...]
Tensor hessian(const Var& y, const Var& x);   // [x's shape..., x's shape...] of a y of one element

}  // namespace weft
