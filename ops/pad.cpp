// pad(x, {before, after, mode, value}): elements added around x along any axes.
//   y_i = x_(i - before) inside; outside, by mode,
//         constant: value    reflect: x mirrored at its edge element    replicate: the edge element
//   gx  = unpad(gy)                          every element of gy added where y was taken from
// Any element type. Corners are padded axis by axis, as in NumPy.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "kernels/indexed.hpp"
#include "kernels/padding.hpp"
#include "kernels/surround.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& pad_info();

namespace {

struct Pad final : Op {
  PadOptions options;  // resolved: every axis
  explicit Pad(const PadOptions& options) : options(options) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    gx.set(0, unpad(gy, gx.shape(0), options));
  }
  const OpInfo& info() const override { return pad_info(); }
  Attributes attributes() const override { return attributes_of(options); }
};

bool holds(DType dtype, double value) {
  if (is_floating(dtype)) return true;
  return visit_dtype(dtype, [&]<class T>() {
    const auto low = static_cast<double>(std::numeric_limits<T>::lowest());
    const auto high = static_cast<double>(std::numeric_limits<T>::max());
    return value >= low && value < high + 1 && value == std::floor(value);
  });
}

Tensor pad_from_inside(const Tensor& x, const PadOptions& options) {
  Tensor y = x;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (options.before[axis] == 0 && options.after[axis] == 0) continue;
    y = gather_slices(y, padding_sources(x.extent(axis), options, axis), axis);
  }
  return y;
}

}  // namespace

Var pad(const Var& x, const PadOptions& options, SourceLocation at) {
  const Pad op(resolve_padding("pad", x.shape(), options, {"x", x}, at));
  const bool constant = options.mode == PadMode::constant;
  if (constant && !holds(x.dtype(), options.value)) {
    fail<DTypeError>("pad", fmt::format("value {} is no {}", options.value, name(x.dtype())), {{"x", x}}, at);
  }
  const Tensor y =
      constant ? surround(x.value(), padded_shape(x.shape(), op.options), op.options.before, options.value)
               : pad_from_inside(x.value(), op.options);
  return record(op, y, {x}, {}, at);
}

static Samples pad_samples() {
  return samples()
      .shapes({{2, 5, 7, 3}})
      .with({{"before", {0, 2, 1}}, {"after", {0, 0, 3}}})
      .grid({{"mode", {"constant", "reflect", "replicate"}}, {"value", {0.0, -1.5}}})
      .shapes({{3, 4, 5}})
      .with({{"before", {2, 0, 4}}, {"after", {1, 3, 0}}, {"value", 0.25}})
      .grid({{"mode", {"constant", "reflect", "replicate"}}})
      .shapes({{4}})
      .with({{"after", {3}}})
      .grid({{"mode", {"constant", "reflect", "replicate"}}})
      .shapes({{1, 3}})
      .with({{"before", {7}}, {"after", {9, 1}}})
      .grid({{"mode", {"constant", "replicate"}}})
      .shapes({{3, 17}})
      .with({{"before", {1, 16}}, {"after", {0, 16}}, {"mode", "reflect"}})
      .shapes({{2, 3}})
      .shapes({{}})
      .shapes({{0, 2}})
      .with({{"before", {2, 1}}, {"value", 3.0}})
      .shapes({{0, 2}})
      .with({{"before", {0, 1}}})
      .grid({{"mode", {"reflect", "replicate"}}})
      .shapes({{7}})
      .with({{"before", {2}}})
      .pattern(Pattern::special)
      .shapes({{3, 5}})
      .with({{"before", {0, 5}}, {"mode", "reflect"}})
      .throws("axis 1 has 5 elements but reflect needs more than its padding of 5")
      .shapes({{0, 5}})
      .with({{"after", {1}}, {"mode", "replicate"}})
      .throws("axis 0 has no element to replicate")
      .shapes({{3, 5}})
      .with({{"before", {0, -1}}})
      .throws("before is -1 along axis 1")
      .shapes({{3, 5}})
      .with({{"after", {0, 0, 1}}})
      .throws("after names 3 axes but the shape [3, 5] has 2");
}

const OpInfo& pad_info() {
  static const OpInfo info{
      .name = "pad",
      .group = OpGroup::shape,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"before"}, {"after"}, {"mode"}, {"value"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return pad(x[0], options_of<PadOptions>(a)); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const auto options = options_of<PadOptions>(a);
            const auto entry = [](const Ints& of, int axis) { return axis < of.size() ? of[axis] : 0; };
            Ints extents = x[0].shape().extents();
            for (int axis = 0; axis < extents.size(); ++axis) {
              extents[axis] += entry(options.before, axis) + entry(options.after, axis);
            }
            Array<T> y{Shape(extents)};
            for_each_index(y.shape(), [&](const Ints& to) {
              Ints from = to;
              bool inside = true;
              for (int axis = 0; axis < to.size(); ++axis) {
                const std::int64_t last = x[0].extent(axis) - 1, i = to[axis] - entry(options.before, axis);
                const bool reflects = options.mode == PadMode::reflect;
                from[axis] = i < 0 ? (reflects ? -i : 0) : i > last ? (reflects ? 2 * last - i : last) : i;
                inside = inside && i >= 0 && i <= last;
              }
              const bool taken = inside || options.mode != PadMode::constant;
              y.at(to) = taken ? x[0].at(from) : T(options.value);
            });
            return y;
          },
      .samples = pad_samples(),
  };
  return info;
}

}  // namespace weft
