// Graph and Snapshot as models of Boost.Graph's VertexListGraph, EdgeListGraph, IncidenceGraph,
// AdjacencyGraph and AdjacencyMatrix concepts, with no copy of the record; consumers(g) adds in-edges
// (BidirectionalGraph). Descriptors are positions in the record. An out-edge runs from a node to one of its
// inputs, so x * x has two parallel ones; the in-edges of a node come from its consumers.
//
//   boost::breadth_first_search(g, loss.id(), boost::visitor(...));
//   get(vertex_bytes, g, n)                                    // or get(vertex_bytes, g): the property map
//
// Include it before the Boost.Graph algorithms that are called on a Graph.
#pragma once

#include <boost/graph/graph_traits.hpp>
#include <boost/graph/properties.hpp>
#include <boost/iterator/iterator_facade.hpp>
#include <boost/property_map/function_property_map.hpp>
#include <concepts>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "weft/op.hpp"
#include "weft/snapshot.hpp"

namespace weft {

// What holds a record.
template <class G>
concept Record = std::same_as<G, Graph> || std::same_as<G, Snapshot>;

// A record together with the in-edges of every node: 4 bytes per node and per edge. Refers to the record,
// which must not grow or be cleared meanwhile.
template <Record G>
class Consumers {
 public:
  explicit Consumers(const G& g) : record_(&g), first_(g.node_count() + 1), edges_(g.edge_count()) {
    for (std::uint32_t e = 0; e < g.edge_count(); ++e) ++first_[g.edge_target({e})];
    for (NodeId n = 0, end = 0; n <= g.node_count(); ++n) first_[n] = end += first_[n];
    for (std::uint32_t e = g.edge_count(); e-- > 0;) edges_[--first_[g.edge_target({e})]] = {e};
  }

  const G& record() const { return *record_; }
  std::span<const EdgeId> in_edges(NodeId n) const {  // ascending
    return std::span(edges_).subspan(first_[n], first_[n + 1] - first_[n]);
  }

