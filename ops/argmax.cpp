// argmax(x, axis): the position of the first largest element along `axis`, i64, that axis removed; the first
// NaN counts as largest. No gradient.
//   y_o = the smallest j with x_(o, j) = max over i of x_(o, i)
#include <fmt/format.h>

#include "kernels/reduce_max.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& argmax_info();

namespace {

struct Argmax final : Op {
  int axis;
  explicit Argmax(int axis) : axis(axis) {}

  void backward(const Var&, const Var&, Gradients&) const override {}
  const OpInfo& info() const override { return argmax_info(); }
  Attributes attributes() const override { return {{"axis", axis}}; }
};

}  // namespace

Var argmax(const Var& x, int axis, SourceLocation at) {
  require_floating("argmax", {"x", x}, at);
  const int normal = normalize_axis("argmax", axis, x.rank());
  const std::int64_t extent = x.extent(normal), stride = x.shape().strides()[normal];
  if (extent == 0 && x.shape().without(normal).elements() > 0) {
    fail<ShapeError>("argmax", fmt::format("no elements along axis {} to find the largest of", normal),
                     {{"x", x}}, at);
  }
  Tensor y = reduce_max(x.value(), {normal}, false).positions;
  for (std::int64_t& position : y.mutable_values<std::int64_t>()) position = position / stride % extent;
  return record(Argmax(normal), y, {x}, {}, at);
}

const OpInfo& argmax_info() {
  static const OpInfo info{
      .name = "argmax",
      .group = OpGroup::reduction,
      .arguments = {{.name = "x", .role = Role::constant}},
      .attributes = {{"axis"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            const AttributeValue* axis = a.find("axis");
            return argmax(x[0], axis ? static_cast<int>(axis->as<std::int64_t>()) : -1);
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Shape& shape = x[0].shape();
            const AttributeValue* given = a.find("axis");
            const auto axis =
                static_cast<int>(((given ? given->as<std::int64_t>() : -1) + shape.rank()) % shape.rank());
            const auto is_nan = [](const T& v) { return !(v <= T(0.0)) && !(v > T(0.0)); };
            Array<T> y(shape.with(axis, 1));
            for_each_index(y.shape(), [&](const Ints& index) {
              Ints best = index, other = index;
              for (other[axis] = 1; other[axis] < shape[axis]; ++other[axis]) {
                const T &v = x[0].at(other), &largest = x[0].at(best);
                if (!is_nan(largest) && (is_nan(v) || v > largest)) best = other;
              }
              y.at(index) = T(static_cast<double>(best[axis]));
            });
            return reshaped(y, shape.without(axis));
          },
      .samples = samples()
                     .shapes({{2, 3, 5, 7}})
                     .shapes({{2, 3, 5, 7}})
                     .grid({{"axis", {0, 1, 2, -2}}})
                     .shapes({{3, 7, 4}})
                     .grid({{"axis", {0, 1, 2}}})
                     .pattern(Pattern::ties)
                     .shapes({{2, 3}})
                     .pattern(Pattern::all_equal)
                     .shapes({{17}})
                     .shapes({{33, 1}})
                     .shapes({{0, 3}})
                     .shapes({{3, 7}})
                     .grid({{"axis", {0, 1}}})
                     .pattern(Pattern::special)
                     .throws({{3, 0}}, "no elements along axis 1")
                     .throws({{}}, "axis -1 of a scalar, which has none")
                     .shapes({{3, 5}})
                     .with({{"axis", 2}})
                     .throws("axis 2 is outside [-2, 1]"),
      .ties = TiePolicy::first,
  };
  return info;
}

}  // namespace weft
