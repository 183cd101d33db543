#include "gradcheck/op_case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "gradcheck/reference_replay.hpp"
#include "weft/gradient.hpp"
#include "weft/op.hpp"

namespace weft {

template <class T>
Inputs<T> reference_inputs(std::span<const Tensor> x) {
  Inputs<T> inputs;
  for (const Tensor& tensor : x) {
    if (is_floating(tensor.dtype()))
      inputs.push_floating(to_array<T>(tensor));
    else
      inputs.push_integers(to_array<std::int64_t>(tensor));
  }
  return inputs;
}
template Inputs<double> reference_inputs(std::span<const Tensor>);
template Inputs<Dual> reference_inputs(std::span<const Tensor>);
template Inputs<Dual2> reference_inputs(std::span<const Tensor>);
template Inputs<Traced> reference_inputs(std::span<const Tensor>);
template Inputs<Bounded> reference_inputs(std::span<const Tensor>);

Tensor dense_like(const Shape& shape, Random& random) {
  Tensor tensor(shape, DType::f64);
  std::ranges::generate(tensor.mutable_values<double>(), [&] {
    return (random.below(2) == 0 ? -1 : 1) * (1 + static_cast<double>(random.below(64)) / 64);
  });
  return tensor;
}

double dot(const Tensor& a, const Tensor& b) {
  const auto x = a.values<double>(), y = b.values<double>();
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

std::string index_text(const Shape& shape, std::int64_t i) {
  Ints index = Ints::filled(shape.rank(), 0);
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    index[axis] = i % shape[axis];
    i /= shape[axis];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

OpCase::OpCase(const OpInfo& op_info, Attributes op_attributes, std::vector<Tensor> op_inputs,
               std::string case_name, const GradcheckOptions& case_options)
    : info(op_info),
      options(case_options),
      name(std::move(case_name)),
      attributes(std::move(op_attributes)),
      inputs(std::move(op_inputs)) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Role role = argument(i).role;
    if (is_floating(inputs[i].dtype()) && (role == Role::differentiable || role == Role::optional))
      checked.push_back(i);
  }
}

void OpCase::run_reference(bool always) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  value_ = forward(inputs);
  y_shape = value_.shape();
  Random random(options.seed, "gy");
  gy = dense_like(y_shape, random);
  const auto budget = budget_of(options);
  reference_fits = always || 20 * (Clock::now() - start) <= budget;
  if (!reference_fits) return;
  const auto reference_start = Clock::now();
  bounds = info.reference(reference_inputs<Bounded>(inputs), attributes);
  reference_fits = always || Clock::now() - reference_start <= budget;
}

void OpCase::run_rule_bounds() {
  const Recorded recorded(*this, inputs);
  for (const Var& gx : gradient(recorded.y, recorded.targets, {.record = true, .gy = gy})) {
    gx_bounds.push_back(gx.is_recorded() ? replay_reference<Bounded>(gx) : Array<Bounded>());
  }
}

double OpCase::noise(std::size_t i) const {
  if (bounds.elements() > 0) return bounds[static_cast<std::int64_t>(i)].error(unit_roundoff_f64);
  return 64 * unit_roundoff_f64 * std::fabs(value_.values<double>()[i]);
}

double OpCase::chain(std::size_t i) const {
  return bounds.elements() > 0 ? bounds[static_cast<std::int64_t>(i)].chain() + 1 : 64;
}

std::string OpCase::operand_name(std::size_t i) const {
  const std::size_t last = info.arguments.size() - 1;
  const std::string_view argument_name = argument(i).name;
  return info.variadic && i >= last ? fmt::format("{}[{}]", argument_name, i - last)
                                    : std::string(argument_name);
}

Tensor OpCase::forward(std::span<const Tensor> x) const {
  return info.call(std::vector<Var>(x.begin(), x.end()), attributes).value();
}

std::vector<Tensor> OpCase::inputs_in(DType floating) const {
  std::vector<Tensor> result;
  for (const Tensor& x : inputs) result.push_back(is_floating(x.dtype()) ? x.to(floating) : x);
  return result;
}

std::vector<Tensor> OpCase::moved(std::size_t i, const Tensor& u, double t) const {
  std::vector<Tensor> x = inputs;
  x[i] = inputs[i].clone();
  const auto direction = u.values<double>();
  const auto values = x[i].mutable_values<double>();
  for (std::size_t n = 0; n < values.size(); ++n) values[n] += t * direction[n];
  return x;
}

Finding OpCase::finding(std::string_view check, std::size_t operand, Verdict verdict,
                        std::string summary) const {
  Finding result;
  result.check = check;
  result.verdict = verdict;
  result.op = info.name;
  result.sample = name;
  if (operand != no_operand) result.argument = argument(operand).name;
  if (verdict == Verdict::agree) return result;
  result.summary = std::move(summary);
  result.token = token;
  if (!attributes.empty()) {
    std::string told = "attributes";
    for (const auto& [attribute, value] : attributes)
      told += fmt::format("{} {} {}", told.ends_with("attributes") ? "" : ",", attribute, to_string(value));
    result.context.push_back(std::move(told));
  }
  std::string operands = "inputs";
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    operands +=
        fmt::format(" {} {}", argument(i).name, to_string(TensorType{inputs[i].shape(), inputs[i].dtype()}));
  }
  result.context.push_back(std::move(operands));
  return result;
}

Recorded::Recorded(const OpCase& op, std::span<const Tensor> inputs, std::span<const std::size_t> sources) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool is_source = std::ranges::find(sources, i) != sources.end();
    x.push_back(is_source ? g.input(inputs[i], op.argument(i).name) : Var(inputs[i]));
    if (is_source) targets.push_back(x.back());
  }
  y = op.info.call(x, op.attributes);
}

std::vector<Tensor> Recorded::gradients(const Tensor& gy) const {
  std::vector<Tensor> result;
  for (const Var& gx : gradient(y, targets, {.gy = gy})) result.push_back(gx.value());
  return result;
}

}  // namespace weft
