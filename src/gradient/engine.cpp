// The reverse-mode engine: one ascending sweep marks what the targets influence, and a loop that counts down
// from the root calls the rules of the marked nodes at which a gradient has arrived. Only here are gradients
// accumulated.
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
    scattered_.clear();
    graph_.tables_->workspace = std::move(memory_);
  }

  void mark(std::span<const NodeId> targets) {
    require_current_parameters();
    graph_.tables_->last_root = root_;
    graph_.tables_->last_targets.assign(targets.begin(), targets.end());
    active_.assign(root_ + 1, 0);
    for (const NodeId target : targets) {
      if (target <= root_ && graph_.is_differentiable(target)) active_[target] = influenced | target_of_pass;
    }
    // Edges lie in the order of the nodes that they run from.
    const std::uint32_t end = graph_.first_edge(root_ + 1).index;
    for (std::uint32_t e = 0; e < end; ++e) {
      const NodeId n = graph_.edge_source_[e];
      if (graph_.nodes_[n].differentiable) active_[n] |= active_[graph_.edge_target_[e]] & influenced;
    }
    if (graph_.has_released_) require_unreleased();
  }

  void run(Var gy) {
    slots_.assign(root_ + 1, Var());
    slots_[root_] = std::move(gy);
    for (NodeId n = root_ + 1; n-- > 0;) {
      if (!(active_[n] & influenced) || !slots_[n].defined()) continue;
      if (observer_) observer_->gradient_arrived(n, slots_[n].value());
      if (!graph_.op(n)) continue;
      call_rule(n);
      if (release_) release(n);
    }
  }

  // The gradient that has arrived at a target; empty where none has.
  const Var& gradient_of(NodeId n) const { return slots_[n]; }

  void mark_vars(std::span<const Var> xs) {
    memory_.targets.clear();
    for (const Var& x : xs) memory_.targets.push_back(x.id());
    mark(memory_.targets);
  }
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
  static constexpr std::uint8_t influenced = Gradients::wanted, reached = 2,
                                target_of_pass = Gradients::target_of_pass;

  void require_current_parameters() const {
    for (const auto& [parameter, version, node] : graph_.tables_->parameters) {
      if (node > root_ || parameter.version() == version) continue;
      throw GraphError(
          fmt::format("parameter {} was updated after this graph used it: run the forward again after each "
                      "update (clear() the graph first)",
                      parameter.name()));
    }
  }

  // Of the nodes whose rules will be called: those that the root depends on and a target influences.
  void require_unreleased() {
    active_[root_] |= reached;
    for (std::uint32_t e = graph_.first_edge(root_ + 1).index; e-- > 0;) {
      const NodeId n = graph_.edge_source_[e];
      if ((active_[n] & influenced) == 0 || (active_[n] & reached) == 0) continue;
      if (graph_.nodes_[n].released) {
        throw GraphError(fmt::format(
            "what {} (node {}) saved was released by an earlier backward(): pass {{.retain = true}} "
            "to that one",
            graph_.op(n)->info().name, n));
      }
      active_[graph_.edge_target_[e]] |= reached;
    }
  }

  // The output that a node kept, lent to its rule: no second handle, and no count of one.
  class Lent {
   public:
    Lent(Graph& graph, NodeId n) : graph_(graph), y_(Tensor(), &graph, n, graph.epoch_) {
      const Tensor* kept = graph.find_kept(n, kept_output);
      if (!kept) return;
      place_ = static_cast<std::size_t>(kept - graph.kept_.data());  // recording moves the array
      y_.value_ = std::move(graph.kept_[place_]);
    }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    ~Lent() {
      if (place_ != nowhere) graph_.kept_[place_] = std::move(y_.value_);
    }
    const Var& operator*() const { return y_; }

   private:
    static constexpr auto nowhere = static_cast<std::size_t>(-1);
    Graph& graph_;
    Var y_;
    std::size_t place_ = nowhere;
  };

  void call_rule(NodeId n) {
    const Op& op = *graph_.op(n);
    const std::uint32_t first = graph_.first_edge(n).index, count = graph_.first_edge(n + 1).index - first;
    if (results_.size() < count) results_.resize(count);  // all empty
    graph_.rule_node_ = n;
    if (record_) enter_gradient_scope(graph_.scope_of(n));

    std::uint32_t operand = 0;
    try {
      {
        const Lent y(graph_, n);
        Var gy = (active_[n] & target_of_pass) ? slots_[n] : std::move(slots_[n]);
        Gradients gx(&graph_, n, active_.data(), std::span(results_.data(), count), gy, &scattered_);
        op.backward(*y, gy, gx);
        if (!scattered_.empty()) scattered_.drop(n);
      }
      if (observer_) observer_->rule_ended(n, graph_.inputs(n), std::span(results_.data(), count));
      for (; operand < count; ++operand) {
        const NodeId input = graph_.edge_target_[first + operand];
        if (active_[input] & influenced) accumulate(input, results_[operand]);
        results_[operand] = Var();
      }
    } catch (Error& error) {
      add_context(error, n, operand);
      throw;
    }
  }

  void add_context(Error& error, NodeId n, std::uint32_t operand) {
    const std::string_view op = graph_.op(n)->info().name;
    error.add_context(operand == 0
                          ? fmt::format("in the gradient of {} (node {})", op, n)
                          : fmt::format("in the gradient of {} (node {}, operand {})", op, n, operand));
    graph_.tables_->last_error = {n, {}, {}, error.what()};
  }

  void accumulate(NodeId input, Var& g) {
    const TensorType& wanted = graph_.type(input);
    const bool fits = g.defined() && g.dtype() == wanted.dtype && g.shape() == wanted.shape;
    Var& slot = slots_[input];
    if (!fits && !g.defined() && !slot.defined() && scattered_.find(input)) {
      slot = scattered_.find(input)->gy;  // stands for it until the rule of `input` reads it
      return;
    }
    if (!fits) g = fitted(g.defined() || !scattered_.find(input) ? g : written_out(input), wanted);
    if (!slot.defined()) {
      slot = std::move(g);
      return;
    }
    if (scattered_.find(input)) slot = written_out(input);
    add_to_slot(slot, g);
  }

  Var written_out(NodeId n) {
    return Recorder::unrecorded(scattered_.take_written(n, graph_.type(n).shape), &graph_);
  }

  [[gnu::noinline]] static Var fitted(const Var& g, const TensorType& wanted) {
    if (!g.defined()) throw GraphError("the rule set no gradient for an operand that wants one");
    if (g.dtype() != wanted.dtype) {
      throw DTypeError(fmt::format("the rule set a gradient of {} for an operand of {}", name(g.dtype()),
                                   name(wanted.dtype)));
    }
    return undo_broadcast(g, wanted.shape);
  }

  [[gnu::noinline]] void add_to_slot(Var& slot, const Var& g) {
    if (record_) {
      slot = add(slot, g);
      return;
    }
    Tensor sum = std::exchange(slot, Var()).value();
    add_to(sum, g.value());
    slot = Recorder::unrecorded(std::move(sum), &graph_);
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
    const std::size_t end = graph_.nodes_[n + 1].first_kept;
    for (std::size_t i = node.first_kept; i < end; ++i) graph_.kept_[i] = {};
    node.released = end > node.first_kept;
    graph_.has_released_ |= node.released;
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
  std::vector<Var>& results_ = memory_.results;  // of the rule that runs; empty but then
  ScatteredGradients& scattered_ = memory_.scattered;
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

// One result for each x, into `gx`.
static void gradient_into(std::span<Var> gx, const Var& y, std::span<const Var> xs,
                          const GradientOptions& options) {
  if (!y.is_recorded() || !y.graph()->contains(y))
    throw GraphError("gradient: y is no node, or its graph was cleared");
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
  }
  const Var checked = Engine::gy_or_one(y, options.gy.defined() ? options.gy.value() : Tensor(), "gradient");
  Engine engine(y, options.record, false);
  engine.mark_vars(xs);
  engine.run(options.gy.defined() ? options.gy : checked);
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const Var& x = xs[i];
    const Var g = x.id() <= y.id() ? engine.gradient_of(x.id()) : Var();
    gx[i] = g.defined() ? g : Recorder::unrecorded(Tensor::zeros(x.shape(), x.dtype()), y.graph());
  }
}

std::vector<Var> gradient(const Var& y, std::span<const Var> xs, const GradientOptions& options) {
  std::vector<Var> gx(xs.size());
  gradient_into(gx, y, xs, options);
  return gx;
}

Var gradient(const Var& y, const Var& x, const GradientOptions& options) {
  Var gx;
  gradient_into({&gx, 1}, y, {&x, 1}, options);
  return gx;
}

}  // namespace weft
