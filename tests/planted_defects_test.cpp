// The six defects of the seed article (conv_forward's bias, the strides of conv_backward and pool_backward,
// the mask of all ties, the slice [pad:-pad], the extent rounded towards zero), each planted in an op and
// caught by the op's own samples.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "weft/gradcheck.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

using namespace weft;

namespace weft {
const OpInfo& conv2d_info();
const OpInfo& pool2d_info();
const OpInfo& pad_info();
}  // namespace weft

namespace {

// Elements of an image [n, h, w, c], 0 outside.
double pixel(const Tensor& x, std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
  const bool inside = h >= 0 && h < x.extent(1) && w >= 0 && w < x.extent(2);
  return inside ? x.at({n, h, w, c}) : 0;
}

void add_pixel(Tensor& x, std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, double value) {
  if (h < 0 || h >= x.extent(1) || w < 0 || w >= x.extent(2)) return;
  x.mutable_values<double>()[static_cast<std::size_t>(
      ((n * x.extent(1) + h) * x.extent(2) + w) * x.extent(3) + c)] += value;
}

// Padding in front, of `same` by its definition.
std::int64_t front(std::int64_t given, bool is_same, std::int64_t extent, std::int64_t window,
                   std::int64_t stride) {
  if (!is_same) return given;
  return std::max<std::int64_t>((extent + stride - 1) / stride * stride - stride + window - extent, 0) / 2;
}

// The article's conv_backward for dA: what stride and dilation say, but that positions are not multiplied by
// the stride.
void conv_backward_without_stride(const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
  const auto o = options_of<Conv2dOptions>(a);
  const Tensor x = gx.input(0).value(), w = gx.input(1).value(), g = gy.value();
  const bool is_same = o.padding.kind == Padding::Kind::same;
  const std::int64_t top =
      front(o.padding.top, is_same, x.extent(1), (w.extent(0) - 1) * o.dilation.h + 1, o.stride.h);
  const std::int64_t left =
      front(o.padding.left, is_same, x.extent(2), (w.extent(1) - 1) * o.dilation.w + 1, o.stride.w);
  const std::int64_t group_in = w.extent(2), group_out = w.extent(3) / o.groups;
  Tensor ga = Tensor::zeros(x.shape(), DType::f64), gw = Tensor::zeros(w.shape(), DType::f64);
  for_each_index(g.shape(), [&](const Ints& at) {
    for_each_index(w.shape().with(3, 1), [&](const Ints& tap) {
      const std::int64_t h = at[1] + tap[0] * o.dilation.h - top, v = at[2] + tap[1] * o.dilation.w - left;
      const std::int64_t c = at[3] / group_out * group_in + tap[2];
      add_pixel(ga, at[0], h, v, c, g.at(at) * w.at({tap[0], tap[1], tap[2], at[3]}));
      const Shape& s = w.shape();
      gw.mutable_values<double>()[static_cast<std::size_t>(((tap[0] * s[1] + tap[1]) * s[2] + tap[2]) * s[3] +
                                                           at[3])] += g.at(at) * pixel(x, at[0], h, v, c);
    });
  });
  if (gx.wants(0)) gx.set(0, ga);
  if (gx.wants(1)) gx.set(1, gw);
  if (gx.operand_count() > 2 && gx.wants(2)) gx.set(2, sum(gy, {.axes = {0, 1, 2}}));
}

enum class PoolDefect { stride_ignored, all_ties };

// The article's pool_backward.
Rule pool_backward(PoolDefect defect) {
  return [defect](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    const auto o = options_of<Pool2dOptions>(a);
    const Tensor x = gx.input(0).value(), g = gy.value();
    const Size2 stride = o.stride.value_or(o.window),
                step = defect == PoolDefect::stride_ignored ? Size2(1) : stride;
    const bool is_same = o.padding.kind == Padding::Kind::same;
    const std::int64_t top = front(o.padding.top, is_same, x.extent(1), o.window.h, stride.h);
    const std::int64_t left = front(o.padding.left, is_same, x.extent(2), o.window.w, stride.w);
    Tensor ga = Tensor::zeros(x.shape(), DType::f64);
    for_each_index(g.shape(), [&](const Ints& at) {
      const std::int64_t h0 = at[1] * step.h - top, w0 = at[2] * step.w - left;
      std::vector<std::pair<std::int64_t, std::int64_t>> taps, winners;
      for (std::int64_t h = std::max<std::int64_t>(h0, 0); h < std::min(h0 + o.window.h, x.extent(1)); ++h) {
        for (std::int64_t w = std::max<std::int64_t>(w0, 0); w < std::min(w0 + o.window.w, x.extent(2));
             ++w) {
          taps.emplace_back(h, w);
        }
      }
      if (o.kind == PoolKind::average) {
        const double share = o.include_padding ? static_cast<double>(o.window.h * o.window.w)
                                               : static_cast<double>(taps.size());
        for (const auto& [h, w] : taps) add_pixel(ga, at[0], h, w, at[3], g.at(at) / share);
        return;
      }
      double best = -INFINITY;
      for (const auto& [h, w] : taps) best = std::max(best, pixel(x, at[0], h, w, at[3]));
      for (const auto& [h, w] : taps) {
        if (pixel(x, at[0], h, w, at[3]) == best) winners.emplace_back(h, w);
      }
      if (defect != PoolDefect::all_ties && winners.size() > 1) winners.resize(1);
      for (const auto& [h, w] : winners) add_pixel(ga, at[0], h, w, at[3], g.at(at));
    });
    gx.set(0, ga);
  };
}

// Whether one of the op's own samples gives `disagree` in that check of that argument's gradient.
bool is_caught(const OpInfo& planted, std::string_view check, std::string_view argument) {
  return std::ranges::any_of(planted.samples.list(), [&](const Sample& sample) {
    const GradcheckReport report = check_op(planted, sample);
    return std::ranges::any_of(report.findings, [&](const Finding& finding) {
      return finding.verdict == Verdict::disagree && finding.op == planted.name && finding.check == check &&
             finding.argument == argument;
    });
  });
}

}  // namespace

