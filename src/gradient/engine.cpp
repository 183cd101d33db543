// The reverse-mode engine: one ascending sweep marks what the targets influence, one descending sweep what
// the root depends on, and a loop that counts down calls the rules of the nodes in both. Only here are
// gradients accumulated.
#include <fmt/format.h>

#include <optional>

#include "core/graph_tables.hpp"
#include "kernels/elementwise.hpp"
#include "weft/gradient.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

class Engine {
 public:
  Engine(const Var& y, bool record, bool release)
      : graph_(*y.graph()),
        root_(y.id()),
        record_(record),
        release_(release),
        memory_(std::exchange(graph_.tables_->workspace, {})) {
    if (!record_) pause_.emplace(graph_.pause());
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() {
    graph_.rule_node_ = rule_node_;
    graph_.scope_ = scope_;
    slots_.clear();
    results_.clear();  // of a rule that threw
    graph_.tables_->workspace = std::move(memory_);
  }

  void mark(std::span<const NodeId> targets) {
    require_current_parameters();
    graph_.tables_->last_root = root_;
    graph_.tables_->last_targets.assign(targets.begin(), targets.end());
    active_.assign(root_ + 1, 0);
    for (const NodeId target : targets) {
      if (target <= root_) active_[target] = influenced | target_of_pass;
    }
    for (NodeId n = 0; n <= root_; ++n) {
      for (const NodeId input : graph_.inputs(n)) active_[n] |= active_[input] & influenced;
      if (!graph_.is_differentiable(n)) active_[n] = 0;
    }
    active_[root_] |= reached;
    for (NodeId n = root_ + 1; n-- > 0;) {
      if (!is_active(n)) continue;
      if (graph_.nodes_[n].released) throw_released(n);
      for (const NodeId input : graph_.inputs(n)) active_[input] |= reached;
    }
  }

  void run(Var gy) {
    slots_.assign(root_ + 1, Var());
    slots_[root_] = std::move(gy);
    for (NodeId n = root_ + 1; n-- > 0;) {
      if (!is_active(n) || !slots_[n].defined()) continue;
      if (observer_) observer_->gradient_arrived(n, slots_[n].value());
      if (!graph_.op(n)) continue;
      call_rule(n);
      if (release_) release(n);
    }
  }

  // The gradient that has arrived at a target; empty where none has.
  const Var& gradient_of(NodeId n) const { return slots_[n]; }

  // For Graph::backward: marks the trainable parameters that the loss can depend on.
  void mark_trainable() {
    const auto& parameters = graph_.tables_->parameters;
    memory_.uses.clear();
    memory_.targets.clear();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (parameters[i].node > root_ || !parameters[i].parameter.trainable()) continue;
      memory_.uses.push_back(i);
      memory_.targets.push_back(parameters[i].node);
    }
    mark(memory_.targets);
  }
  void accumulate_trainable() {
    for (const std::size_t use : memory_.uses) {
      Graph::Tables::ParameterUse& parameter = graph_.tables_->parameters[use];
      const Var& g = gradient_of(parameter.node);
      if (g.defined()) parameter.parameter.accumulate_grad(g.value());
    }
  }

  static Var gy_or_one(const Var& y, Tensor gy, std::string_view who) {
    if (!is_floating(y.dtype())) {
      throw DTypeError(fmt::format("{}: y is {}: only f32 and f64 have gradients", who, name(y.dtype())));
    }
    if (gy.defined()) {
      if (gy.shape() != y.shape() || gy.dtype() != y.dtype()) {
        throw ShapeError(fmt::format("{}: gy is {} but y is {}", who,
                                     to_string(TensorType{gy.shape(), gy.dtype()}),
                                     to_string(TensorType{y.shape(), y.dtype()})));
      }
      return Recorder::unrecorded(std::move(gy), y.graph());
    }
    if (y.shape().elements() != 1) {
      throw GraphError(fmt::format("{}: y has shape {}: reduce it to one element, by sum or mean, or give gy",
                                   who, to_string(y.shape())));
    }
    return Recorder::unrecorded(Tensor::full(y.shape(), 1, y.dtype()), y.graph());
  }

