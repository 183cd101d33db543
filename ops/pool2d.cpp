// pool2d(x): the largest element, or the average, of each window.
//   max      y_o = x_i(o), i(o) the first largest of window o, row by row; NaN is larger than all
//            gx_i = sum of gy_o over the windows that i wins: max_pool2d_scatter(gy, i)
//   average  y_o = sum over window o of x_i / d(o)      d: its elements, with include_padding the padded ones
//   too
//            gx_i = sum of gy_o / d(o) over the windows that hold i: average_pool2d_gradient(gy)
// Keeps maxima and their positions, and nothing of an average.
#include "kernels/pooling.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& pool2d_info();

namespace {

struct Pool2d final : Op {
  Pool2dOptions options;
  explicit Pool2d(const Pool2dOptions& options) : options(options) {}

  void backward(const Var& y, const Var& gy, Gradients& gx) const override {
    if (options.kind == PoolKind::max && gx.takes_scattered(0))
      gx.set_scattered(0, {gy.value(), gx.extra().value(), y.value()});
    else if (options.kind == PoolKind::max)
      gx.set(0, max_pool2d_scatter(gy, gx.extra(), gx.shape(0)));
    else
      gx.set(0, average_pool2d_gradient(gy, gx.shape(0), options));
  }
  const OpInfo& info() const override { return pool2d_info(); }
  double flops(std::span<const TensorType>, const TensorType& y) const override {
    const std::int64_t window =
        options.window.h * options.window.w;  // n - 1 steps, and an average's division
    return static_cast<double>(y.shape.elements() * (options.kind == PoolKind::max ? window - 1 : window));
  }
  Attributes attributes() const override { return attributes_of(options); }
};

bool needs_positions(const Var& x) { return is_differentiable(x) && x.graph()->is_recording(); }

Samples pool2d_samples() {
  return samples()
      .shapes({{2, 7, 5, 3}})
      .grid({{"kind", {"max", "average"}}, {"padding", {{0, 0, 0, 0}, {1, 0, 0, 2}, {0, 1, 1, 0}, "same"}}})
      .with({{"window", {2, 3}}, {"stride", {3, 2}}})
      .shapes({{2, 5, 7, 2}})
      .grid({{"kind", {"max", "average"}}, {"include_padding", {false, true}}})
      .with({{"window", {3, 4}}, {"stride", {2, 3}}, {"padding", {2, 1, 1, 3}}})
      .shapes({{2, 4, 5, 2}})  // windows overlap
      .grid({{"kind", {"max", "average"}}})
      .with({{"window", {3, 2}}, {"stride", {1, 1}}})
      .shapes({{2, 7, 8, 2}})  // steps over elements
      .grid({{"kind", {"max", "average"}}})
      .with({{"window", {2, 1}}, {"stride", {3, 4}}})
      .shapes({{2, 3, 4, 2}})  // the window is the image
      .grid({{"kind", {"max", "average"}}})
      .with({{"window", {3, 4}}, {"stride", {2, 5}}})
      .shapes({{2, 6, 4, 1}})
      .grid({{"kind", {"max", "average"}}})
      .with({{"window", {1, 1}}, {"stride", {1, 1}}})
      .shapes({{2, 4, 6, 3}})
      .shapes({{1, 3, 4, 16}})
      .grid({{"kind", {"max", "average"}}})
      .with({{"window", {2, 2}}, {"stride", {1, 2}}})
      .shapes({{1, 2, 3, 17}})
      .grid({{"kind", {"max", "average"}}})
      .with({{"window", {2, 2}}, {"stride", {2, 1}}})
      .shapes({{1, 2, 3, 33}})
      .with({{"window", {2, 2}}, {"stride", {1, 1}}})
      .shapes({{1, 1, 1, 1}})
      .with({{"window", {3, 2}}, {"padding", "same"}});
}

// Distinct values 2^-11 apart: what is nearly the largest must not be taken for it.
std::vector<double> close_values(int count) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(0.5 + (7 * i + 3) % count * 0x1p-11);
  return values;
}

