// Graph as a model of Boost.Graph: the concepts, and algorithms that run on the record itself.
#include "weft/boost_graph.hpp"

#include <algorithm>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/dag_shortest_paths.hpp>
#include <boost/graph/dominator_tree.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <boost/graph/graph_concepts.hpp>
#include <boost/graph/graphml.hpp>
#include <boost/graph/reverse_graph.hpp>
#include <boost/graph/topological_sort.hpp>
#include <boost/graph/vf2_sub_graph_iso.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <numeric>
#include <random>
#include <set>
#include <sstream>

#include "weft/weft.hpp"

using namespace weft;

namespace {

BOOST_CONCEPT_ASSERT((boost::VertexListGraphConcept<Graph>));
BOOST_CONCEPT_ASSERT((boost::EdgeListGraphConcept<Graph>));
BOOST_CONCEPT_ASSERT((boost::IncidenceGraphConcept<Graph>));
BOOST_CONCEPT_ASSERT((boost::AdjacencyGraphConcept<Graph>));
BOOST_CONCEPT_ASSERT((boost::AdjacencyMatrixConcept<Graph>));
BOOST_CONCEPT_ASSERT((boost::VertexListGraphConcept<Snapshot>));
BOOST_CONCEPT_ASSERT((boost::EdgeListGraphConcept<Snapshot>));
BOOST_CONCEPT_ASSERT((boost::IncidenceGraphConcept<Snapshot>));
BOOST_CONCEPT_ASSERT((boost::AdjacencyGraphConcept<Snapshot>));
BOOST_CONCEPT_ASSERT((boost::BidirectionalGraphConcept<Consumers<Snapshot>>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Snapshot, NodeId, VertexTime>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Snapshot, NodeId, VertexScope>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Graph, NodeId, VertexFlops>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Snapshot, EdgeId, EdgeSlot>));
BOOST_CONCEPT_ASSERT((boost::VertexListGraphConcept<Consumers<Graph>>));
BOOST_CONCEPT_ASSERT((boost::EdgeListGraphConcept<Consumers<Graph>>));
BOOST_CONCEPT_ASSERT((boost::BidirectionalGraphConcept<Consumers<Graph>>));
BOOST_CONCEPT_ASSERT((boost::AdjacencyGraphConcept<Consumers<Graph>>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Graph, NodeId, boost::vertex_index_t>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Graph, EdgeId, boost::edge_index_t>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Graph, NodeId, boost::vertex_name_t>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Graph, NodeId, VertexOp>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Graph, NodeId, VertexShape>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Graph, NodeId, VertexDType>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Graph, NodeId, VertexScope>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Graph, NodeId, VertexSource>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Consumers<Graph>, NodeId, VertexBytes>));
BOOST_CONCEPT_ASSERT((boost::ReadablePropertyGraphConcept<Consumers<Graph>, EdgeId, EdgeSlot>));

// 0 x, 1 w; 2 relu(x), 3 squared = 2 * 2 (two edges), 4 wide = w + 3 (broadcast), 5 sum(4), and 6 relu(w),
// unused.
struct Example {
  Graph g;
  Var x = g.input(Tensor::zeros({4, 1}), "x");
  Var w = g.use(Parameter("net/w", Tensor::zeros({3})));
  Var positive = relu(x), squared, wide, loss, unused;

  Example() {
    auto scope = g.scope("net");
    squared = positive * positive;
    wide = add(w, squared);
    loss = sum(wide);
    unused = relu(w);
  }
};

// A chain with skips to random older nodes, some of them taken twice.
std::vector<Var> record_random(Graph& g, int ops) {
  std::vector<Var> nodes{g.input(Tensor::zeros({2}), "x"), g.input(Tensor::zeros({2}), "y")};
  std::mt19937 random(7);
  const auto below = [&](std::size_t bound) { return random() % bound; };
  const auto pick = [&] { return nodes[below(nodes.size())]; };
  for (int i = 0; i < ops; ++i) {
    const Var a = pick(), b = below(4) == 0 ? a : pick();
    nodes.push_back(below(3) == 0 ? relu(a) : add(a, b));
  }
  return nodes;
}

template <class Key, class Value>
using PropertyMap = boost::function_property_map<std::function<Value(Key)>, Key, Value>;

}  // namespace