 private:
  const G* record_;
  std::vector<std::uint32_t> first_;  // per node: of edges_
  std::vector<EdgeId> edges_;         // by the node they lead to
};
template <Record G>
Consumers<G> consumers(const G& g) {
  return Consumers<G>(g);
}

namespace detail {
template <Record G>
const G& record_of(const G& g) {
  return g;
}
template <Record G>
const G& record_of(const Consumers<G>& view) {
  return view.record();
}
template <class G>
using RecordOf = std::remove_cvref_t<decltype(record_of(std::declval<const G&>()))>;

// Counts positions; a Position is a NodeId or an EdgeId.
template <class Position>
class PositionIterator : public boost::iterator_facade<PositionIterator<Position>, Position,
                                                       boost::random_access_traversal_tag, Position> {
 public:
  PositionIterator() = default;
  explicit PositionIterator(std::uint32_t position) : position_(position) {}

 private:
  friend class boost::iterator_core_access;
  Position dereference() const { return Position{position_}; }
  bool equal(const PositionIterator& other) const { return position_ == other.position_; }
  void increment() { ++position_; }
  void decrement() { --position_; }
  void advance(std::ptrdiff_t n) { position_ += static_cast<std::uint32_t>(n); }
  std::ptrdiff_t distance_to(const PositionIterator& other) const {
    return static_cast<std::ptrdiff_t>(other.position_) - static_cast<std::ptrdiff_t>(position_);
  }
  std::uint32_t position_ = 0;
};
using NodeIterator = PositionIterator<NodeId>;
using EdgeIterator = PositionIterator<EdgeId>;
}  // namespace detail

template <class G>
concept RecordGraph = Record<G> || std::same_as<G, Consumers<Graph>> || std::same_as<G, Consumers<Snapshot>>;

template <RecordGraph G>
NodeId num_vertices(const G& g) {
  return detail::record_of(g).node_count();
}
template <RecordGraph G>
std::pair<detail::NodeIterator, detail::NodeIterator> vertices(const G& g) {
  return {detail::NodeIterator(0), detail::NodeIterator(num_vertices(g))};
}
template <RecordGraph G>
std::uint32_t num_edges(const G& g) {
  return detail::record_of(g).edge_count();
}
template <RecordGraph G>
std::pair<detail::EdgeIterator, detail::EdgeIterator> edges(const G& g) {
  return {detail::EdgeIterator(0), detail::EdgeIterator(num_edges(g))};
}
template <RecordGraph G>
NodeId source(EdgeId e, const G& g) {
  return detail::record_of(g).edge_source(e);
}
template <RecordGraph G>
NodeId target(EdgeId e, const G& g) {
  return detail::record_of(g).edge_target(e);
}
template <RecordGraph G>
std::pair<detail::EdgeIterator, detail::EdgeIterator> out_edges(NodeId n, const G& g) {
  const auto& record = detail::record_of(g);
  return {detail::EdgeIterator(record.first_edge(n).index),
          detail::EdgeIterator(record.first_edge(n + 1).index)};
}
template <RecordGraph G>
std::uint32_t out_degree(NodeId n, const G& g) {
  return static_cast<std::uint32_t>(detail::record_of(g).inputs(n).size());
}
template <RecordGraph G>
std::pair<const NodeId*, const NodeId*> adjacent_vertices(NodeId n, const G& g) {
  const std::span<const NodeId> inputs = detail::record_of(g).inputs(n);
  return {inputs.data(), inputs.data() + inputs.size()};
}
// The first edge from n to its input `input`, and whether there is one. Linear in the number of inputs.
template <RecordGraph G>
std::pair<EdgeId, bool> edge(NodeId n, NodeId input, const G& g) {
  EdgeId e = detail::record_of(g).first_edge(n);
  for (const NodeId found : detail::record_of(g).inputs(n)) {
    if (found == input) return {e, true};
    ++e.index;
  }
  return {{}, false};
}

template <Record G>
std::pair<const EdgeId*, const EdgeId*> in_edges(NodeId n, const Consumers<G>& view) {
  const std::span<const EdgeId> found = view.in_edges(n);
  return {found.data(), found.data() + found.size()};
}
template <Record G>
std::uint32_t in_degree(NodeId n, const Consumers<G>& view) {
  return static_cast<std::uint32_t>(view.in_edges(n).size());
}
template <Record G>
std::uint32_t degree(NodeId n, const Consumers<G>& view) {
  return in_degree(n, view) + out_degree(n, view);
}

// ---- property maps, all read-only
// ---------------------------------------------------------------------------------- Besides
// boost::vertex_index and boost::edge_index (positions in the record) and boost::vertex_name (of an input or
// a parameter, else empty):

inline constexpr struct VertexOp {
} vertex_op{};  // the op's name; empty for a source
inline constexpr struct VertexShape {
} vertex_shape{};  // Shape of the output
inline constexpr struct VertexDType {
} vertex_dtype{};  // DType of the output
inline constexpr struct VertexScope {
} vertex_scope{};  // "net/conv1"
inline constexpr struct VertexSource {
} vertex_source{};  // SourceLocation
inline constexpr struct VertexBytes {
} vertex_bytes{};  // of the output
inline constexpr struct VertexFlops {
} vertex_flops{};  // of one forward call
inline constexpr struct VertexTime {
} vertex_time{};  // seconds of the forward; 0 where no Profile measured it
inline constexpr struct EdgeSlot {
} edge_slot{};  // operand number

namespace detail {

template <Record G>
NodeId read(boost::vertex_index_t, const G&, NodeId n) {
  return n;
}
template <Record G>
std::string_view read(boost::vertex_name_t, const G& g, NodeId n) {
  return g.name(n);
}
inline std::string_view read(VertexOp, const Graph& g, NodeId n) {
  return g.op(n) ? g.op(n)->info().name : "";
}
inline std::string_view read(VertexOp, const Snapshot& s, NodeId n) { return s.op_name(n); }
template <Record G>
const Shape& read(VertexShape, const G& g, NodeId n) {
  return g.type(n).shape;
}
template <Record G>
DType read(VertexDType, const G& g, NodeId n) {
  return g.type(n).dtype;
}
template <Record G>
std::string read(VertexScope, const G& g, NodeId n) {
  return g.scope_path(g.scope_of(n));
}
inline SourceLocation read(VertexSource, const Graph& g, NodeId n) { return g.source(n); }
inline SourceLocation read(VertexSource, const Snapshot& s, NodeId n) {
  return {s.files[n] ? s.text(s.files[n]).c_str() : nullptr, static_cast<int>(s.lines[n])};
}
template <Record G>
std::size_t read(VertexBytes, const G& g, NodeId n) {
  return static_cast<std::size_t>(g.type(n).shape.elements()) * size_of(g.type(n).dtype);
}
inline double read(VertexFlops, const Graph& g, NodeId n) { return flops(g, n); }
inline double read(VertexFlops, const Snapshot& s, NodeId n) { return s.flops[n]; }
inline double read(VertexTime, const Graph& g, NodeId n) { return forward_seconds(g, n); }
inline double read(VertexTime, const Snapshot& s, NodeId n) {
  return n < s.measured.forward.size() ? s.measured.forward[n] : 0;
}
template <Record G>
std::uint32_t read(boost::edge_index_t, const G&, EdgeId e) {
  return e.index;
}
template <Record G>
int read(EdgeSlot, const G& g, EdgeId e) {
  return g.edge_slot(e);
}

template <class Tag, class Key>
concept PropertyOf = requires(const Graph& g, Key key) {
  read(Tag{}, g, key);
};
template <class Tag>
using PropertyKey = std::conditional_t<PropertyOf<Tag, EdgeId>, EdgeId, NodeId>;

template <class Tag, Record G>
struct ReadProperty {
  const G* graph = nullptr;
  decltype(auto) operator()(PropertyKey<Tag> key) const { return read(Tag{}, *graph, key); }
};

}  // namespace detail

template <class Tag>
concept RecordProperty = detail::PropertyOf<Tag, NodeId> || detail::PropertyOf<Tag, EdgeId>;

template <RecordProperty Tag, Record G>
using RecordPropertyMap =
    boost::function_property_map<detail::ReadProperty<Tag, G>, detail::PropertyKey<Tag>,
                                 decltype(detail::ReadProperty<Tag, G>{}(detail::PropertyKey<Tag>{}))>;

template <RecordProperty Tag, RecordGraph G>
RecordPropertyMap<Tag, detail::RecordOf<G>> get(Tag, const G& g) {
  return {detail::ReadProperty<Tag, detail::RecordOf<G>>{&detail::record_of(g)}};
}
template <RecordProperty Tag, RecordGraph G>
decltype(auto) get(Tag, const G& g, detail::PropertyKey<Tag> key) {
  return detail::read(Tag{}, detail::record_of(g), key);
}

}  // namespace weft

