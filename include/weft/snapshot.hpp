// Snapshot: a record copied into columns of numbers and interned strings. It holds no tensor and no pointer
// into the graph, so it outlives clear(), can be sent elsewhere, and is what diagrams are drawn from.
// Profile: what a graph measures while one lives.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "weft/op_info.hpp"

namespace weft {

using StringId = std::uint32_t;  // 0: the empty string

// Every text once.
class StringTable {
 public:
  StringTable();
  StringTable(const StringTable& other);  // these are compiled in the library
  StringTable(StringTable&& other) noexcept;
  StringTable& operator=(const StringTable& other);
  StringTable& operator=(StringTable&& other) noexcept;
  ~StringTable();

  StringId add(std::string_view text);
  const std::string& operator[](StringId id) const { return texts_[id]; }
  std::span<const std::string> all() const { return {texts_.data(), texts_.size()}; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::vector<std::string> texts_;
  std::unordered_map<std::string, StringId, Hash, std::equal_to<>> index_;
};

// What was measured, by node; a column is empty where nobody measured it.
struct Measurements {
  std::vector<double> forward, backward;  // seconds; an op's forward includes the user's code before
  double other = 0;                       // seconds of the forward that belong to no op
  std::vector<double> gradient_norm, gradient_max;  // 2-norm, largest |element|; NaN: no gradient arrived
  std::vector<std::uint64_t> bad_values, bad_gradients;  // NaN and infinite elements
  NodeId origin = no_node;          // makes the first non-finite number from finite operands
  bool origin_in_rule = false;      // it is the rule of `origin` that does
  std::vector<std::uint8_t> check;  // 0: not tested; 1 + Verdict
  std::vector<double> check_error;
  std::vector<StringId> check_where;
};

struct OpKind {
  StringId name = 0;
  OpGroup group = OpGroup::elementwise;
  std::vector<StringId> arguments;  // the last one may be repeated
  friend bool operator==(const OpKind&, const OpKind&) = default;
};

// Ids, edges and scopes are the graph's. Models the same Boost.Graph concepts (boost_graph.hpp).
class Snapshot {
 public:
  NodeId node_count() const { return static_cast<NodeId>(kinds.size()); }
  std::uint32_t edge_count() const { return static_cast<std::uint32_t>(edge_target_.size()); }
  NodeKind kind(NodeId n) const { return kinds[n]; }
  bool is_op(NodeId n) const { return kinds[n] == NodeKind::op; }
  const OpKind& op(NodeId n) const { return op_kinds[op_of[n]]; }  // of an op
  std::string_view op_name(NodeId n) const { return is_op(n) ? text(op(n).name) : std::string_view(); }
  const TensorType& type(NodeId n) const { return types[type_of[n]]; }
  std::span<const NodeId> inputs(NodeId n) const {
    return {edge_target_.data() + first_edge_[n], first_edge_[n + 1] - first_edge_[n]};
  }
  EdgeId first_edge(NodeId n) const { return {first_edge_[n]}; }
  NodeId edge_source(EdgeId e) const { return edge_source_[e.index]; }
  NodeId edge_target(EdgeId e) const { return edge_target_[e.index]; }
  int edge_slot(EdgeId e) const { return static_cast<int>(e.index - first_edge_[edge_source(e)]); }
  std::string_view argument(EdgeId e) const;  // the name by which the op knows the operand
  std::string_view name(NodeId n) const { return text(names[n]); }
  std::uint32_t scope_of(NodeId n) const { return node_scopes[n]; }
  std::string scope_path(std::uint32_t scope) const;  // "net/conv1"
  NodeId rule_of(NodeId n) const { return rules[n]; }
  std::size_t bytes(NodeId n) const {
    return static_cast<std::size_t>(type(n).shape.elements()) * size_of(type(n).dtype);
  }
  const std::string& text(StringId id) const { return strings[id]; }

  // Appends a node whose inputs are there already. Throws GraphError for one that is not.
  struct Node {
    NodeKind kind = NodeKind::op;
    std::uint32_t op = 0;  // in op_kinds
    TensorType type = {};
    StringId name = 0, attributes = 0, label = 0, file = 0;
    std::uint32_t scope = 0, line = 0;
    NodeId rule_of = no_node;
    bool differentiable = false;
    double flops = 0;
    std::uint64_t kept_bytes = 0;
  };
  NodeId append(const Node& node, std::span<const NodeId> inputs);
  void reserve(std::size_t nodes, std::size_t edges);
  std::uint32_t add_op_kind(const OpKind& kind);  // the same kind has one position
  std::uint32_t add_type(const TensorType& type);

  StringTable strings;
  std::vector<OpKind> op_kinds;
  std::vector<TensorType> types;
  struct Scope {
    std::uint32_t parent = 0;
    StringId name = 0;
  };
  std::vector<Scope> scopes{Scope{}};  // 0: the graph itself; a parent has a smaller index

  // By node.
  std::vector<NodeKind> kinds;
  std::vector<std::uint32_t> op_of, type_of, node_scopes, lines;
  std::vector<StringId> names, attributes, labels, files;  // label: op and key attributes, or a value
  std::vector<NodeId> rules;
  std::vector<std::uint8_t> differentiable;
  std::vector<double> flops;
  std::vector<std::uint64_t> kept_bytes;  // that are kept for this node's rule and were not kept before

  // The last gradient call; no_node: there was none.
  NodeId root = no_node;
  std::vector<NodeId> targets;
  // The last error of an op that was called on this graph, or of the rule of `failed_rule`.
  std::string error, failed_op;
  std::vector<NodeId> failed_operands;
  NodeId failed_rule = no_node;

  Measurements measured;

 private:
  std::vector<std::uint32_t> first_edge_{0}, edge_source_, edge_target_;
  StringTable type_keys_;  // that of types[i] has the id i + 1
};

Snapshot take_snapshot(const Graph& g);
// Only what these were computed from, numbered anew in the same order. Throws GraphError for vars of no graph
// or of several.
Snapshot take_snapshot(std::span<const Var> outputs);

// 128 bits of a record in its order.
struct Signature {
  std::uint64_t high = 0, low = 0;
  friend bool operator==(const Signature&, const Signature&) = default;
};
std::string to_string(const Signature& signature);  // 32 hexadecimal digits
Signature structure(const Snapshot& s);             // ops, attributes, types, operands; no names, no scopes
Signature identity(const Snapshot& s);              // structure, names, scopes

struct ProfileOptions {
  bool time = true;        // seconds of ops and rules
  bool gradients = false;  // norms of gradients
  bool nonfinite = false;  // NaN and infinite elements of values and gradients, and where they come from
};

// Measures a graph while it lives; take_snapshot() copies what it found, which stays until clear(). One at a
// time measures a graph: the second throws GraphError.
class Profile {
 public:
  explicit Profile(Graph& g, const ProfileOptions& options = {});
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

 private:
  class Recorder;
  std::unique_ptr<Recorder> recorder_;
};

double forward_seconds(const Graph& g, NodeId n);  // of an op, where a profile measured it; else 0
double flops(const Graph& g, NodeId n);            // of one forward call; 0 for a source

}  // namespace weft
