// The DOT of a record, read back by libcgraph and by Boost, is the record.
#include <catch2/catch.hpp>
#include <regex>

#include "diagram_records.hpp"
#include "dot_reader.hpp"
#include "hostile_strings.hpp"

using namespace weft;

namespace {

void check_round_trip(const Graph& g) {
  const Snapshot s = take_snapshot(g);
  const std::string dot = dot_of(g);
  CHECK(difference(read_by_cgraph(dot), s) == "");
  CHECK(difference(read_by_boost(dot), s) == "");
}

// The start of the line of edge e, which is "  n1 -> n2 [id=...".
std::size_t line_of_edge(const std::string& dot, std::uint32_t e) {
  return dot.rfind('\n', dot.find(fmt::format("[id=\"e{}\"", e))) + 1;
}

std::string without_edge(std::string dot, std::uint32_t e) {
  const std::size_t at = line_of_edge(dot, e);
  return dot.erase(at, dot.find('\n', at) + 1 - at);
}

std::string with_edge_from(std::string dot, std::uint32_t e, NodeId from) {
  const std::size_t at = line_of_edge(dot, e) + 2;
  return dot.replace(at, dot.find(' ', at) - at, fmt::format("n{}", from));
}

// Two operands of one op change places.
std::string with_swapped_slots(std::string dot, std::uint32_t e) {
  for (const std::uint32_t edge : {e, e + 1}) {
    const std::size_t at = dot.find("weft_slot=", line_of_edge(dot, edge)) + 10;
    dot[at] = edge == e ? '1' : '0';
  }
  return dot;
}

DotGraph renumbered(const DotGraph& read, unsigned seed) {
  std::vector<std::string> ids, shuffled;
  for (const auto& [id, node] : read.nodes) ids.push_back(id);
  shuffled = ids;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(seed));
  std::map<std::string, std::string> now;
  for (std::size_t i = 0; i < ids.size(); ++i) now[ids[i]] = shuffled[i];
  DotGraph out;
  for (const auto& [id, node] : read.nodes) out.nodes[now[id]] = node;
  for (const DotEdge& e : read.edges) out.edges.push_back({now[e.from], now[e.to], e.id, e.slot});
  std::shuffle(out.edges.begin(), out.edges.end(), std::mt19937(seed + 1));
  return out;
}

}  // namespace

TEST_CASE("DOT read by libcgraph and by Boost is the record: nodes, edges with slots, clusters, attributes",
          "[diagram][dot]") {
  const unsigned seed = GENERATE(range(0u, 20u));
  Graph g;
  record_random(g, seed, static_cast<int>(seed * seed) * 2);
  check_round_trip(g);
  const Snapshot s = take_snapshot(g);
  CHECK(identity(rebuilt(read_by_cgraph(dot_of(g)))) == identity(s));
}

TEST_CASE("an empty graph, a node without edges, x * x and a CNN survive both readers", "[diagram][dot]") {
  const Graph nothing;
  check_round_trip(nothing);
  Graph square;
  const Var x = square.input(Tensor::zeros({2}), "x");
  check_round_trip(square);
  multiply(x, x);
  check_round_trip(square);
  CHECK(read_by_cgraph(dot_of(square)).edges.size() == 2);
  Graph cnn;
  Cnn().record(cnn);
  check_round_trip(cnn);
}

TEST_CASE("an edge of the DOT that is dropped, redirected or swapped is noticed", "[diagram][dot]") {
  const unsigned seed = GENERATE(range(0u, 8u));
  Graph g;
  record_random(g, seed, 60);
  const Snapshot s = take_snapshot(g);
  const std::string dot = dot_of(g);
  std::mt19937 random(seed);
  for (int i = 0; i < 10; ++i) {
    std::uint32_t e = 0;  // of two operands that differ
    do {
      e = static_cast<std::uint32_t>(random() % (s.edge_count() - 1));
    } while (s.edge_slot({e}) != 0 || s.edge_slot({e + 1}) != 1 ||
             s.edge_target({e}) == s.edge_target({e + 1}));
    const NodeId other = s.edge_target({e}) == 0 ? 1 : s.edge_target({e}) - 1;
    for (const std::string& changed :
         {without_edge(dot, e), with_edge_from(dot, e, other), with_swapped_slots(dot, e)}) {
      REQUIRE(changed != dot);
      CHECK(difference(read_by_cgraph(changed), s) != "");
      CHECK(difference(read_by_boost(changed), s) != "");
    }
  }
}

TEST_CASE("the DOT of a record is isomorphic to it under any numbering, and not after one edge has changed",
          "[diagram][dot]") {
  const int ops = GENERATE(20, 200, 5000);
  Graph g;
  record_random(g, 11, ops);
  const std::string dot = dot_of(g);
  const DotGraph read = read_by_boost(dot), moved = renumbered(read, 3);
  CHECK(is_isomorphic(read, moved));
  const Snapshot s = take_snapshot(g);
  std::uint32_t e = s.edge_count() / 2;
  while (s.edge_slot({e + 1}) != 1 || s.edge_target({e}) == s.edge_target({e + 1})) ++e;
  CHECK_FALSE(is_isomorphic(read_by_boost(without_edge(dot, e)), moved));
  CHECK_FALSE(is_isomorphic(read_by_boost(with_edge_from(dot, e, s.edge_target({e}) == 0)), moved));
  CHECK_FALSE(is_isomorphic(read_by_boost(with_swapped_slots(dot, e)), moved));
}

TEST_CASE("no name breaks the DOT, and none is changed but by what is not text", "[diagram][dot]") {
  const auto [name, expected] = GENERATE(from_range(hostile_strings()));
  Graph g;
  {
    const Scope scope = g.scope(name);
    const Var x = g.input(Tensor::zeros({2}), name);
    sum(add(x, g.use(Parameter(name, Tensor::zeros({2})))));
  }
  const std::string dot = dot_of(g);
  const DotGraph cgraph = read_by_cgraph(dot), by_boost = read_by_boost(dot);
  for (const DotGraph* read : {&cgraph, &by_boost}) {
    CHECK(read->nodes.size() == 4);
    CHECK(read->edges.size() == 3);
    CHECK(read->nodes.at("n0").name == expected);
    CHECK(read->nodes.at("n1").name == expected);
  }
  CHECK(cgraph.clusters.at("s1").path == expected);
}
