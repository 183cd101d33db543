#include "weft/optim.hpp"

#include <fmt/format.h>

#include <cmath>

#include "kernels/elementwise.hpp"
#include "weft/nn.hpp"

namespace weft {

namespace {

void require(bool holds, std::string_view who, std::string_view what, double found, std::string_view needed) {
  if (!holds) throw Error(fmt::format("{}: {} is {}, needed {}", who, what, found, needed));
}
void require_not_negative(std::string_view who, std::string_view what, double value) {
  require(value >= 0 && std::isfinite(value), who, what, value, "a number that is not negative");
}
void require_fraction(std::string_view who, std::string_view what, double value) {
  require(value >= 0 && value < 1, who, what, value, "a number in [0, 1)");
}

bool is_updated(const Parameter& parameter) { return parameter.trainable() && parameter.has_grad(); }

template <class T>
struct SgdStep {
  T learning_rate, momentum, weight_decay;
};

template <class T>
WEFT_VECTOR_LOOP void plain_sgd_loop(T* w, const T* g, std::int64_t count, SgdStep<T> s) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) w[i] -= s.learning_rate * (g[i] + s.weight_decay * w[i]);
}

template <class T>
WEFT_VECTOR_LOOP void momentum_loop(T* w, const T* g, T* m, std::int64_t count, SgdStep<T> s) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    m[i] = s.momentum * m[i] + (g[i] + s.weight_decay * w[i]);
    w[i] -= s.learning_rate * m[i];
  }
}

template <class T>
WEFT_VECTOR_LOOP void nesterov_loop(T* w, const T* g, T* m, std::int64_t count, SgdStep<T> s) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const T d = g[i] + s.weight_decay * w[i];
    m[i] = s.momentum * m[i] + d;
    w[i] -= s.learning_rate * (d + s.momentum * m[i]);
  }
}

template <class T>
struct AdamStep {
  T beta1, one_minus_beta1, beta2, one_minus_beta2, epsilon;
  T rate;         // learning_rate / (1 - beta1^t)
  T correction;   // 1 / sqrt(1 - beta2^t)
  T added_decay;  // of the gradient
  T remaining;    // 1 - learning_rate weight_decay, where the decay is decoupled
};

template <class T>
WEFT_VECTOR_LOOP void adam_loop(T* w, const T* g, T* m, T* v, std::int64_t count, AdamStep<T> s) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const T d = g[i] + s.added_decay * w[i];
    m[i] = s.beta1 * m[i] + s.one_minus_beta1 * d;
    v[i] = s.beta2 * v[i] + s.one_minus_beta2 * d * d;
    w[i] = s.remaining * w[i] - s.rate * m[i] / (vector_math::sqrt(v[i]) * s.correction + s.epsilon);
  }
}

template <class T>
WEFT_VECTOR_LOOP double sum_of_squares(const T* x, std::int64_t count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

struct Scaled {
  double factor;
  template <class T>
  T operator()(T x) const {
    return x * static_cast<T>(factor);
  }
};

template <class Slot>
std::vector<Slot> slots_of(std::string_view who, const std::vector<Parameter>& parameters) {
  require_distinct_names(who, parameters);
  std::vector<Slot> slots;
  for (const Parameter& parameter : parameters) slots.push_back({.parameter = parameter});
  return slots;
}

template <class T>
void sgd_step(SgdSlot& slot, const SgdOptions& options) {
  const SgdStep<T> s{static_cast<T>(options.learning_rate), static_cast<T>(options.momentum),
                     static_cast<T>(options.weight_decay)};
  const Tensor grad = slot.parameter.grad();
  const T* g = grad.values<T>().data();
  T* w = slot.parameter.update().mutable_values<T>().data();
  T* m = options.momentum == 0 ? nullptr : slot.momentum.mutable_values<T>().data();
  parallel_for(grad.elements(), elementwise_grain, [=, &options](std::int64_t begin, std::int64_t end) {
    if (!m) {
      plain_sgd_loop(w + begin, g + begin, end - begin, s);
    } else if (options.nesterov) {
      nesterov_loop(w + begin, g + begin, m + begin, end - begin, s);
    } else {
      momentum_loop(w + begin, g + begin, m + begin, end - begin, s);
    }
  });
}

void make_moments(AdamSlot& slot) {
  const Tensor& w = slot.parameter.value();
  if (!slot.m.defined()) slot.m = Tensor::zeros(w.shape(), w.dtype());
  if (!slot.v.defined()) slot.v = Tensor::zeros(w.shape(), w.dtype());
}

template <class T, bool decoupled>
void adam_step(AdamSlot& slot, const BasicAdamOptions<decoupled>& o) {
  const auto t = static_cast<double>(slot.steps);
  AdamStep<T> s;
  s.beta1 = static_cast<T>(o.beta1);
  s.one_minus_beta1 = static_cast<T>(1 - o.beta1);
  s.beta2 = static_cast<T>(o.beta2);
  s.one_minus_beta2 = static_cast<T>(1 - o.beta2);
  s.epsilon = static_cast<T>(o.epsilon);
  s.rate = static_cast<T>(o.learning_rate / (1 - std::pow(o.beta1, t)));
  s.correction = static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, t)));
  s.added_decay = static_cast<T>(decoupled ? 0 : o.weight_decay);
  s.remaining = static_cast<T>(decoupled ? 1 - o.learning_rate * o.weight_decay : 1);

  const Tensor grad = slot.parameter.grad();
  const T* g = grad.values<T>().data();
  T* w = slot.parameter.update().mutable_values<T>().data();
  T* m = slot.m.mutable_values<T>().data();
  T* v = slot.v.mutable_values<T>().data();
  parallel_for(grad.elements(), elementwise_grain, [=](std::int64_t begin, std::int64_t end) {
    adam_loop(w + begin, g + begin, m + begin, v + begin, end - begin, s);
  });
}

}  // namespace

