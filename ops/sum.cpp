// sum(x, axes): the sum over axes; of no elements it is 0.
//   y_o  = sum over the reduced axes r of x_(o, r)
//   gx_(o, r) = gy_o
#include "kernels/reduce.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& sum_info();

namespace {

struct Sum final : Op {
  ReduceOptions options;
  explicit Sum(const ReduceOptions& options) : options(options) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    const Shape& shape = gx.shape(0);
    const Ints axes = normalize_axes("sum", options.axes, shape.rank());
    const Shape kept = reduced_shape(shape, axes, true);
    gx.set(0, broadcast_to(gy.shape() == kept ? gy : reshape(gy, kept.extents()), shape));
  }
  const OpInfo& info() const override { return sum_info(); }
  Attributes attributes() const override { return attributes_of(options); }
};

}  // namespace

Var sum(const Var& x, const ReduceOptions& options, SourceLocation at) {
  require_floating("sum", {"x", x}, at);
  const Ints axes = normalize_axes("sum", options.axes, x.rank());
  return record(Sum(options), reduce_sum(x.value(), axes, options.keep_axes), {x}, {}, at);
}

const OpInfo& sum_info() {
  static const OpInfo info{
      .name = "sum",
      .group = OpGroup::reduction,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"axes"}, {"keep_axes"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return sum(x[0], options_of<ReduceOptions>(a)); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const auto options = options_of<ReduceOptions>(a);
            const Shape& shape = x[0].shape();
            const Ints axes = normalize_axes("sum", options.axes, shape.rank());
            Array<T> kept(reduced_shape(shape, axes, true));
            for_each_index(shape, [&](const Ints& index) {
              Ints target = index;
              for (const std::int64_t axis : axes) target[static_cast<int>(axis)] = 0;
              kept.at(target) += x[0].at(index);
            });
            return reshaped(kept, reduced_shape(shape, axes, options.keep_axes));
          },
      .samples =
          samples()
              .shapes({{2, 3, 5, 7}})
              .grid({{"axes", {Ints{}, {0}, {-1}, {1, 2}, {0, 2}, {0, 1, 3}}}, {"keep_axes", {false, true}}})
              .shapes({{}})
              .shapes({{0, 3}})
              .grid({{"axes", {Ints{}, {0}, {1}}}})
              .shapes({{2, 1030}})
              .with({{"axes", {1}}})
              .shapes({{33, 17}})
              .with({{"axes", {0}}})
              .shapes({{9}})
              .pattern(Pattern::special)
              .shapes({{3, 5}})
              .with({{"axes", {2}}})
              .throws("axis 2 is outside [-2, 1]")
              .shapes({{3, 5}})
              .with({{"axes", {1, -1}}})
              .throws("given twice"),
  };
  return info;
}

}  // namespace weft