Samples with_patterns(Samples s) {
  return std::move(s)
      .shapes({{1, 6, 5, 2}})
      .with({{"window", {3, 2}}, {"stride", {1, 2}}})
      .values(0, close_values(60))
      .shapes({{2, 5, 4, 3}})
      .with({{"window", {2, 3}}, {"stride", {1, 1}}})
      .pattern(Pattern::ties)
      .shapes({{1, 5, 4, 2}})
      .with({{"window", {3, 2}}, {"stride", {2, 1}}, {"padding", {1, 1, 0, 1}}})
      .pattern(Pattern::all_equal)
      .shapes({{2, 4, 5, 2}})
      .with({{"window", {2, 2}}, {"stride", {1, 2}}, {"padding", "same"}})
      .pattern(Pattern::negative)
      .shapes({{1, 5, 4, 3}})
      .grid({{"kind", {"max", "average"}}})
      .with({{"window", {2, 2}}, {"stride", {1, 1}}})
      .pattern(Pattern::special)
      .shapes({{1, 5, 4, 3}})
      .grid({{"kind", {"max", "average"}}})
      .pattern(Pattern::large)
      .shapes({{0, 5, 4, 3}})
      .grid({{"kind", {"max", "average"}}})
      .shapes({{2, 5, 4, 0}})
      .grid({{"kind", {"max", "average"}}})
      .throws({{5, 4, 3}}, "x must have rank 4, found 3")
      .throws({{2, 5, 4, 3}}, "the window's height 7 is larger than the padded image's 6 (5 + 1)")
      .with({{"window", {7, 2}}, {"padding", {1, 0, 1, 0}}})
      .throws({{2, 5, 4, 3}}, "padding (2, 0, 0, 0) leaves a window of (2, 2) without an element")
      .with({{"padding", {2, 0, 0, 0}}})
      .throws({{2, 5, 4, 3}}, "padding (0, 0, 0, 2) leaves a window of (2, 2) without an element")
      .with({{"padding", {0, 0, 0, 2}}})
      .throws({{2, 0, 4, 3}}, "padding (1, 1, 0, 0) leaves a window of (2, 2) without an element")
      .with({{"padding", {1, 1, 0, 0}}})
      .throws({{2, 5, 4, 3}}, "stride (0, 1) must be between 1 and 2^31 - 1")
      .with({{"stride", {0, 1}}})
      .throws({{2, 5, 4, 3}}, "a window of (2, 0) must be between 1 and 2^31 - 1")
      .with({{"window", {2, 0}}})
      .throws({{0, 65536, 65536, 1}}, "an image has more than 2^31 - 1 positions");
}

}  // namespace

Var pool2d(const Var& x, const Pool2dOptions& options, SourceLocation at) {
  require_floating("pool2d", {"x", x}, at);
  const std::string problem = pooling_problem(x.shape(), options);
  if (!problem.empty()) fail<ShapeError>("pool2d", problem, {{"x", x}}, at);
  const Pooling p = make_pooling(x.shape(), options);
  if (options.kind == PoolKind::average)
    return record(Pool2d(options), average_pool(p, x.value()), {x}, {}, at);
  Tensor index;
  Tensor y = max_pool(p, x.value(), needs_positions(x) ? &index : nullptr);
  return record(Pool2d(options), std::move(y), {x}, {.output = true, .extra = index}, at);
}

const OpInfo& pool2d_info() {
  static const OpInfo info{
      .name = "pool2d",
      .group = OpGroup::reduction,
      .arguments = {{"x"}},
      .attributes = {{"kind"}, {"window"}, {"stride"}, {"padding"}, {"include_padding"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return pool2d(x[0], options_of<Pool2dOptions>(a)); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const auto options = options_of<Pool2dOptions>(a);
            const Pooling p = make_pooling(x[0].shape(), options);
            const std::int64_t padded = p.window.h.taps * p.window.w.taps;
            Array<T> y(p.y_shape());
            Array<std::int64_t> seen(p.y_shape(), 0);
            for_each_tap(p, [&](std::int64_t i, std::int64_t o) {
              const T& v = x[0][i];
              if (options.kind == PoolKind::average)
                y[o] += v;
              else if (seen[o] == 0 || v > y[o])
                y[o] = v;
              else if (!(v <= y[o]))
                y[o] += v;  // one of the two is NaN, and so is the sum
              ++seen[o];
            });
            for (std::int64_t o = 0; options.kind == PoolKind::average && o < y.elements(); ++o) {
              y[o] /= T(static_cast<double>(options.include_padding ? padded : seen[o]));
            }
            return y;
          },
      .samples = with_patterns(pool2d_samples()),
      .ties = TiePolicy::first,
      .invariants = {Invariant::batch_equivariant},
  };
  return info;
}

}  // namespace weft
