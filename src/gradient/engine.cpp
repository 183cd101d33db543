// The reverse-mode engine: one ascending sweep marks what the targets influence, and a loop that counts down
// from the root calls the rules of the marked nodes at which a gradient has arrived. Only here are gradients
// accumulated, unless a rule takes a sum to add to it.
#include <fmt/format.h>

#include <optional>

#include "core/graph_tables.hpp"
#include "gradient/fitted.hpp"
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
  ~Engine() {
    graph_.rule_node_ = rule_node_;
    graph_.scope_ = scope_;
    take_back_output();
    if (has_ended_) {  // only at targets are gradients left
      for (const NodeId target : memory_.targets)
        if (target <= root_) memory_.gradients[target] = Var();
    } else {
      memory_.gradients.clear();
      memory_.results.clear();
    }
    memory_.scattered.clear();
    graph_.tables_->workspace = std::move(memory_);
  }

  void mark() {
    require_current_parameters();
    graph_.tables_->last_root = root_;
    graph_.tables_->last_targets = memory_.targets;
    memory_.active.assign(root_ + 1, 0);
    for (const NodeId target : memory_.targets) {
      if (target <= root_ && graph_.is_differentiable(target))
        memory_.active[target] = influenced | target_of_pass;
    }
    // Edges lie in the order of the nodes that they run from.
    const std::uint32_t end = graph_.first_edge(root_ + 1).index;
    std::uint8_t* active = memory_.active.data();
    const Graph::Node* nodes = graph_.nodes_.data();
    const NodeId *source = graph_.edge_source_.data(), *target = graph_.edge_target_.data();
    NodeId last = no_node;  // mostly the next one's operand: its mark need not come back from memory
    std::uint8_t mark = 0;
    for (std::uint32_t e = 0; e < end; ++e) {
      if (!nodes[source[e]].differentiable) continue;
      if (target[e] != last) mark = active[target[e]];
      last = source[e];
      mark = active[last] | (mark & influenced);
      active[last] = mark;
    }
    if (graph_.has_released_) require_unreleased();
  }

  void run(Var gy) {
    if (memory_.gradients.size() <= root_) memory_.gradients.resize(root_ + 1);
    if (memory_.active[root_] & influenced) memory_.gradients[root_] = std::move(gy);
    gx_.marks_ = memory_.active.data();
    gx_.sums_ = observer_ ? nullptr : memory_.gradients.data();
    for (NodeId n = root_ + 1; n-- > 0;) {
      if (!(memory_.active[n] & influenced) || !memory_.gradients[n].defined()) continue;
      if (observer_) observer_->gradient_arrived(n, memory_.gradients[n].value());
      if (!graph_.op(n)) continue;
      try {
        call_rule(n);
      } catch (Error& error) {
        add_context(error, n);
        throw;
      }
      if (release_) release(n);
    }
    has_ended_ = true;
  }

  // The gradient that has arrived at a target; empty where none has.
  const Var& gradient_of(NodeId n) const { return memory_.gradients[n]; }

  void mark_vars(std::span<const Var> xs) {
    memory_.targets.clear();
    for (const Var& x : xs) memory_.targets.push_back(x.id());
    mark();
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
    mark();
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
    memory_.active[root_] |= reached;
    for (std::uint32_t e = graph_.first_edge(root_ + 1).index; e-- > 0;) {
      const NodeId n = graph_.edge_source_[e];
      if ((memory_.active[n] & influenced) == 0 || (memory_.active[n] & reached) == 0) continue;
      if (graph_.nodes_[n].released) {
        throw GraphError(fmt::format(
            "what {} (node {}) saved was released by an earlier backward(): pass {{.retain = true}} "
            "to that one",
            graph_.op(n)->info().name, n));
      }
      memory_.active[graph_.edge_target_[e]] |= reached;
    }
  }

  // The output that a node kept is lent to y_ while its rule runs: no second handle, and no count of one.
  void lend_output(NodeId n) {
    y_.place_ = graph_.place_of(n);
    lent_ = graph_.place_of_kept(n, kept_output);
    if (lent_ != Graph::nowhere) swap(y_.value_, graph_.kept_[lent_].value);
  }
  void take_back_output() {
    if (lent_ != Graph::nowhere) swap(y_.value_, graph_.kept_[lent_].value);
    lent_ = Graph::nowhere;
  }

  [[gnu::always_inline]] void call_rule(NodeId n) {
    const std::uint32_t first = graph_.first_edge(n).index, count = graph_.first_edge(n + 1).index - first;
    if (count == 1) {
      const NodeId input = graph_.edge_target_[first];
      Var& slot = memory_.gradients[input];
      if ((memory_.active[input] & influenced) && !slot.defined()) {  // the result goes there at once
        run_rule(n, first, {&slot, 1});
        if (!slot.defined() || &slot.value().type() != &graph_.type(input))
          accumulate(input, std::exchange(slot, Var()));
        return;
      }
    }
    call_rule_and_accumulate(n, first, count);
  }

  [[gnu::noinline]] void call_rule_and_accumulate(NodeId n, std::uint32_t first, std::uint32_t count) {
    std::vector<Var>& results = memory_.results;
    if (count > results.size()) results.resize(count);
    run_rule(n, first, {results.data(), count});
    for (operand_ = 0; operand_ < count; ++operand_) {
      const NodeId input = graph_.edge_target_[first + operand_];
      Var g = std::exchange(results[operand_], Var());
      if (memory_.active[input] & influenced) accumulate(input, std::move(g));
    }
    operand_ = 0;
  }

  [[gnu::always_inline]] void run_rule(NodeId n, std::uint32_t first_edge, std::span<Var> results) {
    graph_.rule_node_ = n;
    if (record_) enter_gradient_scope(graph_.scope_of(n));
    Var& gy = memory_.gradients[n];
    gx_.begin(n, first_edge, results, (memory_.active[n] & target_of_pass) ? nullptr : &gy);
    lend_output(n);
    graph_.op(n)->backward(y_, gy, gx_);
    take_back_output();
    if (!memory_.scattered.empty()) drop_scattered(n, results);
    if (gx_.gy_) gx_.gy_->value_ = Tensor();
    if (observer_) observer_->rule_ended(n, graph_.inputs(n), results);
  }

  // What the rule of n has read, and what it set and then replaced.
  [[gnu::noinline]] void drop_scattered(NodeId n, std::span<const Var> results) {
    memory_.scattered.drop(n);
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i].defined()) memory_.scattered.drop_new(graph_.inputs(n)[i], i);
    }
  }

  void add_context(Error& error, NodeId n) {
    const std::string_view op = graph_.op(n)->info().name;
    error.add_context(operand_ == 0
                          ? fmt::format("in the gradient of {} (node {})", op, n)
                          : fmt::format("in the gradient of {} (node {}, operand {})", op, n, operand_));
    graph_.tables_->last_error = {n, {}, {}, error.what()};
  }

  // g is what the rule set for `input`.
  [[gnu::noinline]] void accumulate(NodeId input, Var g) {
    Var& slot = memory_.gradients[input];
    ScatteredGradients::Entry* scattered = memory_.scattered.find(input);
    const bool is_scattered = scattered && !scattered->has_arrived && !g.defined();
    if (is_scattered && !slot.defined()) {
      scattered->has_arrived = true;
      slot = scattered->gradient.gy;  // stands for it until the rule of `input` reads it
      return;
    }
    if (is_scattered)
      g = written_out(input);
    else if (scattered && scattered->has_arrived)
      slot = written_out(input);
    g = fitted(g, graph_.type(input));
    if (slot.defined())
      add_to_slot(slot, g);
    else
      slot = std::move(g);
  }

  Var written_out(NodeId n) {
    return Recorder::unrecorded(memory_.scattered.take_written(n, graph_.type(n).shape), &graph_);
  }

  void add_to_slot(Var& slot, const Var& g) {
    if (record_) {
      slot = add(slot, g);
      return;
    }
    Tensor sum = std::exchange(slot, Var()).value();
    add_to(sum, g.value());
    slot = Recorder::unrecorded(std::move(sum), &graph_);
  }

  void release(NodeId n) {
    Graph::Node& node = graph_.nodes_[n];
    const std::size_t end = graph_.nodes_[n + 1].first_kept;
    for (std::size_t i = node.first_kept; i < end; ++i) graph_.kept_[i].value = {};
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
  bool has_ended_ = false;  // no rule threw
  std::optional<Pause> pause_;
  Graph::Tables::Workspace memory_;  // taken from the graph: a rule that asks for a gradient has its own

  // Of the rule that runs: its output, what it is given, and the operand whose gradient is accumulated.
  Var y_{Tensor(), &graph_};
  std::size_t lent_ = Graph::nowhere;  // the place that y_'s value was taken from
  Gradients gx_{&graph_, &memory_.scattered};
  std::uint32_t operand_ = 0;
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