TEST_CASE("defect 1: a bias that counts once for each product is caught", "[defects]") {
  const OpInfo planted = with_forward(conv2d_info(), [](std::span<const Tensor> x, const Attributes& a) {
    const auto options = options_of<Conv2dOptions>(a);
    if (x.size() < 3) return conv2d(x[0], x[1], options).value();
    const auto products = static_cast<double>(x[1].extent(0) * x[1].extent(1) * x[1].extent(2));
    return conv2d(x[0], x[1], scale(x[2], products), options).value();
  });
  CHECK(is_caught(planted, "value", ""));
  CHECK(is_caught(planted, "difference", "b"));
}

TEST_CASE("defect 2: a convolution's gradient that ignores the stride is caught", "[defects]") {
  const OpInfo planted = with_rule(conv2d_info(), conv_backward_without_stride);
  CHECK(is_caught(planted, "dual", "x"));
  CHECK(is_caught(planted, "dual", "w"));
}

TEST_CASE("defect 3: a pooling's gradient that ignores the stride is caught", "[defects]") {
  CHECK(is_caught(with_rule(pool2d_info(), pool_backward(PoolDefect::stride_ignored)), "dual", "x"));
}

TEST_CASE("defect 4: a maximum that gives its gradient to every tie is caught", "[defects]") {
  CHECK(is_caught(with_rule(pool2d_info(), pool_backward(PoolDefect::all_ties)), "dual", "x"));
}

TEST_CASE("defect 5: the slice [p:-p], which is empty for p = 0, is caught", "[defects]") {
  const OpInfo planted =
      with_rule(pad_info(), [](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
        const auto options = options_of<PadOptions>(a);
        SliceOptions inner;
        for (int axis = 0; axis < gy.rank(); ++axis) {
          const std::int64_t p = axis < options.before.size() ? options.before[axis] : 0;
          inner.begin.push_back(p);
          inner.size.push_back(p == 0 ? 0 : gx.shape(0)[axis]);
        }
        gx.set(0, slice(gy, inner));
      });
  CHECK(is_caught(planted, "backward", "x"));
}

TEST_CASE("defect 6: an extent rounded towards zero, which accepts too large a window, is caught",
          "[defects]") {
  const auto accept = [](std::span<const Tensor> x, const Attributes&) {
    return Tensor::zeros(x[0].shape(), DType::f64);
  };
  for (const OpInfo* info : {&conv2d_info(), &pool2d_info()}) {
    const OpInfo planted = with_forward(*info, accept);
    const GradcheckReport report = check_op(planted);
    const bool caught = std::ranges::any_of(report.findings, [](const Finding& finding) {
      return finding.check == "throws" && finding.verdict == Verdict::disagree &&
             finding.summary.find("larger than") != std::string::npos;
    });
    CHECK(caught);
  }
}
