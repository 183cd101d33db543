// The handles on values: Var and Parameter.
#include <fmt/format.h>

#include "kernels/elementwise.hpp"
#include "weft/graph.hpp"
#include "weft/op.hpp"

namespace weft {

const TensorType& Var::recorded_type() const {
  if (!is_recorded() || !graph_->contains(*this)) throw_no_value();
  return graph_->type(id());
}

void Var::throw_no_value() const {
  if (!is_recorded()) throw GraphError("an empty var was used: it was default-constructed or moved from");
  if (!graph_->contains(*this))
    throw GraphError(fmt::format("a stale var (node {}): its graph was cleared since", id()));
  const Op* op = graph_->op(id());
  throw GraphError(fmt::format("the value of {} (node {}) is not there: the op that needs it did not save it",
                               op ? op->info().name : graph_->name(id()), id()));
}

Parameter::Parameter(std::string name, Tensor value) : state_(std::make_shared<State>()) {
  if (!value.defined() || !is_floating(value.dtype())) {
    throw DTypeError(fmt::format("parameter {}: its value must be f32 or f64, found {}", name,
                                 value.defined() ? weft::name(value.dtype()) : "no tensor"));
  }
  state_->name = std::move(name);
  state_->value = std::move(value);
}

Parameter::Parameter(const Parameter&) = default;
Parameter::Parameter(Parameter&&) noexcept = default;
Parameter& Parameter::operator=(const Parameter&) = default;
Parameter& Parameter::operator=(Parameter&&) noexcept = default;
Parameter::~Parameter() = default;

void Parameter::require_like_value(std::string_view what, const Tensor& tensor) const {
  const TensorType found{tensor.shape(), tensor.dtype()}, needed{shape(), value().dtype()};
  if (found == needed) return;
  const std::string text =
      fmt::format("parameter {}: {} is {}, needed {}", name(), what, to_string(found), to_string(needed));
  if (found.shape == needed.shape) throw DTypeError(text);
  throw ShapeError(text);
}

Tensor Parameter::grad() const { return has_grad() ? state_->grad : Tensor::zeros(shape(), value().dtype()); }

void Parameter::set_grad(Tensor grad) {
  require_like_value("the gradient", grad);
  state_->grad = std::move(grad);
}

void Parameter::set_value(Tensor value) {
  require_like_value("the new value", value);
  state_->value = std::move(value);
  ++state_->version;
}

void Parameter::accumulate_grad(Tensor grad) {
  require_like_value("the gradient", grad);
  if (has_grad()) {
    add_to(state_->grad, grad);
  } else {
    state_->grad = std::move(grad);
  }
}

}  // namespace weft
