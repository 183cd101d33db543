// reshape(x, extents): the same elements in the same order under another shape; shares x's storage.
//   gx = gy in the shape of x
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& reshape_info();

namespace {

struct Reshape final : Op {
  Ints extents;
  explicit Reshape(const Ints& extents) : extents(extents) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    gx.set(0, reshape(gy, gx.shape(0).extents()));
  }
  const OpInfo& info() const override { return reshape_info(); }
  Attributes attributes() const override { return {{"extents", extents}}; }
};

bool fits(const Shape& shape, const Ints& extents) {
  std::int64_t known = 1;
  int unknown = 0;
  for (const std::int64_t extent : extents) {
    if (extent < -1) return false;
    if (extent == -1)
      ++unknown;
    else
      known *= extent;
  }
  if (unknown == 0) return known == shape.elements();
  return unknown == 1 && known > 0 && shape.elements() % known == 0;
}

}  // namespace

Var reshape(const Var& x, const Ints& extents, SourceLocation at) {
  if (!fits(x.shape(), extents)) {
    fail<ShapeError>("reshape",
                     std::to_string(x.shape().elements()) + " elements do not fit into " + to_string(extents),
                     {{"x", x}}, at);
  }
  return record(Reshape(extents), x.value().reshape(extents), {x}, {}, at);
}

const OpInfo& reshape_info() {
  static const OpInfo info{
      .name = "reshape",
      .group = OpGroup::view,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"extents"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return reshape(x[0], a.find("extents")->as<Ints>()); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            Ints extents = a.find("extents")->as<Ints>();
            std::int64_t known = 1;
            for (const std::int64_t extent : extents) known *= extent == -1 ? 1 : extent;
            for (int axis = 0; axis < extents.size(); ++axis) {
              if (extents[axis] == -1) extents[axis] = x[0].elements() / known;
            }
            return reshaped(x[0], Shape(extents));
          },
      .samples = samples()
                     .shapes({{2, 3, 5}})
                     .grid({{"extents", {{30}, {6, 5}, {-1, 3}, {1, 2, 15}}}})
                     .shapes({{}})
                     .with({{"extents", {1, 1}}})
                     .shapes({{0, 3}})
                     .with({{"extents", {3, 0}}})
                     .shapes({{2, 3}})
                     .with({{"extents", {4, 2}}})
                     .throws("6 elements do not fit into (4, 2)")
                     .shapes({{2, 3}})
                     .with({{"extents", {-1, 4}}})
                     .throws("6 elements do not fit into (-1, 4)")
                     .shapes({{2, 3}})
                     .with({{"extents", {-1, -1}}})
                     .throws("do not fit"),
      .invariants = {Invariant::sum_is_kept},
  };
  return info;
}

}  // namespace weft
