// Folding: what is hidden and what is drawn add up to the record.
#include <catch2/catch.hpp>
#include <map>
#include <regex>

#include "diagram/picture.hpp"
#include "diagram_records.hpp"

using namespace weft;
using namespace weft::diagram;

namespace {

struct Edge {
  std::string from, to;
  std::size_t count;
};
std::vector<Edge> edges_of(const std::string& dot) {
  static const std::regex pattern(R"x(  (\w+) -> (\w+) \[id="e.*?(?:weft_slot=\d+|weft_edges=(\d+))\];)x");
  std::vector<Edge> edges;
  for (std::sregex_iterator it(dot.begin(), dot.end(), pattern), end; it != end; ++it)
    edges.push_back({(*it)[1], (*it)[2], (*it)[3].matched ? std::stoul((*it)[3]) : 1});
  return edges;
}

bool is_acyclic(const std::vector<Edge>& edges) {
  std::map<std::string, std::vector<std::string>> next;
  std::map<std::string, int> waiting;
  for (const Edge& e : edges) {
    next[e.from].push_back(e.to);
    ++waiting[e.to];
    waiting.try_emplace(e.from, 0);
  }
  std::vector<std::string> ready;
  for (const auto& [name, left] : waiting) {
    if (left == 0) ready.push_back(name);
  }
  std::size_t done = 0;
  while (!ready.empty()) {
    const std::string name = ready.back();
    ready.pop_back();
    ++done;
    for (const std::string& to : next[name]) {
      if (--waiting[to] == 0) ready.push_back(to);
    }
  }
  return done == waiting.size();
}

struct Sums {
  std::uint64_t nodes = 0, ops = 0, bytes = 0;
  std::int64_t parameters = 0;
  double flops = 0;
  friend bool operator==(const Sums&, const Sums&) = default;
  void add(const Graph& g, NodeId n) {
    ++nodes;
    const std::int64_t elements = g.type(n).shape.elements();
    if (g.kind(n) == NodeKind::parameter) parameters += elements;
    if (g.kind(n) != NodeKind::op) return;
    ++ops;
    bytes += static_cast<std::uint64_t>(elements) * size_of(g.type(n).dtype);
    flops += weft::flops(g, n);
  }
  void add(const Totals& totals) {
    nodes += totals.nodes;
    ops += totals.ops;
    bytes += totals.bytes;
    parameters += totals.parameters;
    flops += totals.flops;
  }
};

// What the boxes of a canvas say that they hold, and the numbers in labels.
Sums sums_of(const Canvas& canvas, const Graph& g) {
  Sums sums;
  for (const Box& box : canvas.boxes) {
    if (box.kind == BoxKind::group)
      sums.add(canvas.groups[box.id].totals);
    else if (box.kind != BoxKind::sum)
      sums.add(g, box.id);
  }
  for (NodeId n = 0; n < g.node_count(); ++n) {
    if (canvas.inlined[n]) sums.add(g, n);
  }
  return sums;
}

std::vector<FoldOptions> folds() {
  std::vector<FoldOptions> options;
  for (const int depth : {0, 1, 2, 3}) {
    for (const int max_boxes : {400, 25}) {
      for (const bool repeats : {false, true})
        options.push_back({.depth = depth, .repeats = repeats, .max_boxes = max_boxes});
    }
  }
  options.push_back({.depth = 0, .open = {"s1*"}, .closed = {"*/a"}});
  return options;
}

}  // namespace

TEST_CASE("nodes, edges, parameters, FLOPs and bytes that are drawn and hidden add up to the record",
          "[diagram][fold]") {
  const unsigned seed = GENERATE(range(0u, 7u));
  Graph g;
  record_random(g, seed, seed == 0 ? 0 : 15 << seed);
  const Snapshot s = take_snapshot(g);
  for (const DiagramView view : {DiagramView::forward, DiagramView::both, DiagramView::backward}) {
    for (const FoldOptions& fold : folds()) {
      const Scene scene(s, {.view = view, .fold = fold});
      Sums total;
      std::uint64_t edges = 0;
      for (NodeId n = 0; n < g.node_count(); ++n) {
        if (!scene.view.shown[n]) continue;
        total.add(g, n);
        edges += g.inputs(n).size();
      }
      const Canvas canvas = folded_canvas(s, scene.outline, scene.view, fold);
      CHECK(sums_of(canvas, g) == total);
      CHECK(canvas.visible + canvas.hidden == total.nodes);
      CHECK(canvas.groups[0].totals.nodes == total.nodes);
      CHECK(std::ranges::count_if(canvas.boxes, [](const Box& box) { return box.kind != BoxKind::sum; }) <=
            fold.max_boxes);
      if (view == DiagramView::backward) continue;  // its edges are gradients
      CHECK(edges == g.edge_count());
      for (const CanvasEdge& e : canvas.edges) edges -= e.kind == EdgeKind::data ? e.count : 0;
      CHECK(edges == canvas.hidden_edges);
    }
  }
}

