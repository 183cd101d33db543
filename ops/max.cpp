// max(x, axes): the largest element over axes; NaN where there is one. Of no elements there is none:
// ShapeError.
//   y_o  = x_p(o)                            p(o): the first position of the largest, in row-major order
//   gx_j = gy_o where j = p(o), else 0       a tie's gradient goes to its first element alone
// Keeps the positions, by which the gradient is a scatter_add.
#include "kernels/reduce_max.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& max_info();

namespace {

struct Max final : Op {
  ReduceOptions options;
  explicit Max(const ReduceOptions& options) : options(options) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    const Shape shape = gx.shape(0);
    gx.set(0, reshape(scatter_add(gy, gx.extra(), shape.elements()), shape.extents()));
  }
  const OpInfo& info() const override { return max_info(); }
  Attributes attributes() const override { return attributes_of(options); }
};

}  // namespace

Var max(const Var& x, const ReduceOptions& options, SourceLocation at) {
  require_floating("max", {"x", x}, at);
  const Ints axes = normalize_axes("max", options.axes, x.rank());
  if (x.shape().elements() == 0 && reduced_shape(x.shape(), axes, true).elements() > 0) {
    fail<ShapeError>("max", "no elements along axes " + to_string(axes) + " to take the largest of",
                     {{"x", x}}, at);
  }
  const Maxima maxima = reduce_max(x.value(), axes, options.keep_axes);
  return record(Max(options), maxima.values, {x}, {.extra = maxima.positions}, at);
}

static Samples max_samples() {
  return samples()
      .shapes({{2, 3, 5, 7}})
      .grid({{"axes", {Ints{}, {0}, {-1}, {1, 2}, {0, 2}, {0, 1, 3}}}, {"keep_axes", {false, true}}})
      .shapes({{3, 5, 4}})
      .grid({{"axes", {Ints{}, {1}, {0, 2}}}})
      .pattern(Pattern::ties)
      .shapes({{2, 3, 4}})
      .grid({{"axes", {{0, 2}, {1}}}})
      .pattern(Pattern::all_equal)
      .shapes({{2, 5}})
      .with({{"axes", {1}}})
      .pattern(Pattern::negative)
      .shapes({{}})
      .shapes({{1, 3}})
      .with({{"axes", {0}}})
      .shapes({{0, 3}})
      .with({{"axes", {1}}})
      .shapes({{33, 17}})
      .grid({{"axes", {{0}, {1}}}})
      .shapes({{3, 7}})
      .grid({{"axes", {Ints{}, {0}, {1}}}})
      .pattern(Pattern::special)
      .shapes({{0, 3}})
      .with({{"axes", {0}}})
      .throws("no elements along axes (0)")
      .shapes({{2, 0}})
      .throws("no elements along axes (0, 1)")
      .shapes({{3, 5}})
      .with({{"axes", {2}}})
      .throws("axis 2 is outside [-2, 1]");
}

const OpInfo& max_info() {
  static const OpInfo info{
      .name = "max",
      .group = OpGroup::reduction,
      .arguments = {{"x"}},
      .attributes = {{"axes"}, {"keep_axes"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return max(x[0], options_of<ReduceOptions>(a)); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const auto options = options_of<ReduceOptions>(a);
            const Shape& shape = x[0].shape();
            const Ints axes = normalize_axes("max", options.axes, shape.rank());
            const auto is_nan = [](const T& v) { return !(v <= T(0.0)) && !(v > T(0.0)); };
            Array<T> largest(reduced_shape(shape, axes, true));
            Array<std::int64_t> seen(largest.shape(), 0);
            for_each_index(shape, [&](const Ints& index) {
              Ints target = index;
              for (const std::int64_t axis : axes) target[static_cast<int>(axis)] = 0;
              const T& v = x[0].at(index);
              const bool is_first = seen.at(target)++ == 0;
              if (is_first || (!is_nan(largest.at(target)) && (is_nan(v) || v > largest.at(target)))) {
                largest.at(target) = v;
              }
            });
            return reshaped(largest, reduced_shape(shape, axes, options.keep_axes));
          },
      .samples = max_samples(),
      .ties = TiePolicy::first,
      .invariants = {Invariant::sum_is_kept},
  };
  return info;
}

}  // namespace weft
