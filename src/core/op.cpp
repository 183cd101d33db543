#include "weft/op.hpp"

#include <fmt/format.h>

#include "core/graph_tables.hpp"
#include "weft/ops.hpp"

namespace weft {

namespace {

std::string describe(std::initializer_list<NamedVar> arguments) {
  std::string out;
  for (const auto& [name, var] : arguments) {
    out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", name,
                       to_string(TensorType{var.shape(), var.dtype()}));
  }
  return out;
}

std::string where(std::initializer_list<NamedVar> arguments, SourceLocation at) {
  std::string out;
  for (const auto& [name, var] : arguments) {
    const std::string scope =
        var.is_recorded() && var.graph()->contains(var) ? var.graph()->current_scope() : "";
    if (!scope.empty()) {
      out = fmt::format(" in scope {}", scope);
      break;
    }
  }
  if (at.file) out += fmt::format(", at {}", to_string(at));
  return out;
}

}  // namespace

// The graph remembers the call that failed, so that it can be drawn.
template <class E>
void fail(std::string_view op, std::string_view problem, std::initializer_list<NamedVar> arguments,
          SourceLocation at) {
  const std::string message =
      fmt::format("{}: {} ({}){}", op, problem, describe(arguments), where(arguments, at));
  Graph* graph = nullptr;
  std::vector<NodeId> operands;
  for (const auto& [name, var] : arguments) {
    if (!var.is_recorded() || !var.graph()->contains(var)) continue;
    graph = var.graph();
    operands.push_back(var.id());
  }
  if (graph) RecordAccess::tables(*graph).last_error = {no_node, std::string(op), operands, message};
  throw E(message);
}
template void fail<Error>(std::string_view, std::string_view, std::initializer_list<NamedVar>,
                          SourceLocation);
template void fail<ShapeError>(std::string_view, std::string_view, std::initializer_list<NamedVar>,
                               SourceLocation);
template void fail<DTypeError>(std::string_view, std::string_view, std::initializer_list<NamedVar>,
                               SourceLocation);

void detail::fail_not_floating(std::string_view op, NamedVar x, SourceLocation at) {
  fail<DTypeError>(op, fmt::format("{} must be f32 or f64, found {}", x.name, name(x.var.dtype())), {x}, at);
}

void require_integer(std::string_view op, NamedVar x, SourceLocation at) {
  if (is_integer(x.var.dtype())) return;
  fail<DTypeError>(op, fmt::format("{} must be integers, found {}", x.name, name(x.var.dtype())), {x}, at);
}

void detail::fail_dtypes_differ(std::string_view op, NamedVar a, NamedVar b, SourceLocation at) {
  fail<DTypeError>(op,
                   fmt::format("{} is {} but {} is {}: convert one", a.name, name(a.var.dtype()), b.name,
                               name(b.var.dtype())),
                   {a, b}, at);
}

void detail::require_shapes_broadcast(std::string_view op, NamedVar a, NamedVar b, SourceLocation at) {
  if (broadcastable(a.var.shape(), b.var.shape())) return;
  fail<ShapeError>(
      op,
      fmt::format("shapes {} and {} do not broadcast: extents must agree or be 1, from the last axis on",
                  to_string(a.var.shape()), to_string(b.var.shape())),
      {a, b}, at);
}

void detail::fail_no_var(char symbol, SourceLocation at) {
  throw GraphError(fmt::format("operator{}: no operand is a var, so there is nothing to record{}{}", symbol,
                               at.file ? ", at " : "", to_string(at)));
}

void require_rank(std::string_view op, NamedVar x, int rank, SourceLocation at) {
  if (x.var.rank() == rank) return;
  fail<ShapeError>(op, fmt::format("{} must have rank {}, found {}", x.name, rank, x.var.rank()), {x}, at);
}

void Recorder::throw_stale(const Var& var, SourceLocation at) {
  throw GraphError(fmt::format("a stale var (node {}): its graph was cleared since; compute it again, at {}",
                               var.id(), to_string(at)));
}

void Recorder::throw_two_graphs(SourceLocation at) {
  throw GraphError(
      fmt::format("vars of two graphs in one op: detach() one of them or record both in one graph, at {}",
                  to_string(at)));
}

double Op::flops(std::span<const TensorType> x, const TensorType& y) const {
  switch (info().group) {
    case OpGroup::elementwise:
    case OpGroup::random:
      return static_cast<double>(y.shape.elements());
    case OpGroup::reduction:
      return x.empty() ? 0 : static_cast<double>(x[0].shape.elements());
    default:
      return 0;
  }
}

Var Gradients::input(int i) const {
  const NodeId n = operand(i);
  const Tensor* value = graph_->op(n) ? graph_->find_kept(node_, static_cast<std::uint32_t>(i))
                                      : graph_->find_kept(n, kept_output);
  return Var(value ? *value : Tensor(), graph_, graph_->place_of(n));
}

Tensor Gradients::take_sum(int i) {
  const NodeId n = operand(i);
  if (!sums_ || apart_ || recording() || !wants(i) || scattered_->find(n)) return {};
  Tensor& sum = sums_[n].value_;
  if (!sum.defined() || !sum.is_unique() || &sum.type() != &graph_->type(n)) return {};
  return std::exchange(sum, Tensor());
}

bool Gradients::takes_scattered(int i) const {
  const NodeId x = operand(i);
  const Op* op = graph_->op(x);
  if (!op || recording() || graph_->tables_->observer || (marks_[x] & target_of_pass) != 0 ||
      scattered_->find(x))
    return false;
  Gradients of_x(graph_, scattered_);
  of_x.marks_ = marks_;
  of_x.begin(x, graph_->first_edge(x).index, {}, nullptr);
  return op->reads_scattered(of_x);
}

void Gradients::set_scattered(int i, ScatteredGradient gradient) {
  scattered_->put(operand(i), static_cast<std::size_t>(i), std::move(gradient));
}

const ScatteredGradient* Gradients::scattered() const {
  const ScatteredGradients::Entry* entry = scattered_->empty() ? nullptr : scattered_->find(node_);
  return entry ? &entry->gradient : nullptr;
}

void Gradients::write_out(int i) {
  const ScatteredGradients::Entry* entry = scattered_->find(operand(i));
  if (!entry || entry->has_arrived) return;
  set(i, Recorder::unrecorded(scattered_->take_written(operand(i), shape(i)), graph_));
}

Var Gradients::extra() const {
  const Tensor* value = graph_->find_kept(node_, kept_extra);
  return Var(value ? *value : Tensor(), graph_);
}

}  // namespace weft
