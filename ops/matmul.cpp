// matmul(a, b): products of matrices, of stacks of them where there are axes in front, which are broadcast.
//   y = op(a) op(b)                        op transposes the last two axes where its flag is set
//   ga = gy op(b)^T, gb = op(a)^T gy       transposed where a or b is; the engine sums over what was
//   broadcast
// Keeps an operand where the other one is differentiable.
#include "kernels/matmul.hpp"

#include <fmt/format.h>

#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& matmul_info();

namespace {

struct Matmul final : Op {
  MatmulOptions options;
  explicit Matmul(const MatmulOptions& options) : options(options) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    const auto [ta, tb] = options;
    const Var a = gx.input(0), b = gx.input(1);
    if (gx.wants(0)) {
      gx.set(0, ta ? matmul(b, gy, {.transpose_a = tb, .transpose_b = true})
                   : matmul(gy, b, {.transpose_b = !tb}));
    }
    if (gx.wants(1)) {
      gx.set(1, tb ? matmul(gy, a, {.transpose_a = true, .transpose_b = ta})
                   : matmul(a, gy, {.transpose_a = !ta}));
    }
  }
  const OpInfo& info() const override { return matmul_info(); }
  double flops(std::span<const TensorType> x, const TensorType& y) const override {
    const std::int64_t inner = x[0].shape[options.transpose_a ? -2 : -1];
    return 2.0 * static_cast<double>(y.shape.elements()) * static_cast<double>(inner);
  }
  Attributes attributes() const override { return attributes_of(options); }
};

void require_matrices(const Var& a, const Var& b, const MatmulOptions& options, SourceLocation at) {
  require_floating("matmul", {"a", a}, at);
  require_same_dtype("matmul", {"a", a}, {"b", b}, at);
  if (a.rank() < 2 || b.rank() < 2)
    fail<ShapeError>("matmul", "needs two axes at least", {{"a", a}, {"b", b}}, at);
  const std::int64_t columns = a.extent(options.transpose_a ? -2 : -1),
                     rows = b.extent(options.transpose_b ? -1 : -2);
  if (columns != rows) {
    const auto view = [](bool transposed) { return transposed ? " transposed" : ""; };
    fail<ShapeError>("matmul",
                     fmt::format("a{} has {} columns but b{} has {} rows", view(options.transpose_a), columns,
                                 view(options.transpose_b), rows),
                     {{"a", a}, {"b", b}}, at);
  }
  if (a.rank() == 2 && b.rank() == 2) return;
  const Shape a_batch = a.shape().without(-1).without(-1), b_batch = b.shape().without(-1).without(-1);
  if (!broadcastable(a_batch, b_batch)) {
    fail<ShapeError>(
        "matmul",
        fmt::format("the axes in front, {} and {}, do not broadcast", to_string(a_batch), to_string(b_batch)),
        {{"a", a}, {"b", b}}, at);
  }
}

Samples matmul_samples() {
  return samples()
      .shapes({{2, 3}, {3, 5}})
      .shapes({{3, 2}, {3, 5}})
      .with({{"transpose_a", true}})
      .shapes({{2, 3}, {5, 3}})
      .with({{"transpose_b", true}})
      .shapes({{3, 2}, {5, 3}})
      .with({{"transpose_a", true}, {"transpose_b", true}})
      .shapes({{3, 3}, {3, 3}})
      .grid({{"transpose_a", {false, true}}, {"transpose_b", {false, true}}})
      .shapes({{2, 3, 5}, {5, 2}})
      .shapes({{2, 5, 3}, {2, 5}})
      .with({{"transpose_a", true}, {"transpose_b", true}})
      .shapes({{3, 5}, {2, 5, 2}})
      .shapes({{2, 3, 5}, {2, 5, 2}})
      .shapes({{2, 1, 3, 2}, {3, 2, 1}})
      .shapes({{3, 1, 1, 2}, {1, 2, 2, 3}})
      .shapes({{1, 2, 3, 2}, {2, 3, 2}})
      .with({{"transpose_a", true}})
      .shapes({{1, 7}, {7, 1}})
      .shapes({{1, 1}, {1, 1}})
      .shapes({{2, 17}, {17, 3}})
      .shapes({{2, 3}, {3, 33}})
      .shapes({{0, 3}, {3, 5}})
      .shapes({{2, 0}, {0, 5}})
      .shapes({{0, 2, 3}, {3, 5}})
      .shapes({{3, 5}, {5, 2}})
      .pattern(Pattern::large)
      .shapes({{3, 5}, {5, 2}})
      .pattern(Pattern::special)
      .throws({{2, 3}, {4, 5}}, "a has 3 columns but b has 4 rows")
      .throws({{2, 3}, {3, 5}}, "a transposed has 2 columns but b has 3 rows")
      .with({{"transpose_a", true}})
      .throws({{3}, {3, 5}}, "needs two axes at least")
      .throws({{2, 3, 4}, {3, 4, 2}}, "the axes in front, [2] and [3], do not broadcast");
}

}  // namespace

Var matmul(const Var& a, const Var& b, const MatmulOptions& options, SourceLocation at) {
  require_matrices(a, b, options, at);
  const Saved saved{.operands =
                        (is_differentiable(b) ? operand(0) : 0) | (is_differentiable(a) ? operand(1) : 0)};
  return record(Matmul(options), matmul_kernel(a.value(), b.value(), options), {a, b}, saved, at);
}

const OpInfo& matmul_info() {
  static const OpInfo info{
      .name = "matmul",
      .group = OpGroup::contraction,
      .arguments = {{.name = "a", .linear = true}, {.name = "b", .linear = true}},
      .attributes = {{"transpose_a"}, {"transpose_b"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return matmul(x[0], x[1], options_of<MatmulOptions>(a)); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& attributes) {
            const auto options = options_of<MatmulOptions>(attributes);
            const bool ta = options.transpose_a, tb = options.transpose_b;
            const Array<T>&a = x[0], &b = x[1];
            Array<T> y(matmul_shape(a.shape(), b.shape(), options));
            const std::int64_t m = y.shape()[-2], n = y.shape()[-1], inner = a.shape()[ta ? -2 : -1];
            const Ints a_strides = broadcast_strides(a.shape().with(-2, 1).with(-1, 1), y.shape());
            const Ints b_strides = broadcast_strides(b.shape().with(-2, 1).with(-1, 1), y.shape());
            for_each_index(y.shape(), [&](const Ints& index) {
              const std::int64_t i = index[index.size() - 2], j = index[index.size() - 1];
              std::int64_t a_begin = 0, b_begin = 0;  // of the matrices that belong to this index
              for (int axis = 0; axis < index.size(); ++axis) {
                a_begin += index[axis] * a_strides[axis] * m * inner;
                b_begin += index[axis] * b_strides[axis] * inner * n;
              }
              for (std::int64_t k = 0; k < inner; ++k) {
                y.at(index) += a[a_begin + (ta ? k * m + i : i * inner + k)] *
                               b[b_begin + (tb ? j * inner + k : k * n + j)];
              }
            });
            return y;
          },
      .samples = matmul_samples(),
  };
  return info;
}

}  // namespace weft
