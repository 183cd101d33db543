// flatten(x, first_axis): the axes from `first_axis` on joined into one; shares x's storage.
//   y_(i, j) = x_(i, r)                      j: the position of r, row by row
//   gx = gy in the shape of x
// Where first_axis is the rank, no axes are joined: y has one more axis, of extent 1. Any element type.
#include <fmt/format.h>

#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& flatten_info();

namespace {

struct Flatten final : Op {
  int first_axis;
  explicit Flatten(int first_axis) : first_axis(first_axis) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    gx.set(0, reshape(gy, gx.shape(0).extents()));
  }
  const OpInfo& info() const override { return flatten_info(); }
  Attributes attributes() const override { return {{"first_axis", first_axis}}; }
};

}  // namespace

Var flatten(const Var& x, int first_axis, SourceLocation at) {
  const int rank = x.rank();
  if (first_axis < -rank || first_axis > rank) {
    fail<ShapeError>("flatten", fmt::format("first_axis {} is outside [{}, {}]", first_axis, -rank, rank),
                     {{"x", x}}, at);
  }
  const int first = first_axis < 0 ? first_axis + rank : first_axis;
  Ints extents;
  std::int64_t joined = 1;
  for (int axis = 0; axis < rank; ++axis) {
    if (axis < first)
      extents.push_back(x.extent(axis));
    else
      joined *= x.extent(axis);
  }
  if (extents.size() == Shape::max_rank) {
    fail<ShapeError>("flatten", fmt::format("no axis is left for a tensor of rank {}", rank + 1), {{"x", x}},
                     at);
  }
  extents.push_back(joined);
  return record(Flatten(first_axis), x.value().reshape(extents), {x}, {}, at);
}

const OpInfo& flatten_info() {
  static const OpInfo info{
      .name = "flatten",
      .group = OpGroup::view,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"first_axis"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            const AttributeValue* first_axis = a.find("first_axis");
            return flatten(x[0], first_axis ? static_cast<int>(first_axis->as<std::int64_t>()) : 1);
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Shape& shape = x[0].shape();
            const AttributeValue* given = a.find("first_axis");
            std::int64_t first = given ? given->as<std::int64_t>() : 1;
            if (first < 0) first += shape.rank();
            Ints extents;
            for (int axis = 0; axis < first; ++axis) extents.push_back(shape[axis]);
            extents.push_back(1);
            for (int axis = static_cast<int>(first); axis < shape.rank(); ++axis) {
              extents[extents.size() - 1] *= shape[axis];
            }
            return reshaped(x[0], Shape(extents));
          },
      .samples = samples()
                     .shapes({{2, 3, 5, 7}})
                     .shapes({{2, 3, 5, 7}})
                     .grid({{"first_axis", {0, 2, 3, -1, -2, -4}}})
                     .shapes({{3, 5}})
                     .with({{"first_axis", 2}})
                     .shapes({{3}})
                     .shapes({{}})
                     .with({{"first_axis", 0}})
                     .shapes({{0, 3, 5}})
                     .shapes({{2, 3, 0}})
                     .throws({{}}, "first_axis 1 is outside [0, 0]")
                     .shapes({{2, 3}})
                     .with({{"first_axis", 3}})
                     .throws("first_axis 3 is outside [-2, 2]"),
      .invariants = {Invariant::sum_is_kept},
  };
  return info;
}

}  // namespace weft
