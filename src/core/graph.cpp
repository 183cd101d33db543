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

std::span<std::byte> Graph::Tables::next_chunk() {
  if (used_chunks_ == chunks_.size()) chunks_.push_back(std::make_unique<std::byte[]>(chunk_bytes));
  return {chunks_[used_chunks_++].get(), chunk_bytes};
}

void Graph::Tables::clear() {
  parameters.clear();
  held.clear();
  last_root = last_error.node = no_node;
  last_error.message.clear();
  if (observer) observer->cleared();
  used_chunks_ = 0;
}

[[noreturn]] static void throw_full() { throw GraphError("the graph is full: it has 2^32 nodes"); }

// ---- recording --------------------------------------------------------------------------------------------

template <class T>
[[gnu::cold, gnu::noinline]] static void grow(std::vector<T>& array) {
  array.reserve(array.empty() ? 16 : 2 * array.size());
}

// emplace_back() that grows out of line: recording an op is a few stores where the processor's registers are
// its own. The arguments may not lie in the array.
template <class T, class... Arguments>
[[gnu::always_inline]] static inline void push(std::vector<T>& array, Arguments&&... arguments) {
  if (array.size() == array.capacity()) grow(array);
  if (array.size() == array.capacity()) __builtin_unreachable();
  array.emplace_back(std::forward<Arguments>(arguments)...);
}

Graph::Graph(const GraphOptions& options) : options_(options), tables_(std::make_unique<Tables>()) {
  scopes_.push_back({0, {}});
  end_node();
}
Graph::~Graph() = default;

// Most nodes are like the last one, most others like one of those before.
[[gnu::noinline]] std::uint32_t Graph::find_type(const Shape& shape, DType dtype) {
  constexpr std::size_t looked_at = 8;
  for (std::size_t i = types_.size(); i > 0 && i + looked_at > types_.size(); --i) {
    if (types_[i - 1].dtype == dtype && types_[i - 1].shape == shape)
      return static_cast<std::uint32_t>(i - 1);
  }
  types_.push_back({shape, dtype});
  return static_cast<std::uint32_t>(types_.size() - 1);
}

inline NodeId Graph::begin_node(const Op* op, const Tensor& y, NodeKind kind, bool differentiable,
                                const SourceLocation& at) {
  const NodeId n = node_count();
  if (n == std::numeric_limits<NodeId>::max() - 1) throw_full();
  const bool in_rule = rule_node_ != no_node;
  Node& node = nodes_.back();
  node.op = op;
  node.name = 0;
  node.released = false;
  const bool like_last =
      !types_.empty() && types_.back().dtype == y.dtype() && types_.back().shape == y.shape();
  node.type = like_last ? static_cast<std::uint32_t>(types_.size() - 1) : find_type(y.shape(), y.dtype());
  node.scope = scope_;
  node.rule_of = rule_node_;
  node.file = in_rule ? nodes_[rule_node_].file : at.file;
  node.line = in_rule ? nodes_[rule_node_].line : static_cast<std::uint32_t>(at.line);
  node.kind = kind;
  node.differentiable = differentiable;
  return n;
}

inline void Graph::end_node() { push(nodes_, edge_count(), static_cast<std::uint32_t>(kept_.size())); }

[[gnu::always_inline]] inline void Graph::keep(Tensor&& value, std::uint32_t what) {
  push(kept_, std::move(value));
  push(kept_what_, what);
}
[[gnu::noinline]] void Graph::keep_copy(const Tensor& value, std::uint32_t what) {
  keep(Tensor(value), what);
}

[[gnu::noinline]] Var Graph::append_source(NodeKind kind, Tensor value, std::string_view name,
                                           SourceLocation at) {
  const bool differentiable = kind != NodeKind::constant && is_floating(value.dtype());
  const std::uint32_t name_index = tables_->intern(name);
  const NodeId n = begin_node(nullptr, value, kind, differentiable, at);
  nodes_[n].name = name_index;
  keep(Tensor(value), kept_output);
  end_node();
  if (tables_->observer) tables_->observer->recorded(n, value);
  return Var(std::move(value), this, n, epoch_);
}

