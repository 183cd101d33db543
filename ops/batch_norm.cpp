// batch_norm(x, gamma, beta): every channel (the last axis) gets mean 0 and deviation 1 over all else, then
// gamma's deviation and beta's mean.
//   n_i    = (x_i - m) / s      m and s^2 - epsilon: mean and biased variance of x_i's channel, of N elements
//   y_i    = gamma n_i + beta
//
//   gbeta  = sum_i gy_i
//   ggamma = sum_i gy_i n_i
//   gx_i   = gamma / s (gy_i - gbeta / N - n_i ggamma / N)
//
// Ioffe and Szegedy, Batch normalization, ICML 2015. Keeps x, gamma and the moments. The recorded gradient is
// made of ordinary ops on x, of which m and s are functions; the other is one kernel.
#include "kernels/batch_norm.hpp"

#include <fmt/format.h>

#include <cmath>

#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& batch_norm_info();

namespace {

struct BatchNorm final : Op {
  BatchNormOptions options;
  explicit BatchNorm(const BatchNormOptions& options) : options(options) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    if (gx.recording() && gx.shape(0).elements() > 0) return backward_recorded(gy, gx);
    const BatchNormGradients g = batch_norm_backward(gx.input(0).value(), gx.input(1).value(),
                                                     gx.extra().value(), gy.value(), options.epsilon);
    if (gx.wants(0)) gx.set(0, g.gx);
    if (gx.wants(1)) gx.set(1, g.ggamma);
    if (gx.wants(2)) gx.set(2, g.gbeta);
  }
  const OpInfo& info() const override { return batch_norm_info(); }
  Attributes attributes() const override { return attributes_of(options); }

 private:
  void backward_recorded(const Var& gy, Gradients& gx) const {
    const Var x = gx.input(0), gamma = gx.input(1);
    Ints axes;
    for (int axis = 0; axis + 1 < x.rank(); ++axis) axes.push_back(axis);
    const ReduceOptions over{.axes = axes};
    const Var centred = x - mean(x, over);
    const Var inverse = pow(mean(centred * centred, over) + options.epsilon, -0.5);
    const Var normal = centred * inverse;
    if (gx.wants(0)) gx.set(0, gamma * inverse * (gy - mean(gy, over) - normal * mean(gy * normal, over)));
    if (gx.wants(1)) gx.set(1, sum(gy * normal, over));
    if (gx.wants(2)) gx.set(2, sum(gy, over));
  }
};

void require_valid(const Var& x, const Var& gamma, const Var& beta, const BatchNormOptions& options,
                   SourceLocation at) {
  const auto fail_with = [&](const std::string& problem) {
    fail<ShapeError>("batch_norm", problem, {{"x", x}, {"gamma", gamma}, {"beta", beta}}, at);
  };
  require_floating("batch_norm", {"x", x}, at);
  require_same_dtype("batch_norm", {"x", x}, {"gamma", gamma}, at);
  require_same_dtype("batch_norm", {"x", x}, {"beta", beta}, at);
  if (x.rank() < 2) fail_with("x must have rank 2 at least");
  const Shape channels{x.extent(-1)};
  if (gamma.shape() != channels || beta.shape() != channels)
    fail_with(fmt::format("gamma and beta must have shape {}", to_string(channels)));
  if (!(options.epsilon >= 0))
    fail<Error>("batch_norm", fmt::format("epsilon is {}, must not be negative", options.epsilon), {{"x", x}},
                at);
}

}  // namespace

BatchNormResult batch_norm(const Var& x, const Var& gamma, const Var& beta, const BatchNormOptions& options,
                           SourceLocation at) {
  require_valid(x, gamma, beta, options, at);
  const Tensor moments = channel_moments(x.value());
  const auto part = [&](std::int64_t first) {
    return slice(moments, {.begin = {first}, .size = {1}}).value().reshape({x.extent(-1)}).to(x.dtype());
  };
  Tensor y = batch_norm_forward(x.value(), gamma.value(), beta.value(), moments, options.epsilon);
  return {record(BatchNorm(options), std::move(y), {x, gamma, beta},
                 {.operands = operand(0) | operand(1), .extra = moments}, at),
          part(0), part(1)};
}

const OpInfo& batch_norm_info() {
  static const OpInfo info{
      .name = "batch_norm",
      .group = OpGroup::reduction,
      .arguments = {{.name = "x"}, {.name = "gamma", .linear = true}, {.name = "beta", .linear = true}},
      .attributes = {{"epsilon"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return batch_norm(x[0], x[1], x[2], options_of<BatchNormOptions>(a)).y;
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            using std::sqrt;
            const double epsilon = options_of<BatchNormOptions>(a).epsilon;
            const Shape& shape = x[0].shape();
            const std::int64_t channels = shape[-1], rows = channels ? shape.elements() / channels : 0;
            Array<T> y(shape);
            for (std::int64_t c = 0; c < channels; ++c) {
              T mean(0.0), variance(0.0);
              for (std::int64_t i = 0; i < rows; ++i) mean += x[0][i * channels + c];
              mean /= T(static_cast<double>(rows));
              for (std::int64_t i = 0; i < rows; ++i) {
                const T d = x[0][i * channels + c] - mean;
                variance += d * d;
              }
              variance /= T(static_cast<double>(rows));
              for (std::int64_t i = 0; i < rows; ++i) {
                y[i * channels + c] =
                    x[1][c] * (x[0][i * channels + c] - mean) / sqrt(variance + T(epsilon)) + x[2][c];
              }
            }
            return y;
          },
      .samples = samples()
                     .shapes({{7, 3}, {3}, {3}})
                     .grid({{"epsilon", {1e-5, 1e-3, 0.5}}})
                     .shapes({{2, 3, 5, 4}, {4}, {4}})
                     .shapes({{3, 1, 2}, {2}, {2}})
                     .shapes({{1, 3}, {3}, {3}})
                     .with({{"epsilon", 0.25}})
                     .shapes({{2, 9, 5}, {5}, {5}})
                     .with({{"epsilon", 1e-3}})
                     .shapes({{0, 3}, {3}, {3}})
                     .shapes({{4, 0}, {0}, {0}})
                     .shapes({{5, 2}, {2}, {2}})
                     .pattern(Pattern::ties)
                     .with({{"epsilon", 0.125}})
                     .shapes({{5, 2}, {2}, {2}})
                     .pattern(Pattern::special)
                     .throws({{3}, {3}, {3}}, "x must have rank 2 at least")
                     .throws({{2, 3}, {2}, {3}}, "gamma and beta must have shape [3]")
                     .throws({{2, 3}, {3}, {1}}, "gamma and beta must have shape [3]")
                     .throws({{2, 3}, {3}, {3}}, "epsilon is -1, must not be negative")
                     .with({{"epsilon", -1.0}}),
  };
  return info;
}

}  // namespace weft
