// unslice(x, shape, {begin, size, step}): zeros of `shape` with x put where slice would read; the gradient of
// slice.
//   y_(begin + i step) = x_i, every other element 0
//   gx = slice(gy)
// Any element type.
#include <algorithm>

#include "kernels/slicing.hpp"
#include "kernels/surround.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& unslice_info();

namespace {

struct Unslice final : Op {
  Shape shape;
  SliceOptions options;  // resolved: every axis
  Unslice(const Shape& shape, const SliceOptions& options) : shape(shape), options(options) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override { gx.set(0, slice(gy, options)); }
  const OpInfo& info() const override { return unslice_info(); }
  Attributes attributes() const override {
    Attributes attributes = attributes_of(options);
    attributes.set("shape", shape.extents());
    return attributes;
  }
};

Tensor unsliced(const Tensor& x, const Shape& shape, const SliceOptions& options) {
  if (std::ranges::all_of(options.step, [](std::int64_t step) { return step == 1; }))
    return surround(x, shape, options.begin, 0);
  Tensor y = Tensor::zeros(shape, x.dtype());
  write_strided(y, view_of_slice(shape, options), x);
  return y;
}

}  // namespace

Var unslice(const Var& x, const Shape& shape, const SliceOptions& options, SourceLocation at) {
  const Unslice op(shape, resolve_slice("unslice", shape, options, {"x", x}, at));
  if (x.shape().extents() != op.options.size) {
    fail<ShapeError>("unslice",
                     "x has shape " + to_string(x.shape()) + " but the slice of " + to_string(shape) +
                         " has " + to_string(Shape(op.options.size)),
                     {{"x", x}}, at);
  }
  return record(op, unsliced(x.value(), shape, op.options), {x}, {}, at);
}

const OpInfo& unslice_info() {
  static const OpInfo info{
      .name = "unslice",
      .group = OpGroup::shape,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"shape"}, {"begin"}, {"size"}, {"step"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return unslice(x[0], Shape(a.find("shape")->as<Ints>()), options_of<SliceOptions>(a));
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const auto options = options_of<SliceOptions>(a);
            Array<T> y{Shape(a.find("shape")->as<Ints>())};
            for_each_index(x[0].shape(), [&](const Ints& from) {
              Ints to = from;
              for (int axis = 0; axis < from.size(); ++axis) {
                if (axis < options.step.size()) to[axis] *= options.step[axis];
                if (axis < options.begin.size()) to[axis] += options.begin[axis];
                if (axis < options.begin.size() && options.begin[axis] < 0) to[axis] += y.extent(axis);
              }
              y.at(to) = x[0].at(from);
            });
            return y;
          },
      .samples = samples()
                     .shapes({{2, 2, 3}})
                     .with({{"shape", {3, 5, 7}}, {"size", {2, 2, 3}}})
                     .grid({{"begin", {{1, 0, 2}, {0, -4, 1}}}, {"step", {Ints{}, {1, 2, 1}, {1, 1, 2}}}})
                     .shapes({{2, 5, 4}})
                     .with({{"shape", {3, 5, 7}}, {"begin", {-2}}, {"step", {1, 1, 2}}})
                     .shapes({{0, 3}})
                     .with({{"shape", {5, 7}}, {"begin", {5, 2}}, {"size", {0, 3}}})
                     .shapes({{17}})
                     .grid({{"shape", {{33}}}, {"size", {{17}}}, {"step", {{1}, {2}}}})
                     .shapes({{}})
                     .with({{"shape", Ints{}}})
                     .shapes({{4}})
                     .with({{"shape", {9}}, {"begin", {5}}})
                     .pattern(Pattern::special)
                     .shapes({{2, 4}})
                     .with({{"shape", {3, 5}}, {"size", {2, 3}}})
                     .throws("x has shape [2, 4] but the slice of [3, 5] has [2, 3]")
                     .shapes({{3}})
                     .with({{"shape", {5}}, {"begin", {3}}, {"size", {3}}})
                     .throws("begin 3, size 3 and step 1 reach outside axis 0"),
  };
  return info;
}

}  // namespace weft