namespace boost {

template <weft::Record G>
struct graph_traits<G> {
  using vertex_descriptor = weft::NodeId;
  using edge_descriptor = weft::EdgeId;
  using directed_category = directed_tag;
  using edge_parallel_category = allow_parallel_edge_tag;
  struct traversal_category : vertex_list_graph_tag,
                              edge_list_graph_tag,
                              virtual incidence_graph_tag,
                              adjacency_graph_tag,
                              adjacency_matrix_tag {};
  using vertex_iterator = weft::detail::NodeIterator;
  using edge_iterator = weft::detail::EdgeIterator;
  using out_edge_iterator = weft::detail::EdgeIterator;
  using in_edge_iterator = void;
  using adjacency_iterator = const weft::NodeId*;
  using vertices_size_type = weft::NodeId;
  using edges_size_type = std::uint32_t;
  using degree_size_type = std::uint32_t;
  static vertex_descriptor null_vertex() { return std::numeric_limits<weft::NodeId>::max(); }
};

template <weft::Record G>
struct graph_traits<weft::Consumers<G>> : graph_traits<G> {
  using directed_category = bidirectional_tag;
  using in_edge_iterator = const weft::EdgeId*;
  struct traversal_category : graph_traits<G>::traversal_category, bidirectional_graph_tag {};
};

template <weft::RecordGraph G, weft::RecordProperty Tag>
struct property_map<G, Tag> {
  using type = weft::RecordPropertyMap<Tag, weft::detail::RecordOf<G>>;
  using const_type = type;
};

}  // namespace boost