 private:
  static constexpr std::uint8_t influenced = 1, reached = 2, target_of_pass = 4;

  bool is_active(NodeId n) const { return (active_[n] & (influenced | reached)) == (influenced | reached); }

  void require_current_parameters() const {
    for (const auto& [parameter, version, node] : graph_.tables_->parameters) {
      if (node > root_ || parameter.version() == version) continue;
      throw GraphError(
          fmt::format("parameter {} was updated after this graph used it: run the forward again after each "
                      "update (clear() the graph first)",
                      parameter.name()));
    }
  }

  [[noreturn]] void throw_released(NodeId n) const {
    throw GraphError(
        fmt::format("what {} (node {}) saved was released by an earlier backward(): pass {{.retain = true}} "
                    "to that one",
                    graph_.op(n)->info().name, n));
  }

  void call_rule(NodeId n) {
    const Op& op = *graph_.op(n);
    const std::span<const NodeId> recorded_inputs = graph_.inputs(n);
    inputs_.assign(recorded_inputs.begin(), recorded_inputs.end());  // a copy: recording moves the array
    wanted_.resize(inputs_.size());
    for (std::size_t i = 0; i < inputs_.size(); ++i) wanted_[i] = active_[inputs_[i]] & influenced;
    results_.resize(inputs_.size());  // all empty
    graph_.rule_node_ = n;
    if (record_) enter_gradient_scope(graph_.scope_of(n));

    const Tensor* output = graph_.find_kept(n, kept_output);
    const Var y(output ? *output : Tensor(), &graph_, n, graph_.epoch_);
    Var gy = (active_[n] & target_of_pass) ? slots_[n] : std::move(slots_[n]);
    Gradients gx(&graph_, n, inputs_, wanted_, results_, gy);
    std::size_t operand = 0;
    try {
      op.backward(y, gy, gx);
      if (observer_) observer_->rule_ended(n, inputs_, results_);
      for (; operand < inputs_.size(); ++operand) {
        Var result = std::exchange(results_[operand], Var());
        if (wanted_[operand]) accumulate(inputs_[operand], std::move(result));
      }
    } catch (Error& error) {
      error.add_context(operand == 0 ? fmt::format("in the gradient of {} (node {})", op.info().name, n)
                                     : fmt::format("in the gradient of {} (node {}, operand {})",
                                                   op.info().name, n, operand));
      graph_.tables_->last_error = {n, {}, {}, error.what()};
      throw;
    }
  }

  void accumulate(NodeId input, Var g) {
    if (!g.defined()) throw GraphError("the rule set no gradient for an operand that wants one");
    const TensorType& wanted = graph_.type(input);
    if (g.dtype() != wanted.dtype) {
      throw DTypeError(fmt::format("the rule set a gradient of {} for an operand of {}", name(g.dtype()),
                                   name(wanted.dtype)));
    }
    if (g.shape() != wanted.shape) g = undo_broadcast(g, wanted.shape);
    Var& slot = slots_[input];
    if (!slot.defined()) {
      slot = std::move(g);
    } else if (record_) {
      slot = add(slot, g);
    } else {
      Tensor sum = std::exchange(slot, Var()).value();
      add_to(sum, g.value());
      slot = Recorder::unrecorded(std::move(sum), &graph_);
    }
  }

  static Var undo_broadcast(const Var& g, Shape shape) {  // a copy: recording moves the array
    if (!broadcastable_to(shape, g.shape())) {
      throw ShapeError(fmt::format("the rule set a gradient of shape {} for an operand of shape {}",
                                   to_string(g.shape()), to_string(shape)));
    }
    const int added = g.rank() - shape.rank();
    Ints axes;
    for (int axis = 0; axis < g.rank(); ++axis) {
      if (axis < added || shape[axis - added] != g.extent(axis)) axes.push_back(axis);
    }
    const Var summed = axes.empty() ? g : sum(g, {.axes = axes});
    return summed.shape() == shape ? summed : reshape(summed, shape.extents());
  }