// ---- SGD --------------------------------------------------------------------------------------------------

Sgd::Sgd(const std::vector<Parameter>& parameters, const SgdOptions& options)
    : slots_(slots_of<SgdSlot>("sgd", parameters)) {
  set_options(options);
}

void Sgd::set_options(const SgdOptions& options) {
  require_not_negative("sgd", "learning_rate", options.learning_rate);
  require_not_negative("sgd", "weight_decay", options.weight_decay);
  require_fraction("sgd", "momentum", options.momentum);
  require(!options.nesterov || options.momentum > 0, "sgd", "momentum", options.momentum,
          "more than 0 for nesterov");
  options_ = options;
}

void Sgd::step() {
  for (SgdSlot& slot : slots_) {
    if (!is_updated(slot.parameter)) continue;
    const DType dtype = slot.parameter.value().dtype();
    if (options_.momentum != 0 && !slot.momentum.defined())
      slot.momentum = Tensor::zeros(slot.parameter.shape(), dtype);
    visit_floating(dtype, [&]<class T>() { sgd_step<T>(slot, options_); });
  }
}

void Sgd::zero_grad() {
  for (SgdSlot& slot : slots_) slot.parameter.zero_grad();
}

void Sgd::set_learning_rate(double rate) {
  require_not_negative("sgd", "learning_rate", rate);
  options_.learning_rate = rate;
}

// ---- Adam and AdamW ---------------------------------------------------------------------------------------

template <bool decoupled>
constexpr std::string_view adam_name = decoupled ? "adamw" : "adam";

template <bool decoupled>
BasicAdam<decoupled>::BasicAdam(const std::vector<Parameter>& parameters,
                                const BasicAdamOptions<decoupled>& options)
    : slots_(slots_of<AdamSlot>(adam_name<decoupled>, parameters)) {
  set_options(options);
  for (AdamSlot& slot : slots_) {
    if (slot.parameter.trainable())
      make_moments(slot);  // now, so that no later step asks the system for memory
  }
}

template <bool decoupled>
void BasicAdam<decoupled>::set_options(const BasicAdamOptions<decoupled>& options) {
  constexpr std::string_view who = adam_name<decoupled>;
  require_not_negative(who, "learning_rate", options.learning_rate);
  require_not_negative(who, "epsilon", options.epsilon);
  require_not_negative(who, "weight_decay", options.weight_decay);
  require_fraction(who, "beta1", options.beta1);
  require_fraction(who, "beta2", options.beta2);
  options_ = options;
}

template <bool decoupled>
void BasicAdam<decoupled>::step() {
  for (AdamSlot& slot : slots_) {
    if (!is_updated(slot.parameter)) continue;
    make_moments(slot);
    ++slot.steps;
    visit_floating(slot.m.dtype(), [&]<class T>() { adam_step<T, decoupled>(slot, options_); });
  }
}

template <bool decoupled>
void BasicAdam<decoupled>::zero_grad() {
  for (AdamSlot& slot : slots_) slot.parameter.zero_grad();
}

template <bool decoupled>
void BasicAdam<decoupled>::set_learning_rate(double rate) {
  require_not_negative(adam_name<decoupled>, "learning_rate", rate);
  options_.learning_rate = rate;
}

template class BasicAdam<false>;
template class BasicAdam<true>;

// ---- learning rates ---------------------------------------------------------------------------------------

double StepSchedule::operator()(std::int64_t step) const {
  require(every >= 1, "step schedule", "every", static_cast<double>(every), "1 step at least");
  return learning_rate * std::pow(factor, static_cast<double>(step / every));
}

double ExponentialSchedule::operator()(std::int64_t step) const {
  return learning_rate * std::pow(factor, static_cast<double>(step));
}

double CosineSchedule::operator()(std::int64_t step) const {
  if (step < warm_up) return learning_rate * static_cast<double>(step + 1) / static_cast<double>(warm_up);
  if (step >= steps) return final;
  const double done = static_cast<double>(step - warm_up) / static_cast<double>(steps - warm_up);
  return final + (learning_rate - final) * 0.5 * (1 + std::cos(M_PI * done));
}

double learning_rate(const Schedule& schedule, std::int64_t step) {
  return std::visit([&](const auto& s) { return s(step); }, schedule);
}

// ---- gradients --------------------------------------------------------------------------------------------

double clip_gradients(const std::vector<Parameter>& parameters, double max_norm) {
  require(max_norm > 0, "clip_gradients", "max_norm", max_norm, "more than 0");
  double sum = 0;
  for (const Parameter& parameter : parameters) {
    if (!is_updated(parameter)) continue;
    const Tensor grad = parameter.grad();
    sum += visit_floating(
        grad.dtype(), [&]<class T>() { return sum_of_squares(grad.values<T>().data(), grad.elements()); });
  }
  const double norm = std::sqrt(sum);
  if (!std::isfinite(norm) || norm <= max_norm) return norm;
  // Not in place: two parameters may share one gradient, as the operands of a sum do.
  for (Parameter parameter : parameters) {
    if (is_updated(parameter)) parameter.set_grad(map(parameter.grad(), Scaled{max_norm / norm}));
  }
  return norm;
}

}  // namespace weft
