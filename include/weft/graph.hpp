// Graph: the record of what was computed. Var: a handle on a value and its place in the record. Parameter: a
// value that is trained.
//
// Invariants, checked by Graph::verify():
//   (1) every edge runs from a node to an input with a smaller id, so ids are a topological order;
//   (2) the edges of node n are [first_edge(n), first_edge(n + 1)) in operand order; x * x has two;
//   (3) one node, one output;
//   (4) an appended node never changes, except that what it kept may be released;
//   (5) nodes hold ids, never owning references to nodes.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/tensor.hpp"

namespace weft {

class Graph;
struct Op;
struct VarRef;

using NodeId = std::uint32_t;  // a position in the record
inline constexpr NodeId no_node = 0xffffffff;
struct EdgeId {  // likewise; a type of its own, so that property maps can tell them apart
  std::uint32_t index = 0;
  friend bool operator==(EdgeId, EdgeId) = default;
  friend auto operator<=>(EdgeId, EdgeId) = default;
};

// A value that is trained: a shared handle, so that layer, optimiser and graph mean the same one.
class Parameter {
 public:
  Parameter(std::string name, Tensor value);
  Parameter(const Parameter& other);  // these are compiled in the library: a shared handle's are long
  Parameter(Parameter&& other) noexcept;
  Parameter& operator=(const Parameter& other);
  Parameter& operator=(Parameter&& other) noexcept;
  ~Parameter();

  const std::string& name() const { return state_->name; }
  const Tensor& value() const { return state_->value; }  // updated in place by optimisers: clone() to keep it
  const Shape& shape() const { return value().shape(); }
  std::uint64_t version() const { return state_->version; }  // raised by every update

  bool trainable() const { return state_->trainable; }  // whether backward() adds to grad()
  void set_trainable(bool trainable) { state_->trainable = trainable; }

  bool has_grad() const { return state_->grad.defined(); }
  Tensor grad() const;  // zeros where nothing has arrived
  void zero_grad() { state_->grad = {}; }
  void set_grad(Tensor grad);         // throws ShapeError or DTypeError where it is not like the value
  void accumulate_grad(Tensor grad);  // likewise

  // Replaces the value. Throws ShapeError or DTypeError where it is not like the old one.
  void set_value(Tensor value);
  // The value, to be changed in place by an optimiser; raises the version.
  Tensor& update() {
    ++state_->version;
    return state_->value;
  }

  const void* key() const { return state_.get(); }  // the same for every handle on this parameter

 private:
  struct State {
    std::string name;
    Tensor value, grad;
    std::uint64_t version = 0;
    bool trainable = true;
  };
  void require_like_value(std::string_view what, const Tensor& tensor) const;
  std::shared_ptr<State> state_;
};

// A handle on a value. Recorded vars know their node; others are constants, through which no gradient flows.
class Var {
 public:
  Var() = default;  // empty: no value
  Var(Tensor value) : value_(std::move(value)) {}

  bool defined() const { return value_.defined(); }
  const Tensor& value() const {  // throws GraphError where this var is empty
    if (!value_.defined()) throw_no_value();
    return value_;
  }
  const Shape& shape() const { return value_.defined() ? value_.shape() : recorded_type().shape; }
  DType dtype() const { return value_.defined() ? value_.dtype() : recorded_type().dtype; }
  int rank() const { return shape().rank(); }
  std::int64_t extent(int axis) const { return shape()[axis]; }  // -1: the last
  double item() const { return value().item(); }

  bool is_recorded() const { return place_ >> 32 != 0; }
  Graph* graph() const { return graph_; }                    // null: met no graph yet
  NodeId id() const { return static_cast<NodeId>(place_); }  // where is_recorded()
  Var detach() const { return Var(value_, graph_); }         // the same value as a constant

 private:
  friend class Graph;
  friend class Recorder;
  friend class Gradients;
  friend class Engine;
  Var(Tensor value, Graph* graph, std::uint64_t place = 0)
      : value_(std::move(value)), graph_(graph), place_(place) {}
  const TensorType& recorded_type() const;  // throws GraphError where this var is empty or stale
  [[noreturn]] void throw_no_value() const;

