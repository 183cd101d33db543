// softmax(x, axis): positive numbers with sum 1 along an axis.
//   y_i  = exp(x_i - m) / sum_j exp(x_j - m)         m = max_j x_j
//   gx_i = y_i (gy_i - sum_j gy_j y_j)
// NaN or +inf along the axis makes all of it NaN. Keeps y, not x.
#include "kernels/softmax.hpp"

#include <algorithm>

#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& softmax_info();

namespace {

struct Softmax final : Op {
  int axis;
  explicit Softmax(int axis) : axis(axis) {}

  void backward(const Var& y, const Var& gy, Gradients& gx) const override {
    if (!gx.recording())
      return gx.set(
          0, softmax_gradient_along(y.value(), gx.take(gy), normalize_axis("softmax", axis, y.rank())));
    const Var projection = sum(multiply(gy, y), {.axes = {axis}, .keep_axes = true});
    gx.set(0, multiply(y, subtract(gy, projection)));
  }
  const OpInfo& info() const override { return softmax_info(); }
  double flops(std::span<const TensorType> x, const TensorType&) const override {
    return 5.0 * static_cast<double>(x[0].shape.elements());  // maximum, difference, exp, sum, quotient
  }
  Attributes attributes() const override { return {{"axis", axis}}; }
};

int axis_of(const Attributes& a) { return static_cast<int>(a.find("axis")->as<std::int64_t>()); }

}  // namespace

Var softmax(const Var& x, int axis, SourceLocation at) {
  require_floating("softmax", {"x", x}, at);
  const int position = normalize_axis("softmax", axis, x.rank());
  return record(Softmax(axis), softmax_along(x.value(), position), {x}, {.output = true}, at);
}

const OpInfo& softmax_info() {
  static const OpInfo info{
      .name = "softmax",
      .group = OpGroup::loss,
      .arguments = {{"x"}},
      .attributes = {{"axis"}},
      .call = [](std::span<const Var> x, const Attributes& a) { return softmax(x[0], axis_of(a)); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            using std::exp;
            const Shape& shape = x[0].shape();
            const int axis = normalize_axis("softmax", axis_of(a), shape.rank());
            Array<T> y(shape);
            for_each_index(shape.with(axis, std::min<std::int64_t>(shape[axis], 1)), [&](const Ints& first) {
              Ints i = first;
              T largest = x[0].at(first), sum(0.0);
              for (i[axis] = 1; i[axis] < shape[axis]; ++i[axis]) {
                if (x[0].at(i) > largest) largest = x[0].at(i);
              }
              for (i[axis] = 0; i[axis] < shape[axis]; ++i[axis]) sum += exp(x[0].at(i) - largest);
              for (i[axis] = 0; i[axis] < shape[axis]; ++i[axis]) {
                y.at(i) = exp(x[0].at(i) - largest) / sum;
              }
            });
            return y;
          },
      .samples = samples()
                     .shapes({{2, 3, 5}})
                     .grid({{"axis", {-1, 0, 1, 2, -3}}})
                     .shapes({{7}})
                     .grid({{"axis", {0}}})
                     .shapes({{2, 1}})
                     .grid({{"axis", {0, 1}}})
                     .shapes({{0, 3}})
                     .grid({{"axis", {0, 1}}})
                     .shapes({{3, 33}})
                     .grid({{"axis", {0, 1}}})
                     .shapes({{17, 2}})
                     .grid({{"axis", {0, 1}}})
                     .shapes({{3, 3}})
                     .values(0, {1e3, 999.5, -1e3, 999, 1e3, 998.5, -1e3, 80, 999.5})
                     .grid({{"axis", {0, 1}}})
                     .pattern(Pattern::large)
                     .shapes({{3, 7}})
                     .with({{"axis", 1}})
                     .pattern(Pattern::tiny)
                     .shapes({{3, 7}})
                     .with({{"axis", 1}})
                     .pattern(Pattern::all_equal)
                     .shapes({{7, 5}})
                     .grid({{"axis", {0, 1}}})
                     .pattern(Pattern::special)
                     .shapes({{2, 3}})
                     .with({{"axis", 2}})
                     .throws("softmax: axis 2 is outside [-2, 1]"),
      .invariants = {Invariant::rows_sum_to_zero},
  };
  return info;
}

}  // namespace weft
