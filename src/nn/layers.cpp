#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "weft/nn.hpp"

namespace weft {

void ParameterCollector::add(const Parameter& parameter) {
  const bool known = std::ranges::any_of(
      parameters_, [&](const Parameter& other) { return other.key() == parameter.key(); });
  if (!known) parameters_.push_back(parameter);
}

void require_distinct_names(std::string_view who, std::span<const Parameter> parameters) {
  std::unordered_set<std::string_view> names;
  for (const Parameter& parameter : parameters) {
    if (names.insert(parameter.name()).second) continue;
    throw Error(
        fmt::format("{}: two parameters have the name '{}': give each its own", who, parameter.name()));
  }
}

namespace nn {

namespace {

// What a layer records lies in a scope of its name; a paused graph records nothing.
std::optional<Scope> enter(const std::string& name, const Var& x) {
  if (!x.graph() || !x.graph()->is_recording()) return std::nullopt;
  return x.graph()->scope(name);
}

Shape filter_shape(const std::string& name, std::int64_t in, std::int64_t out, const ConvOptions& o) {
  if (in < 1 || out < 1 || o.window.h < 1 || o.window.w < 1) {
    throw ShapeError(
        fmt::format("conv2d layer {}: {} channels in, {} out, a window of ({}, {}): each must be at least 1",
                    name, in, out, o.window.h, o.window.w));
  }
  if (o.groups < 1 || in % o.groups != 0 || out % o.groups != 0) {
    throw ShapeError(fmt::format("conv2d layer {}: {} groups do not divide {} channels in and {} out", name,
                                 o.groups, in, out));
  }
  return {o.window.h, o.window.w, in / o.groups, out};
}

Shape matrix_shape(const std::string& name, std::int64_t in, std::int64_t out) {
  if (in < 1 || out < 1) {
    throw ShapeError(
        fmt::format("linear layer {}: {} features in, {} out: each must be at least 1", name, in, out));
  }
  return {in, out};
}

std::optional<Parameter> bias_if(bool wanted, const std::string& name, std::int64_t out, DType dtype) {
  if (!wanted) return std::nullopt;
  return zeros(name + "/b", {out}, {.dtype = dtype});
}

}  // namespace

Var use(const Parameter& parameter, const Var& x, SourceLocation at) {
  return x.graph() ? x.graph()->use(parameter, at) : Var(parameter.value());
}

Conv2d::Conv2d(std::string name_, std::int64_t in, std::int64_t out, const ConvOptions& o)
    : name(std::move(name_)),
      w(o.initializer(name + "/w", filter_shape(name, in, out, o), {.seed = o.seed, .dtype = o.dtype})),
      b(bias_if(o.bias, name, out, o.dtype)),
      options{.stride = o.stride,
              .padding = o.padding,
              .dilation = o.dilation,
              .groups = o.groups,
              .relu = o.relu} {}

Var Conv2d::operator()(const Var& x, SourceLocation at) const {
  const auto scope = enter(name, x);
  if (!b) return conv2d(x, use(w, x, at), options, at);
  return conv2d(x, use(w, x, at), use(*b, x, at), options, at);
}

Linear::Linear(std::string name_, std::int64_t in, std::int64_t out, const LinearOptions& o)
    : name(std::move(name_)),
      w(o.initializer(name + "/w", matrix_shape(name, in, out), {.seed = o.seed, .dtype = o.dtype})),
      b(bias_if(o.bias, name, out, o.dtype)),
      relu(o.relu) {}

Var Linear::operator()(const Var& x, SourceLocation at) const {
  const auto scope = enter(name, x);
  Var y = matmul(x, use(w, x, at), {}, at);
  if (b) y = add(y, use(*b, x, at), at);
  return relu ? weft::relu(y, at) : y;
}

BatchNorm::BatchNorm(std::string name_, std::int64_t channels, const BatchNormLayerOptions& o)
    : name(std::move(name_)),
      gamma(ones(name + "/gamma", {channels}, {.dtype = o.dtype})),
      beta(zeros(name + "/beta", {channels}, {.dtype = o.dtype})),
      mean(zeros(name + "/mean", {channels}, {.dtype = o.dtype})),
      variance(ones(name + "/variance", {channels}, {.dtype = o.dtype})),
      options(o) {
  if (!(o.momentum >= 0 && o.momentum < 1)) {
    throw Error(
        fmt::format("batch norm layer {}: momentum is {}, needed a number in [0, 1)", name, o.momentum));
  }
  mean.set_trainable(false);
  variance.set_trainable(false);
}

Var BatchNorm::operator()(const Var& x, SourceLocation at) const {
  const auto scope = enter(name, x);
  if (!is_training(x)) {
    const Var factor = use(gamma, x, at) / sqrt(use(variance, x, at) + options.epsilon, at);
    return x * factor + (use(beta, x, at) - use(mean, x, at) * factor);
  }
  const BatchNormResult result =
      batch_norm(x, use(gamma, x, at), use(beta, x, at), {.epsilon = options.epsilon}, at);
  const double count = static_cast<double>(x.value().elements()) / static_cast<double>(x.extent(-1));
  const auto commit = [&](Parameter running, const Tensor& of_batch, double correction) {
    const double added = (1 - options.momentum) * correction;
    running.set_value((options.momentum * Var(running.value()) + added * Var(of_batch)).value());
  };
  commit(mean, result.mean, 1);
  commit(variance, result.variance, count > 1 ? count / (count - 1) : 1);
  return result.y;
}

template Layer::Layer(Conv2d);
template Layer::Layer(Pool2d);
template Layer::Layer(Linear);
template Layer::Layer(BatchNorm);
template Layer::Layer(Dropout);
template Layer::Layer(Relu);
template Layer::Layer(Flatten);

Layer::Layer(const Layer&) = default;
Layer::Layer(Layer&&) noexcept = default;
Layer& Layer::operator=(const Layer&) = default;
Layer& Layer::operator=(Layer&&) noexcept = default;
Layer::~Layer() = default;

Sequential::Sequential(std::initializer_list<Layer> layers) : layers_(layers) {}
Sequential::Sequential(const Sequential&) = default;
Sequential::Sequential(Sequential&&) noexcept = default;
Sequential& Sequential::operator=(const Sequential&) = default;
Sequential& Sequential::operator=(Sequential&&) noexcept = default;
Sequential::~Sequential() = default;

Var Sequential::operator()(const Var& x, SourceLocation at) const {
  Var y = x;
  for (const Layer& layer : layers_) y = layer(y, at);
  return y;
}

}  // namespace nn
}  // namespace weft
