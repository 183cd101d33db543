// scatter_add(gy, index, count, axis): zeros, with extent `count` along `axis`, to which gy's slices are
// added at the positions that the index holds; the index's axes in gy begin at `axis`. The gradient of
// gather.
//   g_(o, j, r) = sum of gy_(o, i, r) over the positions i with index_i = j
//   ggy = gather(gg, index)
// The index gets no gradient. Keeps the index.
#include <fmt/format.h>

#include "kernels/indexed.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& scatter_add_info();

namespace {

struct ScatterAdd final : Op {
  std::int64_t count;
  int axis;
  ScatterAdd(std::int64_t count, int axis) : count(count), axis(axis) {}

  void backward(const Var&, const Var& gg, Gradients& gx) const override {
    gx.set(0, gather(gg, gx.input(1), axis));
  }
  const OpInfo& info() const override { return scatter_add_info(); }
  Attributes attributes() const override { return {{"count", count}, {"axis", axis}}; }
};

bool has_index_axes(const Shape& gy, const Shape& index, int axis) {
  for (int i = 0; i < index.rank(); ++i) {
    if (gy[axis + i] != index[i]) return false;
  }
  return true;
}

}  // namespace

Var scatter_add(const Var& gy, const Var& index, std::int64_t count, int axis, SourceLocation at) {
  require_floating("scatter_add", {"gy", gy}, at);
  const auto refuse = [&](const std::string& problem) {
    fail<ShapeError>("scatter_add", problem, {{"gy", gy}, {"index", index}}, at);
  };
  const int rank = gy.rank() - index.rank() + 1;
  if (rank < 1) refuse("gy has fewer axes than index");
  if (rank > Shape::max_rank)
    refuse(fmt::format("the result would have rank {}, at most 8 is allowed", rank));
  if (count < 0) refuse(fmt::format("count is {}: it must be at least 0", count));
  const int normal = normalize_axis("scatter_add", axis, rank);
  if (!has_index_axes(gy.shape(), index.shape(), normal)) {
    refuse(fmt::format("gy's axes from {} on are not those of index", normal));
  }
  require_indices("scatter_add", {"index", index}, count, at);
  Ints extents;
  for (int i = 0; i < gy.rank(); ++i) {
    if (i == normal) extents.push_back(count);
    if (i < normal || i >= normal + index.rank()) extents.push_back(gy.extent(i));
  }
  if (normal == gy.rank()) extents.push_back(count);
  const Tensor g = scatter_add_slices(gy.value(), index.value(), normal, Shape(extents));
  return record(ScatterAdd(count, normal), g, {gy, index}, {.operands = operand(1)}, at);
}

static Samples scatter_add_samples() {
  return samples()
      .shapes({{7, 3}, {7}})
      .with({{"count", 5}})
      .values(1, {4, 0, 4, 1, 2, 0, 4})
      .shapes({{2, 4, 3}, {2, 4}})
      .with({{"count", 7}})
      .values(1, {6, 2, 0, 2, 5, 2, 1, 6})
      .shapes({{3, 4, 7}, {4}})
      .with({{"count", 5}, {"axis", 1}})
      .values(1, {4, 0, 4, 1})
      .shapes({{3, 5, 2, 3}, {2, 3}})
      .with({{"count", 7}, {"axis", -1}})
      .values(1, {6, 2, 2, 0, 6, 5})
      .shapes({{3}, {}})
      .with({{"count", 2}})
      .values(1, {1})
      .shapes({{3}, {}})
      .with({{"count", 2}, {"axis", 1}})
      .values(1, {1})
      .shapes({{5, 17}, {5}})
      .with({{"count", 2}})
      .values(1, {1, 1, 0, 1, 1})
      .shapes({{0, 3}, {0}})
      .with({{"count", 2}})
      .shapes({{2, 0}, {2}})
      .with({{"count", 3}})
      .values(1, {1, 1})
      .shapes({{7}, {7}})
      .with({{"count", 3}})
      .values(1, {0, 1, 1, 2, 2, 2, 1})
      .pattern(Pattern::special)
      .shapes({{3, 2}, {3}})
      .with({{"count", 4}})
      .values(1, {0, 4, 1})
      .throws("index 4 at (1) is outside [0, 4)")
      .shapes({{3, 2}, {2}})
      .with({{"count", 4}})
      .values(1, {0, 1})
      .throws("gy's axes from 0 on are not those of index")
      .shapes({{3}, {1, 1, 1}})
      .with({{"count", 4}})
      .values(1, {0})
      .throws("gy has fewer axes than index")
      .shapes({{3, 2}, {3}})
      .with({{"count", -1}})
      .values(1, {0, 0, 0})
      .throws("count is -1");
}

const OpInfo& scatter_add_info() {
  static const OpInfo info{
      .name = "scatter_add",
      .group = OpGroup::selection,
      .arguments = {{.name = "gy", .linear = true}, {.name = "index", .role = Role::index}},
      .attributes = {{"count"}, {"axis"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            const AttributeValue* axis = a.find("axis");
            return scatter_add(x[0], x[1], a.find("count")->as<std::int64_t>(),
                               axis ? static_cast<int>(axis->as<std::int64_t>()) : 0);
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Shape& shape = x[0].shape();
            const Array<std::int64_t>& index = x.integers(1);
            const std::int64_t count = a.find("count")->as<std::int64_t>();
            const AttributeValue* given = a.find("axis");
            std::int64_t axis = given ? given->as<std::int64_t>() : 0;
            if (axis < 0) axis += shape.rank() - index.shape().rank() + 1;
            const int first_after = static_cast<int>(axis) + index.shape().rank();
            Ints extents;
            for (int i = 0; i < axis; ++i) extents.push_back(shape[i]);
            extents.push_back(count);
            std::int64_t inner = 1;
            for (int i = first_after; i < shape.rank(); ++i) {
              extents.push_back(shape[i]);
              inner *= shape[i];
            }
            Array<T> g{Shape(extents)};
            for (std::int64_t k = 0; k < x[0].elements(); ++k) {
              const std::int64_t row = k / inner, outer = row / index.elements();
              g[(outer * count + index[row % index.elements()]) * inner + k % inner] += x[0][k];
            }
            return g;
          },
      .samples = scatter_add_samples(),
  };
  return info;
}

}  // namespace weft