TEST_CASE("a graph is read through Boost.Graph with parallel edges for an operand taken twice", "[boost]") {
  const Example e;
  const Graph& g = e.g;
  REQUIRE(num_vertices(g) == 7);
  REQUIRE(num_edges(g) == 7);
  const NodeId squared = e.squared.id();
  const auto [first, last] = out_edges(squared, g);
  REQUIRE(std::vector<EdgeId>(first, last) == std::vector<EdgeId>{{1}, {2}});
  CHECK(source(*first, g) == squared);
  CHECK(target(*first, g) == e.positive.id());
  CHECK(out_degree(squared, g) == 2);
  const auto [input, end] = adjacent_vertices(squared, g);
  CHECK(std::vector<NodeId>(input, end) == std::vector<NodeId>(2, e.positive.id()));
  CHECK(edge(squared, e.positive.id(), g) == std::pair(EdgeId{1}, true));
  CHECK_FALSE(edge(squared, e.x.id(), g).second);
}

TEST_CASE("consumers() adds the in-edges of every node", "[boost]") {
  const Example e;
  const Consumers<Graph> view = consumers(e.g);
  const auto of = [&](const Var& v) {
    const auto [first, last] = in_edges(v.id(), view);
    return std::vector<EdgeId>(first, last);
  };
  CHECK(of(e.x) == std::vector<EdgeId>{{0}});
  CHECK(of(e.positive) == std::vector<EdgeId>{{1}, {2}});
  CHECK(of(e.w) == std::vector<EdgeId>{{3}, {6}});
  CHECK(of(e.loss).empty());
  CHECK(in_degree(e.w.id(), view) == 2);
  CHECK(degree(e.squared.id(), view) == 3);
  const Graph nothing;
  CHECK(num_vertices(consumers(nothing)) == 0);
}

TEST_CASE("property maps read names, types, scopes and slots from the record", "[boost]") {
  const Example e;
  const Graph& g = e.g;
  CHECK(get(boost::vertex_index, g, e.loss.id()) == e.loss.id());
  CHECK(get(boost::edge_index, g, EdgeId{3}) == 3);
  CHECK(get(boost::vertex_name, g, e.w.id()) == "net/w");
  CHECK(get(boost::vertex_name, g, e.loss.id()).empty());
  CHECK(get(vertex_op, g, e.wide.id()) == "add");
  CHECK(get(vertex_op, g, e.x.id()).empty());
  CHECK(get(vertex_shape, g, e.wide.id()) == Shape{4, 3});
  CHECK(get(vertex_dtype, g, e.wide.id()) == DType::f32);
  CHECK(get(vertex_bytes, g, e.wide.id()) == 4 * 3 * 4);
  CHECK(get(vertex_scope, g, e.positive.id()).empty());
  CHECK(get(vertex_scope, g, e.wide.id()) == "net");
  CHECK(to_string(get(vertex_source, g, e.wide.id())).starts_with("boost_graph_test.cpp:"));
  CHECK(get(edge_slot, g, EdgeId{1}) == 0);
  CHECK(get(get(edge_slot, consumers(g)), EdgeId{2}) == 1);
}

TEST_CASE("the engine's order, ascending ids, is the order of Boost's topological sort", "[boost]") {
  Graph g;
  record_random(g, 500);
  std::vector<NodeId> order;  // boost lists the end of an edge before its start: inputs before consumers
  boost::topological_sort(g, std::back_inserter(order));
  std::vector<NodeId> ids(g.node_count());
  std::iota(ids.begin(), ids.end(), NodeId{0});
  CHECK(order == ids);
}

TEST_CASE("breadth-first search from the loss reaches exactly what the loss depends on", "[boost]") {
  Graph g;
  const std::vector<Var> nodes = record_random(g, 300);
  const NodeId root = nodes.back().id();
  std::set<NodeId> reached;
  struct Collect : boost::default_bfs_visitor {
    std::set<NodeId>* reached;
    explicit Collect(std::set<NodeId>* reached) : reached(reached) {}
    void discover_vertex(NodeId n, const Graph&) const { reached->insert(n); }
  };
  boost::breadth_first_search(g, root, boost::visitor(Collect(&reached)));

  std::set<NodeId> needed{root};  // one descending sweep
  for (NodeId n = root + 1; n-- > 0;) {
    if (!needed.contains(n)) continue;
    for (const NodeId input : g.inputs(n)) needed.insert(input);
  }
  CHECK(reached == needed);
  CHECK(reached.size() < g.node_count());
}

