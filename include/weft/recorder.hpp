// How the call of an op becomes a node of its operands' graph.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "weft/graph.hpp"

namespace weft {

// A Var that is passed on without counting it.
struct VarRef {
  VarRef(const Var& var) : var(&var) {}
  const Var* var;
};

class Recorder {
 public:
  // Where a call is recorded: the graph of the operands. Throws GraphError for vars of two graphs and for
  // stale vars.
  struct Place {
    Graph* graph;
    bool records;  // now
  };
  template <std::size_t Count>
  static Place place(std::span<const VarRef, Count> operands, SourceLocation at) {
    Graph* recorded = nullptr;
    Graph* met = nullptr;
    for (const auto [var] : operands) {
      if (!var->is_recorded()) {
        if (!met) met = var->graph();
        continue;
      }
      if (!var->graph()->contains(*var)) throw_stale(*var, at);
      if (recorded && recorded != var->graph()) throw_two_graphs(at);
      recorded = var->graph();
    }
    if (!recorded || !recorded->is_recording()) return {recorded ? recorded : met, false};
    return {recorded, true};
  }

  // The same without a node: a var of `graph` that is not recorded.
  static Var unrecorded(Tensor y, Graph* graph) { return Var(std::move(y), graph); }
  // For planted defects: the node of `recorded`, which nobody has seen yet, with another op and with another
  // value of the same type, which also takes the place of a saved output.
  static Var amend(const Var& recorded, const Op* op, Tensor value);
  // Memory for an op that lives as long as the graph's nodes. Throws GraphError for more than 64 KB.
  static void* allocate(Graph& graph, std::size_t bytes) {
    bytes = (bytes + alignof(std::max_align_t) - 1) / alignof(std::max_align_t) * alignof(std::max_align_t);
    const auto left = static_cast<std::size_t>(graph.op_memory_end_ - graph.op_memory_);
    return bytes > left ? allocate_in_next_chunk(graph, bytes)
                        : std::exchange(graph.op_memory_, graph.op_memory_ + bytes);
  }
  // Holds `memory` as long as the graph's nodes live, for an op that points to it.
  static void hold(Graph& graph, std::shared_ptr<const void> memory);
  template <class O, std::size_t Count>
  static Var record(const O& op, Tensor&& y, std::span<const VarRef, Count> operands, const Saved& saved,
                    SourceLocation at);

 private:
  static Var append(Graph& graph, const Op* op, Tensor&& y, std::span<const VarRef> operands, Saved saved,
                    SourceLocation at);
  static Var append_one_in_more_room(const Op* op, Tensor&& y, const Var& x, bool saves_output,
                                     const SourceLocation& at);
  static Var append_one(const Op* op, Tensor&& y, const Var& x, bool saves_output, const SourceLocation& at);
  static void* allocate_in_next_chunk(Graph& graph, std::size_t bytes);
  [[noreturn]] static void throw_stale(const Var& var, SourceLocation at);
  [[noreturn]] static void throw_two_graphs(SourceLocation at);
};

namespace detail {

// emplace_back() into room that was made.
template <class T, class... Arguments>
[[gnu::always_inline]] inline void push(std::vector<T>& array, Arguments&&... arguments) {
  if (array.size() == array.capacity()) __builtin_unreachable();
  array.emplace_back(std::forward<Arguments>(arguments)...);
}

}  // namespace detail

[[gnu::always_inline]] inline NodeId Graph::begin_node(const Op* op, const TensorType& type, NodeKind kind,
                                                       bool differentiable, const SourceLocation& at) {
  const bool in_rule = rule_node_ != no_node;
  Node& node = nodes_.back();
  node.op = op;
  node.name = 0;
  node.type = &type;
  node.scope = scope_;
  node.rule_of = rule_node_;
  node.file = in_rule ? nodes_[rule_node_].file : at.file;
  node.line = in_rule ? nodes_[rule_node_].line : static_cast<std::uint32_t>(at.line);
  node.kind = kind;
  node.differentiable = differentiable;
  node.released = false;
  return node_count();
}

[[gnu::always_inline]] inline void Graph::append_edge(NodeId n, NodeId input) {
  detail::push(edge_source_, n);
  detail::push(edge_target_, input);
}

[[gnu::always_inline]] inline Var Graph::end_node(Tensor&& y, std::uint32_t edges, std::uint32_t kept) {
  detail::push(nodes_, nodes_.back().first_edge + edges, nodes_.back().first_kept + kept);
  return Var(std::move(y), this, next_place_++);
}

[[gnu::always_inline]] inline void Graph::keep(Tensor&& value, std::uint32_t what) {
  detail::push(kept_, std::move(value), what);
}

// append() for one recorded operand, which is not kept. Mostly there is room: then nothing is called. A call
// and the registers that it saves would be a tenth of the time of a small op.
[[gnu::always_inline]] inline Var Recorder::append_one(const Op* op, Tensor&& y, const Var& x,
                                                       bool saves_output, const SourceLocation& at) {
  Graph& graph = *x.graph_;
  if (graph.room_ == 0 || !y.is_only_handle()) [[unlikely]]
    return append_one_in_more_room(op, std::move(y), x, saves_output, at);
  --graph.room_;
  const bool differentiable = graph.is_differentiable(x.id()) && is_floating(y.dtype());
  const NodeId n = graph.begin_node(op, y.type(), NodeKind::op, differentiable, at);
  graph.append_edge(n, x.id());
  const bool keeps = differentiable && saves_output;
  if (keeps) graph.keep(y.share_only_handle(), kept_output);
  return graph.end_node(std::move(y), 1, keeps ? 1 : 0);
}

template <class O, std::size_t Count>
Var Recorder::record(const O& op, Tensor&& y, std::span<const VarRef, Count> operands, const Saved& saved,
                     SourceLocation at) {
  static_assert(std::is_base_of_v<Op, O> && std::is_trivially_destructible_v<O> &&
                    alignof(O) <= alignof(std::max_align_t),
                "an Op holds attributes only");
  const Place place = Recorder::place(operands, at);
  if (!place.records) return unrecorded(std::move(y), place.graph);
  const Op* kept = new (allocate(*place.graph, sizeof(O))) O(op);
  if constexpr (Count == 1) {
    if (saved.operands == 0 && !saved.extra.defined())
      return append_one(kept, std::move(y), *operands[0].var, saved.output, at);
  }
  return append(*place.graph, kept, std::move(y), operands, saved, at);
}

// Appends a node that computed `y` from `operands`, and keeps of them what `saved` says, if a gradient can
// flow there. Records nothing where no operand is of a graph or the graph is paused. Throws GraphError before
// anything is changed.
template <class O>
Var record(const O& op, Tensor y, std::span<const VarRef> operands, const Saved& saved, SourceLocation at) {
  return Recorder::record(op, std::move(y), operands, saved, at);
}
template <class O, std::size_t Count>
Var record(const O& op, Tensor y, const VarRef (&operands)[Count], const Saved& saved, SourceLocation at) {
  return Recorder::record(op, std::move(y), std::span<const VarRef, Count>(operands), saved, at);
}

}  // namespace weft
