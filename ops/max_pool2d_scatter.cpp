// max_pool2d_scatter(gy, index): max pooling's gradient, which adds gy where the maxima were.
//   gx[n, index[n, i, j, k], k] = sum of gy[n, i, j, k], 0 elsewhere        rows and columns counted as one
//   axis ggy = max_pool2d_gather(gg, index)                                      no gradient for index
// Keeps index.
#include "kernels/pooling.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& max_pool2d_scatter_info();

namespace {

struct MaxPool2dScatter final : Op {
  Shape x_shape;
  explicit MaxPool2dScatter(const Shape& x_shape) : x_shape(x_shape) {}

  void backward(const Var&, const Var& gg, Gradients& gx) const override {
    gx.set(0, max_pool2d_gather(gg, gx.input(1)));
  }
  const OpInfo& info() const override { return max_pool2d_scatter_info(); }
  Attributes attributes() const override { return {{"x_shape", x_shape.extents()}}; }
};

// Positions below `bound`, some of them equal.
std::vector<double> positions(int count, int bound) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(i * (i + 2) % bound);
  return values;
}

Samples max_pool2d_scatter_samples() {
  return samples()
      .shapes({{2, 3, 2, 3}, {2, 3, 2, 3}})
      .with({{"x_shape", {2, 5, 4, 3}}})
      .values(1, positions(36, 20))
      .shapes({{2, 3, 5, 2}, {2, 3, 5, 2}})  // smaller than what is added to it
      .with({{"x_shape", {2, 2, 3, 2}}})
      .values(1, positions(60, 6))
      .shapes({{1, 2, 1, 17}, {1, 2, 1, 17}})
      .with({{"x_shape", {1, 2, 3, 17}}})
      .values(1, positions(34, 6))
      .shapes({{0, 3, 2, 3}, {0, 3, 2, 3}})
      .with({{"x_shape", {0, 5, 4, 3}}})
      .values(1, {})
      .shapes({{2, 1, 2, 3}, {2, 1, 2, 3}})
      .with({{"x_shape", {2, 3, 4, 3}}})
      .values(1, positions(12, 12))
      .pattern(Pattern::special)
      .throws({{2, 3, 2, 3}, {2, 3, 2, 3}}, "index 15 lies outside an image of 3 x 4")
      .with({{"x_shape", {2, 3, 4, 3}}})
      .values(1, positions(36, 20))
      .throws({{2, 3, 2, 3}, {2, 3, 2, 3}}, "index [2, 3, 2, 3] does not belong to images [2, 5, 4, 2]")
      .with({{"x_shape", {2, 5, 4, 2}}})
      .values(1, positions(36, 20))
      .throws({{2, 3, 2, 3}, {2, 2, 3, 3}}, "gy and index differ in shape")
      .with({{"x_shape", {2, 5, 4, 3}}})
      .values(1, positions(36, 20));
}

}  // namespace

Var max_pool2d_scatter(const Var& gy, const Var& index, const Shape& x_shape, SourceLocation at) {
  constexpr std::string_view name = "max_pool2d_scatter";
  require_floating(name, {"gy", gy}, at);
  if (index.dtype() != DType::i32)
    fail<DTypeError>(name, "index must be i32", {{"gy", gy}, {"index", index}}, at);
  if (gy.shape() != index.shape()) {
    fail<ShapeError>(name, "gy and index differ in shape", {{"gy", gy}, {"index", index}}, at);
  }
  const std::string problem = positions_problem(index.shape(), x_shape);
  if (!problem.empty()) fail<ShapeError>(name, problem, {{"gy", gy}, {"index", index}}, at);
  const std::string outside = range_problem(index.value(), x_shape);
  if (!outside.empty()) fail<Error>(name, outside, {{"gy", gy}, {"index", index}}, at);
  return record(MaxPool2dScatter(x_shape), scatter_by_position(gy.value(), index.value(), x_shape),
                {gy, index}, {.operands = operand(1)}, at);
}

const OpInfo& max_pool2d_scatter_info() {
  static const OpInfo info{
      .name = "max_pool2d_scatter",
      .group = OpGroup::selection,
      .arguments = {{.name = "gy", .linear = true},
                    {.name = "index", .role = Role::index, .dtype = DType::i32}},
      .attributes = {{"x_shape"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return max_pool2d_scatter(x[0], x[1], Shape(a.find("x_shape")->as<Ints>()));
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Shape x_shape(a.find("x_shape")->as<Ints>());
            Array<T> gx(x_shape);
            for_each_index(x[0].shape(), [&](const Ints& o) {
              const std::int64_t position = x.integers(1).at(o);
              gx(o[0], position / x_shape[2], position % x_shape[2], o[3]) += x[0].at(o);
            });
            return gx;
          },
      .samples = max_pool2d_scatter_samples(),
  };
  return info;
}

}  // namespace weft
