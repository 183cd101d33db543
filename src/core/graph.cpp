#include "weft/graph.hpp"

#include <fmt/format.h>

#include <limits>

#include "core/graph_tables.hpp"
#include "weft/op.hpp"

namespace weft {

// ---- names and memory of ops ------------------------------------------------------------------------------

std::uint32_t Graph::Tables::intern(std::string_view text) {
  if (text.empty()) return 0;
  if (const auto found = name_index.find(text); found != name_index.end()) return found->second;
  names.emplace_back(text);
  const auto index = static_cast<std::uint32_t>(names.size() - 1);
  name_index.emplace(names.back(), index);
  return index;
}

void* Graph::Tables::allocate(std::size_t bytes, std::size_t alignment) {
  used_ = (used_ + alignment - 1) / alignment * alignment;
  if (chunks_.empty() || used_ + bytes > chunk_bytes) {
    if (bytes > chunk_bytes)
      throw GraphError(fmt::format("an op of {} bytes: at most {}", bytes, chunk_bytes));
    if (!chunks_.empty()) ++chunk_;
    if (chunk_ == chunks_.size()) chunks_.push_back(std::make_unique<std::byte[]>(chunk_bytes));
    used_ = 0;
  }
  void* memory = chunks_[chunk_].get() + used_;
  used_ += bytes;
  return memory;
}

void Graph::Tables::clear() {
  parameters.clear();
  held.clear();
  last_root = last_error.node = no_node;
  last_error.message.clear();
  if (observer) observer->cleared();
  chunk_ = used_ = 0;
}

// ---- recording --------------------------------------------------------------------------------------------

Graph::Graph(const GraphOptions& options) : options_(options), tables_(std::make_unique<Tables>()) {
  scopes_.push_back({0, {}});
}
Graph::~Graph() = default;

NodeId Graph::append(const Op* op, const TensorType& type, NodeKind kind, bool differentiable,
                     SourceLocation at) {
  if (nodes_.size() >= std::numeric_limits<NodeId>::max())
    throw GraphError("the graph is full: it has 2^32 nodes");
  if (rule_node_ != no_node) at = source(rule_node_);
  const std::uint32_t type_index = find_type(type);
  Node& node = nodes_.emplace_back();
  node.op = op;
  node.type = type_index;
  node.first_edge = edge_count();
  node.first_kept = static_cast<std::uint32_t>(kept_.size());
  node.scope = scope_;
  node.rule_of = rule_node_;
  node.file = at.file;
  node.line = static_cast<std::uint32_t>(at.line);
  node.kind = kind;
  node.differentiable = differentiable;
  return node_count() - 1;
}

// Most nodes are like one of the last ones.
std::uint32_t Graph::find_type(const TensorType& type) {
  constexpr std::size_t looked_at = 8;
  if (!nodes_.empty() && types_[nodes_.back().type] == type) return nodes_.back().type;
  for (std::size_t i = types_.size(); i > 0 && i + looked_at > types_.size(); --i) {
    if (types_[i - 1] == type) return static_cast<std::uint32_t>(i - 1);
  }
  types_.push_back(type);
  return static_cast<std::uint32_t>(types_.size() - 1);
}

void Graph::keep(Tensor value, std::uint32_t what) {
  kept_.push_back(std::move(value));
  kept_what_.push_back(what);
}

Var Graph::append_source(NodeKind kind, Tensor value, std::string_view name, SourceLocation at) {
  const bool differentiable = kind != NodeKind::constant && is_floating(value.dtype());
  const NodeId n = append(nullptr, {value.shape(), value.dtype()}, kind, differentiable, at);
  nodes_[n].name = tables_->intern(name);
  keep(value, kept_output);
  if (tables_->observer) tables_->observer->recorded(n, value);
  return Var(std::move(value), this, n, epoch_);
}

Var Graph::input(Tensor value, std::string_view name, SourceLocation at) {
  if (!value.defined())
    throw GraphError(fmt::format("input '{}' is an empty tensor, at {}", name, to_string(at)));
  if (!is_recording()) return Var(std::move(value), this);
  return append_source(NodeKind::input, std::move(value), name, at);
}

Var Graph::use(const Parameter& parameter, SourceLocation at) {
  if (!is_recording()) return Var(parameter.value(), this);
  auto [entry, is_new] = tables_->parameter_index.try_emplace(parameter.key(), Tables::LastUse{0, 0});
  Tables::LastUse& last = entry->second;
  if (!is_new && last.epoch == epoch_) {
    const Tables::ParameterUse& use = tables_->parameters[last.index];
    if (use.version != parameter.version()) {
      throw GraphError(
          fmt::format("parameter {} was updated after this graph first used it: call clear() on the graph "
                      "after each update, at {}",
                      parameter.name(), to_string(at)));
    }
    return Var(parameter.value(), this, use.node, epoch_);
  }
  last = {epoch_, static_cast<std::uint32_t>(tables_->parameters.size())};
  Var var = append_source(NodeKind::parameter, parameter.value(), parameter.name(), at);
  tables_->parameters.push_back({parameter, parameter.version(), var.id()});
  return var;
}

void* Recorder::allocate(Graph& graph, std::size_t bytes, std::size_t alignment) {
  return graph.tables_->allocate(bytes, alignment);
}

void Recorder::hold(Graph& graph, std::shared_ptr<const void> memory) {
  graph.tables_->held.push_back(std::move(memory));
}

Var Recorder::amend(const Var& recorded, const Op* op, Tensor value) {
  Graph& graph = *recorded.graph_;
  graph.nodes_[recorded.id_].op = op;
  if (const Tensor* kept = graph.find_kept(recorded.id_, kept_output)) {
    graph.kept_[static_cast<std::size_t>(kept - graph.kept_.data())] = value;
  }
  return Var(std::move(value), recorded.graph_, recorded.id_, recorded.epoch_);
}

Var Recorder::append(Graph& graph, const Op* op, Tensor y, std::span<const VarRef> operands,
                     const Saved& saved, SourceLocation at) {
  bool differentiable = false;
  const auto constants_from = graph.node_count();
  for (const auto [var] : operands) {
    if (!var->is_recorded())
      graph.append_source(NodeKind::constant, var->value(), {}, at);
    else
      differentiable = differentiable || graph.is_differentiable(var->id());
  }
  differentiable = differentiable && is_floating(y.dtype());

  const NodeId n = graph.append(op, {y.shape(), y.dtype()}, NodeKind::op, differentiable, at);
  NodeId constant = constants_from;
  std::uint32_t slot = 0;
  for (const auto [var] : operands) {
    const NodeId input = var->is_recorded() ? var->id() : constant++;
    graph.edge_source_.push_back(n);
    graph.edge_target_.push_back(input);
    const bool saves = slot < 32 && (saved.operands >> slot & 1u) != 0;
    if (differentiable && saves && graph.nodes_[input].op) graph.keep(var->value(), slot);
    ++slot;
  }
  if (differentiable && saved.output) graph.keep(y, kept_output);
  if (differentiable && saved.extra.defined()) graph.keep(saved.extra, kept_extra);
  if (graph.tables_->observer) graph.tables_->observer->recorded(n, y);
  return Var(std::move(y), &graph, n, graph.epoch_);
}

void Graph::clear() {
  nodes_.clear();
  types_.clear();
  edge_source_.clear();
  edge_target_.clear();
  kept_.clear();
  kept_what_.clear();
  scopes_.resize(1);
  scope_ = 0;
  tables_->clear();
  if (++epoch_ == 0) epoch_ = 1;  // 0 means: not recorded
}

// ---- scopes and pauses ------------------------------------------------------------------------------------

std::uint32_t Graph::enter_scope(std::uint32_t parent, std::string_view name) {
  const std::uint32_t index = tables_->intern(name);
  scopes_.push_back({parent, tables_->names[index]});
  return static_cast<std::uint32_t>(scopes_.size() - 1);
}

Scope Graph::scope(std::string_view name) {
  const std::uint32_t outer = std::exchange(scope_, enter_scope(scope_, name));
  return Scope(this, outer);
}

Scope::~Scope() {
  if (graph_ && outer_ < graph_->scopes_.size()) graph_->scope_ = outer_;
}

std::string Graph::scope_path(std::uint32_t scope) const {
  if (scope == 0) return {};
  const ScopeEntry& entry = scopes_[scope];
  const std::string outer = scope_path(entry.parent);
  return outer.empty() ? std::string(entry.name) : fmt::format("{}/{}", outer, entry.name);
}

Pause Graph::pause() {
  ++paused_;
  return Pause(this);
}

Pause::~Pause() {
  if (graph_) --graph_->paused_;
}

// ---- reading the record -----------------------------------------------------------------------------------

EdgeId Graph::first_edge(NodeId n) const { return {n == node_count() ? edge_count() : nodes_[n].first_edge}; }

std::span<const NodeId> Graph::inputs(NodeId n) const {
  const std::uint32_t first = first_edge(n).index;
  return std::span(edge_target_).subspan(first, first_edge(n + 1).index - first);
}

std::string_view Graph::name(NodeId n) const { return tables_->names[nodes_[n].name]; }

const Tensor* Graph::find_kept(NodeId n, std::uint32_t what) const {
  const std::size_t end = n + 1 == node_count() ? kept_.size() : nodes_[n + 1].first_kept;
  for (std::size_t i = nodes_[n].first_kept; i < end; ++i) {
    if (kept_what_[i] == what) return &kept_[i];
  }
  return nullptr;
}

const Tensor& Graph::source_value(NodeId n) const {
  if (op(n)) throw GraphError(fmt::format("node {} is the op {}, no source", n, op(n)->info().name));
  return *find_kept(n, kept_output);
}

Tensor Graph::kept_value(NodeId n) const {
  const Tensor* kept = find_kept(n, kept_output);
  return kept ? *kept : Tensor();
}

void Graph::verify() const {
  const auto require = [](bool holds, int invariant, std::string_view what, std::size_t where) {
    if (!holds) throw GraphError(fmt::format("invariant {} is broken: {} {}", invariant, what, where));
  };
  require(edge_source_.size() == edge_target_.size(), 2, "the edge arrays differ in length by", 0);
  for (NodeId n = 0; n < node_count(); ++n) {
    require(first_edge(n).index <= first_edge(n + 1).index, 2, "edges are not contiguous at node", n);
    for (std::uint32_t e = first_edge(n).index; e < first_edge(n + 1).index; ++e) {
      require(edge_source_[e] == n, 2, "the wrong consumer at edge", e);
      require(edge_target_[e] < n, 1, "an input is not older than its consumer at edge", e);
    }
    require((nodes_[n].kind == NodeKind::op) == (nodes_[n].op != nullptr), 3, "kind and op disagree at node",
            n);
    require(nodes_[n].op || inputs(n).empty(), 2, "a source has inputs: node", n);
    require(nodes_[n].op || find_kept(n, kept_output), 4, "a source has lost its value: node", n);
    require(nodes_[n].scope < scopes_.size(), 4, "an unknown scope at node", n);
  }
}

// ---- vars and parameters ----------------------------------------------------------------------------------

const TensorType& Var::recorded_type() const {
  if (!is_recorded() || !graph_->contains(*this)) throw_no_value();
  return graph_->type(id_);
}

void Var::throw_no_value() const {
  if (!is_recorded()) throw GraphError("an empty var was used: it was default-constructed or moved from");
  if (!graph_->contains(*this))
    throw GraphError(fmt::format("a stale var (node {}): its graph was cleared since", id_));
  const Op* op = graph_->op(id_);
  throw GraphError(fmt::format("the value of {} (node {}) is not there: the op that needs it did not save it",
                               op ? op->info().name : graph_->name(id_), id_));
}

Parameter::Parameter(std::string name, Tensor value) : state_(std::make_shared<State>()) {
  if (!value.defined() || !is_floating(value.dtype())) {
    throw DTypeError(fmt::format("parameter {}: its value must be f32 or f64, found {}", name,
                                 value.defined() ? weft::name(value.dtype()) : "no tensor"));
  }
  state_->name = std::move(name);
  state_->value = std::move(value);
}

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

}  // namespace weft
