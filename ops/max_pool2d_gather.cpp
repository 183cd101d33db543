// max_pool2d_gather(x, index): x where the maxima of another image were; the gradient of max_pool2d_scatter.
//   y[n, i, j, k] = x[n, index[n, i, j, k], k]        rows and columns counted as one axis
//   gx = max_pool2d_scatter(gy, index)                no gradient for index
// Keeps index.
#include "kernels/pooling.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& max_pool2d_gather_info();

namespace {

struct MaxPool2dGather final : Op {
  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    gx.set(0, max_pool2d_scatter(gy, gx.input(1), gx.shape(0)));
  }
  const OpInfo& info() const override { return max_pool2d_gather_info(); }
};

// Positions below `bound`, some of them equal.
std::vector<double> positions(int count, int bound) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(i * (i + 2) % bound);
  return values;
}

Samples max_pool2d_gather_samples() {
  return samples()
      .shapes({{2, 5, 4, 3}, {2, 3, 2, 3}})
      .values(1, positions(36, 20))
      .shapes({{2, 2, 3, 2}, {2, 3, 5, 2}})  // larger than what it reads
      .values(1, positions(60, 6))
      .shapes({{1, 2, 3, 17}, {1, 2, 1, 17}})
      .values(1, positions(34, 6))
      .shapes({{0, 5, 4, 3}, {0, 3, 2, 3}})
      .values(1, {})
      .shapes({{2, 3, 4, 3}, {2, 1, 2, 3}})
      .values(1, positions(12, 12))
      .pattern(Pattern::special)
      .throws({{2, 3, 4, 3}, {2, 3, 2, 3}}, "index 15 lies outside an image of 3 x 4")
      .values(1, positions(36, 20))
      .throws({{2, 5, 4, 2}, {2, 3, 2, 3}}, "index [2, 3, 2, 3] does not belong to images [2, 5, 4, 2]")
      .values(1, positions(36, 20));
}

}  // namespace

Var max_pool2d_gather(const Var& x, const Var& index, SourceLocation at) {
  constexpr std::string_view name = "max_pool2d_gather";
  require_floating(name, {"x", x}, at);
  if (index.dtype() != DType::i32)
    fail<DTypeError>(name, "index must be i32", {{"x", x}, {"index", index}}, at);
  const std::string problem = positions_problem(index.shape(), x.shape());
  if (!problem.empty()) fail<ShapeError>(name, problem, {{"x", x}, {"index", index}}, at);
  const std::string outside = range_problem(index.value(), x.shape());
  if (!outside.empty()) fail<Error>(name, outside, {{"x", x}, {"index", index}}, at);
  return record(MaxPool2dGather{}, gather_by_position(x.value(), index.value()), {x, index},
                {.operands = operand(1)}, at);
}

const OpInfo& max_pool2d_gather_info() {
  static const OpInfo info{
      .name = "max_pool2d_gather",
      .group = OpGroup::selection,
      .arguments = {{.name = "x", .linear = true},
                    {.name = "index", .role = Role::index, .dtype = DType::i32}},
      .call = [](std::span<const Var> x, const Attributes&) { return max_pool2d_gather(x[0], x[1]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            const Array<std::int64_t>& index = x.integers(1);
            Array<T> y(index.shape());
            for_each_index(index.shape(), [&](const Ints& o) {
              const std::int64_t position = index.at(o), width = x[0].extent(2);
              y.at(o) = x[0](o[0], position / width, position % width, o[3]);
            });
            return y;
          },
      .samples = max_pool2d_gather_samples(),
  };
  return info;
}

}  // namespace weft