  void release(NodeId n) {
    Graph::Node& node = graph_.nodes_[n];
    const std::size_t end =
        n + 1 == graph_.node_count() ? graph_.kept_.size() : graph_.nodes_[n + 1].first_kept;
    for (std::size_t i = node.first_kept; i < end; ++i) graph_.kept_[i] = {};
    node.released = end > node.first_kept;
  }

  // Nodes of a recorded gradient lie in scopes of their own, "gradient/net/conv1" for the rules of
  // "net/conv1".
  void enter_gradient_scope(std::uint32_t forward) {
    if (gradient_scope_ == 0) {
      gradient_scope_ = graph_.enter_scope(scope_, "gradient");
      graph_.scope_ = gradient_scope_;
      forward_scope_ = 0;
    }
    if (forward == forward_scope_) return;
    forward_scope_ = forward;
    graph_.scope_ =
        forward == 0 ? gradient_scope_ : graph_.enter_scope(gradient_scope_, graph_.scope_path(forward));
  }

  Graph& graph_;
  const NodeId root_;
  const bool record_, release_;
  const std::uint32_t scope_ = graph_.scope_;
  const NodeId rule_node_ = graph_.rule_node_;  // of the rule that asks for a gradient, if one does
  Observer* const observer_ = graph_.tables_->observer;
  std::uint32_t gradient_scope_ = 0, forward_scope_ = 0;
  std::optional<Pause> pause_;
  Graph::Tables::Workspace memory_;  // taken from the graph: a rule that asks for a gradient has its own
  std::vector<std::uint8_t>& active_ = memory_.active;
  std::vector<Var>& slots_ = memory_.gradients;
  std::vector<NodeId>& inputs_ = memory_.inputs;  // of the rule that runs, with what it wants and set
  std::vector<std::uint8_t>& wanted_ = memory_.wanted;
  std::vector<Var>& results_ = memory_.results;
};

void Graph::backward(const Var& loss, const BackwardOptions& options) {
  if (!contains(loss)) {
    throw GraphError(loss.is_recorded()
                         ? "backward: the loss is of another graph, or this one was cleared since"
                         : "backward: the loss is no node: nothing it was computed from is recorded");
  }
  const Var gy = Engine::gy_or_one(loss, options.gy, "backward");
  Engine engine(loss, false, !options.retain);
  engine.mark_trainable();
  engine.run(gy);
  engine.accumulate_trainable();
}

void Parameter::accumulate_grad(Tensor grad) {
  require_like_value("the gradient", grad);
  if (has_grad()) {
    add_to(state_->grad, grad);
  } else {
    state_->grad = std::move(grad);
  }
}

std::vector<Var> gradient(const Var& y, std::span<const Var> xs, const GradientOptions& options) {
  if (!y.is_recorded() || !y.graph()->contains(y))
    throw GraphError("gradient: y is no node, or its graph was cleared");
  std::vector<NodeId> targets;
  for (const Var& x : xs) {
    if (!y.graph()->contains(x)) {
      throw GraphError(
          "gradient: an x is no node of y's graph: make it with input() or use(), and do not detach() it");
    }
    if (!is_differentiable(x)) {
      throw GraphError(
          fmt::format("gradient: node {} is not differentiable: it is {}, or made from constants", x.id(),
                      to_string(TensorType{x.shape(), x.dtype()})));
    }
    targets.push_back(x.id());
  }
  const Var checked = Engine::gy_or_one(y, options.gy.defined() ? options.gy.value() : Tensor(), "gradient");
  Engine engine(y, options.record, false);
  engine.mark(targets);
  engine.run(options.gy.defined() ? options.gy : checked);
  std::vector<Var> gradients;
  for (const Var& x : xs) {
    const Var g = x.id() <= y.id() ? engine.gradient_of(x.id()) : Var();
    gradients.push_back(g.defined() ? g
                                    : Recorder::unrecorded(Tensor::zeros(x.shape(), x.dtype()), y.graph()));
  }
  return gradients;
}

}  // namespace weft
