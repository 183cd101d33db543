// gather(x, index, axis): the slices of x at the positions that the index holds; the index's axes take the
// place of `axis`.
//   y_(o, i, r) = x_(o, index_i, r)
//   gx = scatter_add(gy, index)              a position that occurs twice gets both gradients
// Any element type. The index counts from the front and gets no gradient. Keeps the index.
#include <fmt/format.h>

#include "kernels/indexed.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& gather_info();

namespace {

struct Gather final : Op {
  int axis;
  explicit Gather(int axis) : axis(axis) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    Tensor sum = gx.take_sum(0);
    if (!sum.defined()) return gx.set(0, scatter_add(gy, gx.input(1), gx.shape(0)[axis], axis));
    add_slices(sum, gy.value(), gx.input(1).value(), axis);
    gx.set(0, std::move(sum));
  }
  const OpInfo& info() const override { return gather_info(); }
  Attributes attributes() const override { return {{"axis", axis}}; }
};

}  // namespace

Var gather(const Var& x, const Var& index, int axis, SourceLocation at) {
  const int normal = normalize_axis("gather", axis, x.rank());
  require_indices("gather", {"index", index}, x.extent(normal), at);
  const int rank = x.rank() - 1 + index.rank();
  if (rank > Shape::max_rank) {
    fail<ShapeError>(
        "gather", fmt::format("the result would have rank {}, at most {} is allowed", rank, Shape::max_rank),
        {{"x", x}, {"index", index}}, at);
  }
  const Tensor y = gather_slices(x.value(), index.value(), normal);
  return record(Gather(normal), y, {x, index}, {.operands = operand(1)}, at);
}

static Samples gather_samples() {
  return samples()
      .shapes({{5, 3}, {7}})
      .shapes({{5, 3, 2}, {2, 4}})
      .shapes({{3, 5, 7}, {4}})
      .with({{"axis", 1}})
      .values(1, {4, 0, 4, 1})
      .shapes({{3, 5, 7}, {2, 3}})
      .with({{"axis", -1}})
      .values(1, {6, 2, 2, 0, 6, 5})
      .shapes({{2, 3}, {3}})
      .with({{"axis", 1}})
      .values(1, {1, 1, 1})
      .shapes({{5, 3}, {}})
      .shapes({{33}, {17}})
      .shapes({{17, 33}, {5}})
      .shapes({{5, 3}, {0}})
      .shapes({{5, 0}, {2}})
      .shapes({{7}, {7}})
      .values(1, {0, 1, 2, 3, 4, 5, 6})
      .pattern(Pattern::special)
      .shapes({{5, 3}, {2, 2}})
      .values(1, {0, 1, 5, 2})
      .throws("index 5 at (1, 0) is outside [0, 5)")
      .shapes({{5, 3}, {2}})
      .values(1, {0, -1})
      .throws("index -1 at (1) is outside [0, 5)")
      .shapes({{5, 3}, {1}})
      .with({{"axis", 2}})
      .throws("axis 2 is outside [-2, 1]")
      .shapes({{1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}})
      .throws("the result would have rank 9, at most 8 is allowed");
}

const OpInfo& gather_info() {
  static const OpInfo info{
      .name = "gather",
      .group = OpGroup::selection,
      .arguments = {{.name = "x", .linear = true},
                    {.name = "index", .role = Role::index, .domain = Domain::indices_of(0, 0)}},
      .attributes = {{"axis"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            const AttributeValue* axis = a.find("axis");
            return gather(x[0], x[1], axis ? static_cast<int>(axis->as<std::int64_t>()) : 0);
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Shape& shape = x[0].shape();
            const Array<std::int64_t>& index = x.integers(1);
            const AttributeValue* given = a.find("axis");
            std::int64_t axis = given ? given->as<std::int64_t>() : 0;
            if (axis < 0) axis += shape.rank();
            Ints before, after;
            for (int i = 0; i < axis; ++i) before.push_back(shape[i]);
            for (int i = static_cast<int>(axis) + 1; i < shape.rank(); ++i) after.push_back(shape[i]);
            Ints extents = before;
            for (const std::int64_t extent : index.shape()) extents.push_back(extent);
            for (const std::int64_t extent : after) extents.push_back(extent);
            const std::int64_t inner = Shape(after).elements(), extent = shape[static_cast<int>(axis)];
            Array<T> y{Shape(extents)};
            for (std::int64_t k = 0; k < y.elements(); ++k) {
              const std::int64_t row = k / inner, outer = row / index.elements();
              y[k] = x[0][(outer * extent + index[row % index.elements()]) * inner + k % inner];
            }
            return y;
          },
      .samples = gather_samples(),
      .invariants = {Invariant::sum_is_kept},
  };
  return info;
}

}  // namespace weft
