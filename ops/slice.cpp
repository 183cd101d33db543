// slice(x, {begin, size, step}): every step-th element from `begin` on, `size` of them along each axis.
//   y_i = x_(begin + i step)
//   gx  = unslice(gy)                        zeros with gy put where y was read; of many slices of one x only
//                                            one writes zeros, the others add to its gradient
// Any element type.
#include "kernels/slicing.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& slice_info();

namespace {

struct Slice final : Op {
  SliceOptions options;  // resolved: every axis
  explicit Slice(const SliceOptions& options) : options(options) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    Tensor sum = gx.take_sum(0);
    if (!sum.defined()) return gx.set(0, unslice(gy, gx.shape(0), options));
    add_strided(sum, view_of_slice(sum.shape(), options), gy.value());
    gx.set(0, std::move(sum));
  }
  const OpInfo& info() const override { return slice_info(); }
  Attributes attributes() const override { return attributes_of(options); }
};

}  // namespace

Var slice(const Var& x, const SliceOptions& options, SourceLocation at) {
  const Slice op(resolve_slice("slice", x.shape(), options, {"x", x}, at));
  return record(op, read_strided(x.value(), view_of_slice(x.shape(), op.options)), {x}, {}, at);
}

static Samples slice_samples() {
  return samples()
      .shapes({{3, 5, 7}})
      .shapes({{3, 5, 7}})
      .grid({{"begin", {{1, 0, 2}, {0, -4, 1}}},
             {"size", {{2, 2, 3}, {-1, 1, -1}}},
             {"step", {Ints{}, {1, 2, 1}, {1, 1, 2}}}})
      .shapes({{3, 5, 7}})
      .with({{"begin", {1}}})
      .shapes({{3, 5, 7}})
      .with({{"size", {2, 3}}})
      .shapes({{3, 5, 7}})
      .with({{"step", {2, 3, 4}}})
      .shapes({{5, 7}})
      .with({{"begin", {5, 2}}, {"size", {0, 3}}})
      .shapes({{33}})
      .grid({{"begin", {{0}, {-17}}}, {"step", {{1}, {2}}}})
      .shapes({{0, 3}})
      .shapes({{1}})
      .shapes({{}})
      .shapes({{9}})
      .with({{"begin", {1}}})
      .pattern(Pattern::special)
      .shapes({{3, 5}})
      .with({{"begin", {0, 2}}, {"size", {3, 4}}})
      .throws("begin 2, size 4 and step 1 reach outside axis 1, which has 5 elements")
      .shapes({{3, 5}})
      .with({{"begin", {4}}})
      .throws("begin 4 lies outside axis 0, which has 3 elements")
      .shapes({{3, 5}})
      .with({{"begin", {-4}}})
      .throws("begin -4 lies outside axis 0")
      .shapes({{3, 5}})
      .with({{"step", {1, 0}}})
      .throws("step 0 along axis 1: steps are at least 1")
      .shapes({{3, 5}})
      .with({{"size", {-2}}})
      .throws("size -2 along axis 0")
      .shapes({{3, 5}})
      .with({{"begin", {0, 0, 0}}})
      .throws("3 axes are named but the shape [3, 5] has 2");
}

const OpInfo& slice_info() {
  static const OpInfo info{
      .name = "slice",
      .group = OpGroup::shape,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"begin"}, {"size"}, {"step"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return slice(x[0], options_of<SliceOptions>(a)); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const auto options = options_of<SliceOptions>(a);
            const auto entry = [](const Ints& of, int axis, std::int64_t otherwise) {
              return axis < of.size() ? of[axis] : otherwise;
            };
            Ints begin, step, extents;
            for (int axis = 0; axis < x[0].shape().rank(); ++axis) {
              const std::int64_t extent = x[0].extent(axis), first = entry(options.begin, axis, 0);
              begin.push_back(first < 0 ? first + extent : first);
              step.push_back(entry(options.step, axis, 1));
              const std::int64_t size = entry(options.size, axis, -1);
              extents.push_back(size == -1 ? (extent - begin[axis] + step[axis] - 1) / step[axis] : size);
            }
            Array<T> y{Shape(extents)};
            for_each_index(y.shape(), [&](const Ints& to) {
              Ints from = to;
              for (int axis = 0; axis < to.size(); ++axis) from[axis] = begin[axis] + to[axis] * step[axis];
              y.at(to) = x[0].at(from);
            });
            return y;
          },
      .samples = slice_samples(),
      .invariants = {Invariant::sum_is_kept},
  };
  return info;
}

}  // namespace weft