  Tensor value_;
  Graph* graph_ = nullptr;
  // The id, and above it the graph's epoch when this var was recorded, 0: not recorded. One word: a processor
  // waits where it reads at once what was just written in halves.
  std::uint64_t place_ = 0;
};

enum class NodeKind : std::uint8_t { input, parameter, constant, op };

// What a rule will read again: operands, the output, one secondary result.
struct Saved {
  std::uint32_t operands = 0;  // bit i: operand i
  bool output = false;
  Tensor extra = {};
};
constexpr std::uint32_t operand(int i) { return 1u << i; }
// What a kept value is where it is no operand's, whose number stands in this place.
inline constexpr std::uint32_t kept_output = 0xffffffff, kept_extra = 0xfffffffe;

struct GraphOptions {
  std::uint64_t seed = 0;  // of stochastic ops
  bool training = true;    // the mode that dropout and batch normalisation obey
};

struct BackwardOptions {
  bool retain = false;  // keep what rules saved, for another pass
  Tensor gy = {};       // the gradient that arrives; may be left out for a loss of one element
};

// Names what is recorded while it lives.
class [[nodiscard]] Scope {
 public:
  Scope(Scope&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)), outer_(other.outer_) {}
  Scope& operator=(Scope&&) = delete;
  ~Scope();

 private:
  friend class Graph;
  Scope(Graph* graph, std::uint32_t outer) : graph_(graph), outer_(outer) {}
  Graph* graph_;
  std::uint32_t outer_;
};

// Ops record no nodes while it lives.
class [[nodiscard]] Pause {
 public:
  Pause(Pause&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
  Pause& operator=(Pause&&) = delete;
  ~Pause();

 private:
  friend class Graph;
  explicit Pause(Graph* graph) : graph_(graph) {}
  Graph* graph_;
};

// Belongs to one thread at a time. Vars must not be given to ops after their graph has been destroyed.
class Graph {
 public:
  explicit Graph(const GraphOptions& options = {});
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // A source node. Differentiable where `value` is f32 or f64.
  Var input(Tensor value, std::string_view name = "", SourceLocation at = SourceLocation::current());
  // The node of a parameter, the same at every call until clear(). Throws GraphError where it was updated in
  // between.
  Var use(const Parameter& parameter, SourceLocation at = SourceLocation::current());

  // Adds the gradient of `loss` to grad() of every trainable parameter in use, and releases what rules kept
  // on the way. Throws GraphError for a loss of several elements without gy, a released value, an updated
  // parameter; nothing is added then.
  void backward(const Var& loss, const BackwardOptions& options = {});

  Scope scope(std::string_view name);  // names nest: "net/conv1"
  Pause pause();
  void clear();  // forgets every node and keeps the memory; vars of before are stale

  bool is_recording() const { return paused_ == 0; }
  bool is_training() const { return options_.training; }
  void set_training(bool training) { options_.training = training; }
  std::uint64_t seed() const { return options_.seed; }
  std::uint64_t next_random_stream() { return ++random_streams_; }  // for each stochastic op its own
  std::uint64_t random_streams() const {
    return random_streams_;
  }  // given out so far: to be saved and restored
  void set_random_streams(std::uint64_t count) { random_streams_ = count; }

  // The record. Arguments must be ids of this graph.
  NodeId node_count() const { return static_cast<NodeId>(next_place_); }
  std::uint32_t edge_count() const { return static_cast<std::uint32_t>(edge_target_.size()); }
  NodeKind kind(NodeId n) const { return nodes_[n].kind; }
  const Op* op(NodeId n) const { return nodes_[n].op; }               // null for a source
  const TensorType& type(NodeId n) const { return *nodes_[n].type; }  // what Tensor::type() gave
  bool is_differentiable(NodeId n) const { return nodes_[n].differentiable; }
  std::span<const NodeId> inputs(NodeId n) const {
    const std::uint32_t first = first_edge(n).index;
    return {edge_target_.data() + first, first_edge(n + 1).index - first};
  }
  EdgeId first_edge(NodeId n) const { return {nodes_[n].first_edge}; }  // n may be node_count(): the end
  NodeId edge_source(EdgeId e) const { return edge_source_[e.index]; }  // the consumer
  NodeId edge_target(EdgeId e) const { return edge_target_[e.index]; }  // what it consumes
  int edge_slot(EdgeId e) const { return static_cast<int>(e.index - nodes_[edge_source(e)].first_edge); }
  std::string_view name(NodeId n) const;  // of an input or a parameter
  std::uint32_t scope_of(NodeId n) const { return nodes_[n].scope; }
  SourceLocation source(NodeId n) const { return {nodes_[n].file, nodes_[n].line}; }
  NodeId rule_of(NodeId n) const { return nodes_[n].rule_of; }  // whose rule recorded n; no_node: none
  const Tensor& source_value(NodeId n) const;                   // of a source node; kept until clear()
  Tensor kept_value(NodeId n) const;                            // the output, where it is there still
  bool contains(const Var& v) const { return v.graph_ == this && v.place_ >> 32 == next_place_ >> 32; }

