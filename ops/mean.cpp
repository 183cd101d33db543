// mean(x, axes): the sum over axes divided by the number of elements summed; of no elements it is NaN.
//   y_o  = 1/n sum over the reduced axes r of x_(o, r)        n: the number of positions r
//   gx_(o, r) = gy_o / n                                      empty, and not NaN, where n = 0
#include "kernels/elementwise.hpp"
#include "kernels/reduce.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& mean_info();

namespace {

struct DivideBy {
  double divisor;
  template <class T>
  T operator()(T x) const {
    return x / static_cast<T>(divisor);
  }
};

double reduced_elements(const Shape& shape, const Ints& axes) {
  double count = 1;
  for (const std::int64_t axis : axes) count *= static_cast<double>(shape[static_cast<int>(axis)]);
  return count;
}

struct Mean final : Op {
  ReduceOptions options;
  explicit Mean(const ReduceOptions& options) : options(options) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    const Shape& shape = gx.shape(0);
    const Ints axes = normalize_axes("mean", options.axes, shape.rank());
    const Shape kept = reduced_shape(shape, axes, true);
    const double count = reduced_elements(shape, axes);
    const Var part = scale(gy, count > 0 ? 1 / count : 0);
    gx.set(0, broadcast_to(part.shape() == kept ? part : reshape(part, kept.extents()), shape));
  }
  const OpInfo& info() const override { return mean_info(); }
  Attributes attributes() const override { return attributes_of(options); }
};

}  // namespace

Var mean(const Var& x, const ReduceOptions& options, SourceLocation at) {
  require_floating("mean", {"x", x}, at);
  const Ints axes = normalize_axes("mean", options.axes, x.rank());
  const Tensor total = reduce_sum(x.value(), axes, options.keep_axes);
  return record(Mean(options), map(total, DivideBy{reduced_elements(x.shape(), axes)}), {x}, {}, at);
}

const OpInfo& mean_info() {
  static const OpInfo info{
      .name = "mean",
      .group = OpGroup::reduction,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"axes"}, {"keep_axes"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return mean(x[0], options_of<ReduceOptions>(a)); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const auto options = options_of<ReduceOptions>(a);
            const Shape& shape = x[0].shape();
            const Ints axes = normalize_axes("mean", options.axes, shape.rank());
            Array<T> kept(reduced_shape(shape, axes, true));
            double count = 1;
            for (const std::int64_t axis : axes) count *= static_cast<double>(shape[static_cast<int>(axis)]);
            for_each_index(shape, [&](const Ints& index) {
              Ints target = index;
              for (const std::int64_t axis : axes) target[static_cast<int>(axis)] = 0;
              kept.at(target) += x[0].at(index);
            });
            for (std::int64_t i = 0; i < kept.elements(); ++i) kept[i] /= T(count);
            return reshaped(kept, reduced_shape(shape, axes, options.keep_axes));
          },
      .samples =
          samples()
              .shapes({{2, 3, 5, 7}})
              .grid({{"axes", {Ints{}, {0}, {-1}, {1, 2}, {0, 2}, {0, 1, 3}}}, {"keep_axes", {false, true}}})
              .shapes({{}})
              .shapes({{1, 3}})
              .with({{"axes", {0}}})
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
