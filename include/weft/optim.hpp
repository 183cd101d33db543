// Optimisers, learning-rate schedules, gradient clipping. A step is one fused pass over each parameter; a
// parameter that is frozen or has no gradient is left alone, and gradients stay until zero_grad().
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "weft/graph.hpp"

namespace weft {

// ---- optimisers -------------------------------------------------------------------------------------------
// Constructors throw Error for options out of range and for two parameters of one name; set_options and
// set_learning_rate for what is out of range, and nothing is changed then.

struct SgdOptions {
  double learning_rate = 0.01;
  double momentum = 0;      // [0, 1)
  bool nesterov = false;    // needs momentum
  double weight_decay = 0;  // added to the gradient, times the value
};
struct SgdSlot {
  Parameter parameter;
  Tensor momentum = {};  // empty before the first step and without momentum
};
//   d = g + weight_decay w
//   m = momentum m + d
//   w -= learning_rate m                      nesterov: learning_rate (d + momentum m)
class Sgd {
 public:
  explicit Sgd(const std::vector<Parameter>& parameters, const SgdOptions& options = {});
  void step();
  void zero_grad();
  const SgdOptions& options() const { return options_; }
  void set_options(const SgdOptions& options);
  double learning_rate() const { return options_.learning_rate; }
  void set_learning_rate(double rate);
  std::vector<SgdSlot>& slots() { return slots_; }  // the state, to be saved and restored

 private:
  SgdOptions options_;
  std::vector<SgdSlot> slots_;
};

struct AdamSlot {
  Parameter parameter;
  Tensor m = {}, v = {};   // zeros before the first step; empty where the parameter was never trainable
  std::int64_t steps = 0;  // t
};
template <bool decoupled>
struct BasicAdamOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;  // [0, 1)
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = decoupled ? 0.01 : 0;
};
// Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015; decoupled weight decay: Loshchilov
// and Hutter, Decoupled weight decay regularization, ICLR 2019.
//   g += weight_decay w                                                    Adam
//   w -= learning_rate weight_decay w                                      AdamW
//   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
//   w -= learning_rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
template <bool decoupled>
class BasicAdam {
 public:
  explicit BasicAdam(const std::vector<Parameter>& parameters,
                     const BasicAdamOptions<decoupled>& options = {});
  void step();
  void zero_grad();
  const BasicAdamOptions<decoupled>& options() const { return options_; }
  void set_options(const BasicAdamOptions<decoupled>& options);
  double learning_rate() const { return options_.learning_rate; }
  void set_learning_rate(double rate);
  std::vector<AdamSlot>& slots() { return slots_; }  // the state, to be saved and restored

 private:
  BasicAdamOptions<decoupled> options_;
  std::vector<AdamSlot> slots_;
};
using AdamOptions = BasicAdamOptions<false>;
using AdamWOptions = BasicAdamOptions<true>;
using Adam = BasicAdam<false>;
using AdamW = BasicAdam<true>;
extern template class BasicAdam<false>;
extern template class BasicAdam<true>;

// Options by name, for what saves and restores them.
template <class V>
void fields(V& visit, SgdOptions& o) {
  visit("learning_rate", o.learning_rate);
  visit("momentum", o.momentum);
  visit("nesterov", o.nesterov);
  visit("weight_decay", o.weight_decay);
}
template <class V, bool decoupled>
void fields(V& visit, BasicAdamOptions<decoupled>& o) {
  visit("learning_rate", o.learning_rate);
  visit("beta1", o.beta1);
  visit("beta2", o.beta2);
  visit("epsilon", o.epsilon);
  visit("weight_decay", o.weight_decay);
}

// ---- learning rates ---------------------------------------------------------------------------------------
// Each is called with a step that counts from 0: sgd.set_learning_rate(schedule(step)).

struct ConstantSchedule {
  double learning_rate = 0.01;
  double operator()(std::int64_t) const { return learning_rate; }
};
struct StepSchedule {  // times `factor` after every `every` steps
  double learning_rate = 0.01;
  double factor = 0.1;
  std::int64_t every = 1;
  double operator()(std::int64_t step) const;
};
struct ExponentialSchedule {  // times `factor` after every step
  double learning_rate = 0.01;
  double factor = 0.99;
  double operator()(std::int64_t step) const;
};
// Rises linearly over `warm_up` steps, which ends at learning_rate, then falls along half a cosine to `final`
// at step `steps` and stays there.
struct CosineSchedule {
  double learning_rate = 0.01;
  std::int64_t steps = 1;
  std::int64_t warm_up = 0;
  double final = 0;
  double operator()(std::int64_t step) const;
};

// Any of them, for what keeps one.
using Schedule = std::variant<ConstantSchedule, StepSchedule, ExponentialSchedule, CosineSchedule>;
double learning_rate(const Schedule& schedule, std::int64_t step);

template <class V>
void fields(V& visit, ConstantSchedule& s) {
  visit("learning_rate", s.learning_rate);
}
template <class V>
void fields(V& visit, StepSchedule& s) {
  visit("learning_rate", s.learning_rate);
  visit("factor", s.factor);
  visit("every", s.every);
}
template <class V>
void fields(V& visit, ExponentialSchedule& s) {
  visit("learning_rate", s.learning_rate);
  visit("factor", s.factor);
}
template <class V>
void fields(V& visit, CosineSchedule& s) {
  visit("learning_rate", s.learning_rate);
  visit("steps", s.steps);
  visit("warm_up", s.warm_up);
  visit("final", s.final);
}

// ---- gradients --------------------------------------------------------------------------------------------

// Scales the gradients of the trainable parameters so that the norm of all together is at most `max_norm`.
// Returns the norm found; where it is NaN or infinite the gradients stay as they are, and the caller decides.
double clip_gradients(const std::vector<Parameter>& parameters, double max_norm);

}  // namespace weft
