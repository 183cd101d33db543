// unpad(gy, shape, {before, after, mode}): every element of gy added where pad took it from; the gradient of
// pad.
//   g_j  = sum of gy_i over the positions i that pad fills from j
//   ggy  = pad(gg) with value 0              the constant mode drops what lies outside
#include "kernels/indexed.hpp"
#include "kernels/padding.hpp"
#include "kernels/strided.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& unpad_info();

namespace {

struct Unpad final : Op {
  Shape shape;
  PadOptions options;  // resolved: every axis, value 0
  Unpad(const Shape& shape, const PadOptions& options) : shape(shape), options(options) {}

  void backward(const Var&, const Var& gg, Gradients& gx) const override { gx.set(0, pad(gg, options)); }
  const OpInfo& info() const override { return unpad_info(); }
  Attributes attributes() const override {
    return {{"shape", shape.extents()},
            {"before", options.before},
            {"after", options.after},
            {"mode", detail::to_attribute(options.mode)}};
  }
};

Tensor crop(const Tensor& gy, const Shape& shape, const PadOptions& options) {
  StridedView inside{shape, gy.shape().strides()};
  for (int axis = 0; axis < shape.rank(); ++axis)
    inside.offset += options.before[axis] * inside.strides[axis];
  return read_strided(gy, inside);
}

Tensor fold(const Tensor& gy, const Shape& shape, const PadOptions& options) {
  Tensor g = gy;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (options.before[axis] == 0 && options.after[axis] == 0) continue;
    const Tensor sources = padding_sources(shape[axis], options, axis);
    g = scatter_add_slices(g, sources, axis, g.shape().with(axis, shape[axis]));
  }
  return g;
}

}  // namespace

Var unpad(const Var& gy, const Shape& shape, const PadOptions& options, SourceLocation at) {
  require_floating("unpad", {"gy", gy}, at);
  Unpad op(shape, resolve_padding("unpad", shape, options, {"gy", gy}, at));
  op.options.value = 0;
  const Shape padded = padded_shape(shape, op.options);
  if (gy.shape() != padded) {
    fail<ShapeError>("unpad",
                     "gy has shape " + to_string(gy.shape()) + " but " + to_string(shape) + " padded has " +
                         to_string(padded),
                     {{"gy", gy}}, at);
  }
  const bool constant = options.mode == PadMode::constant;
  const Tensor g = constant ? crop(gy.value(), shape, op.options) : fold(gy.value(), shape, op.options);
  return record(op, g, {gy}, {}, at);
}

const OpInfo& unpad_info() {
  static const OpInfo info{
      .name = "unpad",
      .group = OpGroup::shape,
      .arguments = {{.name = "gy", .linear = true}},
      .attributes = {{"shape"}, {"before"}, {"after"}, {"mode"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return unpad(x[0], Shape(a.find("shape")->as<Ints>()), options_of<PadOptions>(a));
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const auto options = options_of<PadOptions>(a);
            Array<T> g{Shape(a.find("shape")->as<Ints>())};
            for_each_index(x[0].shape(), [&](const Ints& from) {
              Ints to = from;
              bool inside = true;
              for (int axis = 0; axis < from.size(); ++axis) {
                const std::int64_t last = g.extent(axis) - 1;
                const std::int64_t i = from[axis] - (axis < options.before.size() ? options.before[axis] : 0);
                const bool reflects = options.mode == PadMode::reflect;
                to[axis] = i < 0 ? (reflects ? -i : 0) : i > last ? (reflects ? 2 * last - i : last) : i;
                inside = inside && i >= 0 && i <= last;
              }
              if (inside || options.mode != PadMode::constant) g.at(to) += x[0].at(from);
            });
            return g;
          },
      .samples = samples()
                     .shapes({{2, 7, 11, 3}})
                     .with({{"shape", {2, 5, 7, 3}}, {"before", {0, 2, 1}}, {"after", {0, 0, 3}}})
                     .grid({{"mode", {"constant", "reflect", "replicate"}}})
                     .shapes({{6, 7, 9}})
                     .with({{"shape", {3, 4, 5}}, {"before", {2, 0, 4}}, {"after", {1, 3, 0}}})
                     .grid({{"mode", {"constant", "reflect", "replicate"}}})
                     .shapes({{17, 4}})
                     .with({{"shape", {1, 3}}, {"before", {7}}, {"after", {9, 1}}})
                     .grid({{"mode", {"constant", "replicate"}}})
                     .shapes({{4, 49}})
                     .with({{"shape", {3, 17}}, {"before", {1, 16}}, {"after", {0, 16}}, {"mode", "reflect"}})
                     .shapes({{}})
                     .with({{"shape", Ints{}}})
                     .shapes({{2, 3}})
                     .with({{"shape", {0, 2}}, {"before", {2, 1}}})
                     .shapes({{0, 3}})
                     .with({{"shape", {0, 2}}, {"before", {0, 1}}})
                     .grid({{"mode", {"constant", "reflect", "replicate"}}})
                     .shapes({{9}})
                     .with({{"shape", {7}}, {"before", {2}}, {"mode", "replicate"}})
                     .pattern(Pattern::special)
                     .shapes({{3, 5}})
                     .with({{"shape", {3, 5}}, {"before", {1}}})
                     .throws("gy has shape [3, 5] but [3, 5] padded has [4, 5]")
                     .shapes({{4}})
                     .with({{"shape", {2}}, {"before", {2}}, {"mode", "reflect"}})
                     .throws("axis 0 has 2 elements but reflect needs more than its padding of 2"),
  };
  return info;
}

}  // namespace weft
