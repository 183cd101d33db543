// What a policy judges: a function and what is said to be its gradient, both of flat vectors.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "kinky_functions.hpp"
#include "weft/gradcheck.hpp"

namespace weft::policies {

using Vector = std::vector<double>;

struct Part {  // the elements of one operand
  std::size_t begin = 0, end = 0;
  bool is_parameter = false;  // not the first operand: what layer libraries call a parameter
};

// In one precision: in f32 every point is rounded to it before the function sees it.
struct Pair {
  Vector x;
  std::size_t outputs = 0;
  std::vector<Part> parts;
  bool convolution = false;  // of or about a convolution, for which one tool has a tolerance of its own
  std::function<Vector(const Vector& x)> value;
  // Records the function at x; the result gives J^T gy for every gy it is called with.
  std::function<std::function<Vector(const Vector& gy)>()> record;

  Vector gradient(const Vector& gy) const { return record()(gy); }
  Vector moved(const Vector& u, double t) const;  // f(x + t u)
  Vector moved(std::size_t i, double t) const;    // f(x + t e_i)
  bool empty() const { return x.empty() || outputs == 0; }
};

// An op on operands (f64 where they are floating). Throws what the op throws.
Pair pair_of(const OpInfo& info, const Attributes& attributes, std::span<const Tensor> operands, DType dtype);
// The function keeps living as long as the pair is used.
Pair pair_of(const kinky::Function& function, DType dtype);

double inner(const Vector& a, const Vector& b);
Vector ones(std::size_t count);

}  // namespace weft::policies