  struct ScopeEntry {  // scope 0 is the graph itself
    std::uint32_t parent;
    std::string_view name;
  };
  std::span<const ScopeEntry> scopes() const { return {scopes_.data(), scopes_.size()}; }
  std::string scope_path(std::uint32_t scope) const;  // "net/conv1"
  std::string current_scope() const { return scope_path(scope_); }

  void verify() const;  // throws GraphError that names the first broken invariant

 private:
  friend class Engine;
  friend class Gradients;
  friend class Recorder;
  friend class Scope;
  friend class Pause;
  friend class Var;
  friend struct RecordAccess;

  struct Node {
    const Op* op;
    const char* file;
    const TensorType* type;
    std::uint32_t first_edge, first_kept, scope, name;
    NodeId rule_of;
    std::uint32_t line;
    NodeKind kind;
    bool differentiable, released;
    // The end: the rest is set when a node begins there.
    Node(std::uint32_t first_edge, std::uint32_t first_kept)
        : first_edge(first_edge), first_kept(first_kept) {}
  };
  struct Kept {  // what a rule will read again; the value is empty after its release
    Tensor value;
    std::uint32_t what;  // an operand's number, or kept_output, kept_extra
    Kept(Tensor&& value, std::uint32_t what) : value(std::move(value)), what(what) {}
  };
  struct Tables;

  std::uint64_t place_of(NodeId n) const { return next_place_ >> 32 << 32 | n; }
  void make_room(std::size_t edges, std::size_t kept);
  void update_room();
  NodeId begin_node(const Op* op, const TensorType& type, NodeKind kind, bool differentiable,
                    const SourceLocation& at);
  void append_edge(NodeId n, NodeId input);
  Var end_node(Tensor&& y, std::uint32_t edges, std::uint32_t kept);  // so many it has and keeps
  Var append_source(NodeKind kind, Tensor value, std::string_view name, SourceLocation at);
  NodeId append_constants(std::span<const VarRef> operands, SourceLocation at);  // the first one
  void keep(Tensor&& value, std::uint32_t what);
  void keep_copy(const Tensor& value, std::uint32_t what);
  static constexpr auto nowhere = static_cast<std::size_t>(-1);
  std::size_t place_of_kept(NodeId n, std::uint32_t what) const {  // in kept_; nowhere: not kept
    for (std::size_t i = nodes_[n].first_kept; i < nodes_[n + 1].first_kept; ++i) {
      if (kept_[i].what == what) return i;
    }
    return nowhere;
  }
  const Tensor* find_kept(NodeId n, std::uint32_t what) const {  // null: not kept
    const std::size_t place = place_of_kept(n, what);
    return place == nowhere ? nullptr : &kept_[place].value;
  }
  std::uint32_t enter_scope(std::uint32_t parent, std::string_view name);

  GraphOptions options_;
  std::uint64_t next_place_ = std::uint64_t{1} << 32;  // Var::place_ of the next node; epochs begin with 1
  int paused_ = 0;
  std::uint32_t scope_ = 0;
  std::uint64_t random_streams_ = 0;
  NodeId rule_node_ = no_node;  // whose rule runs
  bool has_released_ = false;   // some node's kept values

  std::vector<Node> nodes_;  // and behind the last one the end: where its edges and kept values begin
  std::vector<std::uint32_t> edge_source_, edge_target_;
  std::vector<Kept> kept_;
  // So many nodes, each with an edge and a kept value, fit in the arrays. None while somebody observes: then
  // there is more to do than to fill them.
  std::size_t room_ = 0;
  std::vector<ScopeEntry> scopes_;
  std::byte *op_memory_ = nullptr,
            *op_memory_end_ = nullptr;  // what is left of the chunk that ops are made in
  std::unique_ptr<Tables> tables_;      // names, parameters in use, memory of ops
};

// The graph's mode where there is one; a constant is never in training.
inline bool is_training(const Var& v) { return v.graph() && v.graph()->is_training(); }

// Whether a gradient can flow to v: floating, recorded, and something upstream is differentiable.
inline bool is_differentiable(const Var& v) {
  return v.is_recorded() && v.graph()->is_differentiable(v.id());
}

}  // namespace weft