[[gnu::noinline]] NodeId Graph::append_constants(std::span<const VarRef> operands, SourceLocation at) {
  const NodeId first = node_count();
  for (const auto [var] : operands) {
    if (!var->is_recorded()) append_source(NodeKind::constant, var->value(), {}, at);
  }
  return first;
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

void* Recorder::allocate_in_next_chunk(Graph& graph, std::size_t bytes) {
  const std::span<std::byte> chunk = graph.tables_->next_chunk();
  if (bytes > chunk.size())
    throw GraphError(fmt::format("an op of {} bytes: at most {}", bytes, chunk.size()));
  graph.op_memory_ = chunk.subspan(bytes);
  return chunk.data();
}

void Recorder::hold(Graph& graph, std::shared_ptr<const void> memory) {
  graph.tables_->held.push_back(std::move(memory));
}

Var Recorder::amend(const Var& recorded, const Op* op, Tensor value) {
  Graph& graph = *recorded.graph_;
  graph.nodes_[recorded.id()].op = op;
  if (const Tensor* kept = graph.find_kept(recorded.id(), kept_output)) {
    graph.kept_[static_cast<std::size_t>(kept - graph.kept_.data())] = value;
  }
  return Var(std::move(value), recorded.graph_, recorded.id(), recorded.epoch());
}

// Compiled for one operand, without loops, and for any number.
template <std::size_t Count>
[[gnu::always_inline]] inline Var Recorder::append_op(Graph& graph, const Op* op, Tensor&& y,
                                                      std::span<const VarRef, Count> operands,
                                                      const Saved& saved, SourceLocation at) {
  bool differentiable = false, all_recorded = true;
  for (const auto [var] : operands) {
    if (!var->is_recorded())
      all_recorded = false;
    else
      differentiable = differentiable || graph.is_differentiable(var->id());
  }
  differentiable = differentiable && is_floating(y.dtype());
  NodeId constant = all_recorded ? no_node : graph.append_constants(operands, at);

  const NodeId n = graph.begin_node(op, y, NodeKind::op, differentiable, at);
  std::uint32_t slot = 0;
  for (const auto [var] : operands) {
    const NodeId input = var->is_recorded() ? var->id() : constant++;
    push(graph.edge_source_, n);
    push(graph.edge_target_, input);
    const bool saves = differentiable && slot < 32 && (saved.operands >> slot & 1u) != 0;
    if (saves && graph.nodes_[input].op) graph.keep_copy(var->value(), slot);
    ++slot;
  }
  if (differentiable && saved.output) graph.keep(y.share(), kept_output);
  if (differentiable && saved.extra.defined()) graph.keep_copy(saved.extra, kept_extra);
  graph.end_node();
  if (graph.tables_->observer) graph.tables_->observer->recorded(n, y);
  return Var(std::move(y), &graph, n, graph.epoch_);
}

Var Recorder::append(Graph& graph, const Op* op, Tensor&& y, std::span<const VarRef> operands,
                     const Saved& saved, SourceLocation at) {
  if (operands.size() == 1) return append_op(graph, op, std::move(y), operands.first<1>(), saved, at);
  return append_op(graph, op, std::move(y), operands, saved, at);
}

void Graph::clear() {
  nodes_.clear();
  types_.clear();
  edge_source_.clear();
  edge_target_.clear();
  kept_.clear();
  kept_what_.clear();
  end_node();
  scopes_.resize(1);
  scope_ = 0;
  op_memory_ = {};
  has_released_ = false;
  tables_->clear();
  if (++epoch_ == 0) epoch_ = 1;  // 0 means: not recorded
}

// ---- reading the record -----------------------------------------------------------------------------------

std::string_view Graph::name(NodeId n) const { return tables_->names[nodes_[n].name]; }

const Tensor& Graph::source_value(NodeId n) const {
  if (op(n)) throw GraphError(fmt::format("node {} is the op {}, no source", n, op(n)->info().name));
  return *find_kept(n, kept_output);
}

Tensor Graph::kept_value(NodeId n) const {
  const Tensor* kept = find_kept(n, kept_output);
  return kept ? *kept : Tensor();
}

}  // namespace weft
