// broadcast_to(x, shape): x repeated to `shape` by NumPy's rule: aligned at the last axis, extents of 1 are
// stretched.
//   y_(r, o) = x_o                           r: positions along the axes that x lacks or that are stretched
//   gx_o     = sum over r of gy_(r, o)       summed by the engine
// Any element type; shares x's storage where nothing is stretched.
#include "kernels/strided.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& broadcast_to_info();

namespace {

struct BroadcastTo final : Op {
  Shape shape;
  explicit BroadcastTo(const Shape& shape) : shape(shape) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override { gx.set(0, gy); }
  const OpInfo& info() const override { return broadcast_to_info(); }
  Attributes attributes() const override { return {{"shape", shape.extents()}}; }
};

}  // namespace

Var broadcast_to(const Var& x, const Shape& shape, SourceLocation at) {
  if (!broadcastable_to(x.shape(), shape)) {
    fail<ShapeError>(
        "broadcast_to",
        "x does not broadcast to " + to_string(shape) + ": extents must agree or be 1, from the last axis on",
        {{"x", x}}, at);
  }
  const Tensor y =
      x.shape() == shape ? x.value() : read_strided(x.value(), {shape, broadcast_strides(x.shape(), shape)});
  return record(BroadcastTo(shape), y, {x}, {}, at);
}

const OpInfo& broadcast_to_info() {
  static const OpInfo info{
      .name = "broadcast_to",
      .group = OpGroup::shape,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"shape"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return broadcast_to(x[0], Shape(a.find("shape")->as<Ints>())); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Array<T> zeros{Shape(a.find("shape")->as<Ints>())};
            return zip_reference(x[0], zeros, [](const T& from, const T&) { return from; });
          },
      .samples = samples()
                     .shapes({{3, 1, 5}})
                     .grid({{"shape", {{3, 1, 5}, {3, 7, 5}, {2, 3, 7, 5}, {2, 3, 1, 5}}}})
                     .shapes({{}})
                     .grid({{"shape", {Ints{}, {1}, {17}, {2, 3}, {0, 3}}}})
                     .shapes({{1, 3}})
                     .grid({{"shape", {{0, 3}, {33, 3}, {5, 7, 3}}}})
                     .shapes({{2, 1}})
                     .grid({{"shape", {{2, 0}, {2, 17}, {3, 2, 33}}}})
                     .shapes({{0, 1}})
                     .with({{"shape", {2, 0, 3}}})
                     .shapes({{7, 1}})
                     .with({{"shape", {7, 3}}})
                     .pattern(Pattern::special)
                     .shapes({{2, 3}})
                     .with({{"shape", {2, 4}}})
                     .throws("x does not broadcast to [2, 4]")
                     .shapes({{2, 3}})
                     .with({{"shape", {3}}})
                     .throws("x does not broadcast to [3]"),
      .invariants = {Invariant::sum_is_kept},
  };
  return info;
}

}  // namespace weft