TEST_CASE("the critical path by bytes is the one that a plain loop over ids finds", "[boost]") {
  Graph g;
  const std::vector<Var> nodes = record_random(g, 300);
  const NodeId root = nodes.back().id();
  const auto bytes_of_input = [&](EdgeId e) {
    return static_cast<std::int64_t>(get(vertex_bytes, g, target(e, g)));
  };
  const PropertyMap<EdgeId, std::int64_t> weight(bytes_of_input);
  std::vector<std::int64_t> distance(g.node_count());
  boost::dag_shortest_paths(
      g, root,
      boost::weight_map(weight)
          .distance_map(boost::make_iterator_property_map(distance.begin(), get(boost::vertex_index, g)))
          .distance_compare(std::greater<>{})
          .distance_inf(std::int64_t{-1}));
  std::vector<std::int64_t> longest(g.node_count(), -1);
  longest[root] = 0;
  for (NodeId n = root + 1; n-- > 0;) {
    if (longest[n] < 0) continue;
    for (const NodeId input : g.inputs(n)) longest[input] = std::max(longest[input], longest[n] + 8);
  }
  CHECK(distance == longest);
}

TEST_CASE("a filtered graph leaves out parameters without a copy", "[boost]") {
  const Example e;
  const auto is_no_parameter = [&](NodeId n) { return e.g.kind(n) != NodeKind::parameter; };
  const boost::filtered_graph<Graph, boost::keep_all, std::function<bool(NodeId)>> filtered(
      e.g, boost::keep_all{}, is_no_parameter);
  const auto [first, last] = vertices(filtered);
  CHECK(std::vector<NodeId>(first, last) == std::vector<NodeId>{0, 2, 3, 4, 5, 6});
  CHECK(out_degree(e.wide.id(), filtered) == 1);
  CHECK(out_degree(e.unused.id(), filtered) == 0);
}

// Boost 1.74 needs every node reachable from the entry, so nothing is unused here.
TEST_CASE("every path from the loss to a node passes through its dominators", "[boost]") {
  Graph g;
  const Var x = g.input(Tensor::zeros({2}), "x");
  const Var y = relu(x);
  const Var loss = sum(relu(y) + y * y);  // 2 and 3 are the sides of a diamond from 1 to 4
  const Consumers<Graph> view = consumers(g);
  std::vector<NodeId> dominator(g.node_count(), boost::graph_traits<Graph>::null_vertex());
  boost::lengauer_tarjan_dominator_tree(
      view, loss.id(), boost::make_iterator_property_map(dominator.begin(), get(boost::vertex_index, view)));
  dominator.pop_back();  // the entry has none
  CHECK(dominator == std::vector<NodeId>{1, 4, 4, 4, 5});
}

TEST_CASE("two records of one model are isomorphic, and not after an operand is redirected", "[boost]") {
  const auto same_graph = [](const Graph& a, const Graph& b) {
    const Consumers<Graph> left = consumers(a), right = consumers(b);
    const auto found = [](const auto&, const auto&) { return false; };  // the first one will do
    const auto node = [&](NodeId n, NodeId m) { return get(vertex_op, a, n) == get(vertex_op, b, m); };
    const auto slot = [&](EdgeId e, EdgeId f) { return a.edge_slot(e) == b.edge_slot(f); };
    return boost::vf2_graph_iso(left, right, found, get(boost::vertex_index, left),
                                get(boost::vertex_index, right), boost::vertex_order_by_mult(left), slot,
                                node);
  };
  const Example e, again;
  CHECK(same_graph(e.g, again.g));

  const auto record = [](Graph& g, bool swapped) {
    const Var x = g.input(Tensor::zeros({2}), "x");
    const Var y = relu(x);
    return sum(swapped ? add(y, x) : add(x, y));
  };
  Graph plain, same_one, swapped;
  record(plain, false);
  record(same_one, false);
  record(swapped, true);
  CHECK(same_graph(plain, same_one));
  CHECK_FALSE(same_graph(plain, swapped));
}

TEST_CASE("the reversed view goes through Boost's GraphML writer in the direction of the data", "[boost]") {
  const Example e;
  const Consumers<Graph> view = consumers(e.g);
  const auto flow = boost::make_reverse_graph(view);
  const auto op = [&](NodeId n) { return std::string(get(vertex_op, e.g, n)); };
  boost::dynamic_properties properties;
  properties.property("op", PropertyMap<NodeId, std::string>(op));
  std::ostringstream out;
  boost::write_graphml(out, flow, get(boost::vertex_index, view), properties);
  CHECK_THAT(out.str(), Catch::Contains(R"(<node id="n5">)") &&
                            Catch::Contains(R"(<data key="key0">sum</data>)") &&
                            Catch::Contains(R"(source="n4" target="n5")"));
}