TEST_CASE("what a part takes from elsewhere is drawn beside it: not folded, not counted", "[diagram][fold]") {
  constexpr int values = 30, most = 10;
  Graph g;
  const Var x = g.input(Tensor::zeros({2}), "x");
  std::vector<Var> elsewhere;
  for (int i = 0; i < values; ++i) elsewhere.push_back(tanh(x));
  for (int i = 0; i < values; ++i) {
    const Scope scope = g.scope(fmt::format("block{}", i));
    scale(exp(elsewhere[static_cast<std::size_t>(i)]), i);
  }
  const Snapshot s = take_snapshot(g);
  Scene scene(s, {});
  scene.view.outside.assign(s.node_count(), false);
  scene.view.shown[x.id()] = false;
  for (const Var& value : elsewhere) scene.view.outside[value.id()] = true;
  const bool repeats = GENERATE(false, true);
  const Canvas canvas = folded_canvas(s, scene.outline, scene.view, {.repeats = repeats, .max_boxes = most});
  CHECK(std::ranges::count(canvas.boxes, BoxKind::outside, &Box::kind) == values);
  CHECK(canvas.boxes.size() <= values + most);
  CHECK(canvas.visible + canvas.hidden == 2 * values);
  CHECK(canvas.groups[0].totals.nodes == 2 * values);
}

TEST_CASE("whatever is folded, no cycle appears, and a greater depth shows no less", "[diagram][fold]") {
  const unsigned seed = GENERATE(range(0u, 6u));
  Graph g;
  record_random(g, seed, 30 << seed);
  std::size_t boxes_before = 0;
  for (const int depth : {0, 1, 2, 3}) {
    for (const int max_boxes : {20'000, 25}) {
      const std::string dot =
          dot_of(g, {.fold = {.depth = depth, .repeats = false, .max_boxes = max_boxes}, .folded_dot = true});
      const std::vector<Edge> edges = edges_of(dot);
      CHECK(is_acyclic(edges));
      if (max_boxes == 25) continue;
      const std::size_t boxes = count(dot, " class=\"");
      CHECK(boxes >= boxes_before);
      boxes_before = boxes;
    }
  }
}

TEST_CASE("an edge at a folded box stands for as many edges as it says", "[diagram][fold]") {
  Graph g;
  Var a = g.input(Tensor::zeros({2}), "a");
  Var b;
  {
    const Scope scope = g.scope("folded");
    b = add(multiply(a, a), a);
  }
  sum(multiply(b, b));
  const std::string dot = dot_of(g, {.fold = {.depth = 0}, .folded_dot = true});
  CHECK_THAT(line_of(dot, "n0 -> s1"), Catch::Contains("weft_edges=3"));
  CHECK_THAT(line_of(dot, "s1 -> n3"), Catch::Contains("weft_edges=2"));
  CHECK_THAT(line_of(dot, "s1"), Catch::Contains("weft_nodes=2"));
}

TEST_CASE("equal neighbouring scopes fold, with their number and whether they share parameters",
          "[diagram]") {
  Graph own, shared, loop;
  record_blocks(own, 12, false);
  record_blocks(shared, 12, true);
  CHECK_THAT(dot_of(own, {.folded_dot = true}),
             Catch::Contains("block0  +11 more") && Catch::Contains("weft_nodes=36"));
  CHECK_THAT(dot_of(shared, {.folded_dot = true}), Catch::Contains("block0  x12"));
  const Var w = loop.use(Parameter("w", Tensor::zeros({2})));
  Var h = loop.input(Tensor::zeros({2}), "x");
  for (int i = 0; i < 50; ++i) h = tanh(multiply(h, w));
  sum(h);
  const std::string dot = dot_of(loop, {.folded_dot = true});
  CHECK_THAT(dot, Catch::Contains("multiply, tanh  x50"));
  CHECK(count(dot_of(own, {.fold = {.repeats = false}, .folded_dot = true}), " weft_type=") ==
        own.node_count());
  CHECK(count(dot_of(own, {.fold = {.depth = 0, .repeats = false}, .folded_dot = true}),
              " class=\"folded\"") == 12);
  CHECK(count(dot_of(own, {.fold = {.depth = 0, .repeats = false, .open = {"block3"}}, .folded_dot = true}),
              " class=\"folded\"") == 11);
}
