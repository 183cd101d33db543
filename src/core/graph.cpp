#include "weft/graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/graph_tables.hpp"
#include "weft/op.hpp"

namespace weft {

// ---- recording --------------------------------------------------------------------------------------------

template <class T>
static std::size_t room_in(const std::vector<T>& array) {
  return array.capacity() - array.size();
}

void Graph::update_room() {
  const std::size_t ids = std::numeric_limits<NodeId>::max() - 1 - node_count();
  room_ = std::min({ids, room_in(nodes_), room_in(edge_source_), room_in(edge_target_), room_in(kept_)});
  if (tables_->observer) room_ = 0;
}

// For a node, its edges and what it keeps: then recording it cannot fail halfway.
[[gnu::noinline]] void Graph::make_room(std::size_t edges, std::size_t kept) {
  if (node_count() == std::numeric_limits<NodeId>::max() - 1)
    throw GraphError("the graph is full: it has 2^32 nodes");
  const auto make = [](auto& array, std::size_t more) {
    if (room_in(array) < more) array.reserve(2 * array.size() + 16 + more);
  };
  make(nodes_, 1);
  make(edge_source_, edges);
  make(edge_target_, edges);
  make(kept_, kept);
}

Graph::Graph(const GraphOptions& options) : options_(options), tables_(std::make_unique<Tables>()) {
  scopes_.push_back({0, {}});
  nodes_.emplace_back(0, 0);
}
Graph::~Graph() = default;

[[gnu::noinline]] void Graph::keep_copy(const Tensor& value, std::uint32_t what) {
  keep(Tensor(value), what);
}

[[gnu::noinline]] Var Graph::append_source(NodeKind kind, Tensor value, std::string_view name,
                                           SourceLocation at) {
  const bool differentiable = kind != NodeKind::constant && is_floating(value.dtype());
  const std::uint32_t name_index = tables_->intern(name);
  make_room(0, 1);
  const NodeId n = begin_node(nullptr, value.type(), kind, differentiable, at);
  nodes_[n].name = name_index;
  keep(Tensor(value), kept_output);
  Var var = end_node(std::move(value), 0, 1);
  update_room();
  if (tables_->observer) tables_->observer->recorded(n, var.value());
  return var;
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
  const auto epoch = static_cast<std::uint32_t>(next_place_ >> 32);
  auto [entry, is_new] = tables_->parameter_index.try_emplace(parameter.key(), Tables::LastUse{0, 0});
  Tables::LastUse& last = entry->second;
  if (!is_new && last.epoch == epoch) {
    const Tables::ParameterUse& use = tables_->parameters[last.index];
    if (use.version != parameter.version()) {
      throw GraphError(
          fmt::format("parameter {} was updated after this graph first used it: call clear() on the graph "
                      "after each update, at {}",
                      parameter.name(), to_string(at)));
    }
    return Var(parameter.value(), this, place_of(use.node));
  }
  last = {epoch, static_cast<std::uint32_t>(tables_->parameters.size())};
  Var var = append_source(NodeKind::parameter, parameter.value(), parameter.name(), at);
  tables_->parameters.push_back({parameter, parameter.version(), var.id()});
  return var;
}

void* Recorder::allocate_in_next_chunk(Graph& graph, std::size_t bytes) {
  const std::span<std::byte> chunk = graph.tables_->next_chunk();
  if (bytes > chunk.size())
    throw GraphError(fmt::format("an op of {} bytes: at most {}", bytes, chunk.size()));
  graph.op_memory_ = chunk.data() + bytes;
  graph.op_memory_end_ = chunk.data() + chunk.size();
  return chunk.data();
}

void Recorder::hold(Graph& graph, std::shared_ptr<const void> memory) {
  graph.tables_->held.push_back(std::move(memory));
}

Var Recorder::amend(const Var& recorded, const Op* op, Tensor value) {
  Graph& graph = *recorded.graph_;
  graph.nodes_[recorded.id()].op = op;
  const std::size_t kept = graph.place_of_kept(recorded.id(), kept_output);
  if (kept != Graph::nowhere) graph.kept_[kept].value = value;
  return Var(std::move(value), recorded.graph_, recorded.place_);
}

Var Recorder::append(Graph& graph, const Op* op, Tensor&& y, std::span<const VarRef> operands, Saved saved,
                     SourceLocation at) {
  const TensorType& type = y.type();
  const bool all_recorded = std::ranges::all_of(operands, [](VarRef x) { return x.var->is_recorded(); });
  NodeId constant = all_recorded ? no_node : graph.append_constants(operands, at);
  const bool differentiable = is_floating(type.dtype) && std::ranges::any_of(operands, [](VarRef x) {
                                return is_differentiable(*x.var);
                              });
  graph.make_room(operands.size(), operands.size() + 16);  // and for what nodes of one operand keep
  const NodeId n = graph.begin_node(op, type, NodeKind::op, differentiable, at);
  std::uint32_t slot = 0;
  for (const auto [var] : operands) {
    const NodeId input = var->is_recorded() ? var->id() : constant++;
    graph.append_edge(n, input);
    const bool saves = differentiable && slot < 32 && (saved.operands >> slot & 1u) != 0;
    if (saves && graph.nodes_[input].op) graph.keep_copy(var->value(), slot);
    ++slot;
  }
  if (differentiable && saved.output) graph.keep(y.share(), kept_output);
  if (differentiable && saved.extra.defined()) graph.keep(std::move(saved.extra), kept_extra);
  const auto kept = static_cast<std::uint32_t>(graph.kept_.size()) - graph.nodes_.back().first_kept;
  Var var = graph.end_node(std::move(y), slot, kept);
  graph.update_room();
  if (graph.tables_->observer) graph.tables_->observer->recorded(n, var.value());
  return var;
}

[[gnu::noinline]] Var Recorder::append_one_in_more_room(const Op* op, Tensor&& y, const Var& x,
                                                        bool saves_output, const SourceLocation& at) {
  const VarRef operands[] = {x};
  return append(*x.graph_, op, std::move(y), operands, {.output = saves_output}, at);
}

void Graph::clear() {
  nodes_.clear();
  edge_source_.clear();
  edge_target_.clear();
  kept_.clear();
  nodes_.emplace_back(0, 0);
  scopes_.resize(1);
  scope_ = 0;
  op_memory_ = op_memory_end_ = nullptr;
  has_released_ = false;
  tables_->clear();
  const std::uint64_t epoch = (next_place_ >> 32) + 1;
  if (epoch >> 32) tables_->parameter_index.clear();
  next_place_ = (epoch >> 32 ? 1 : epoch) << 32;  // 0 means: not recorded
  update_room();
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
