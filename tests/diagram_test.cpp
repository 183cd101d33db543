// The DOT text of a record and save_diagram, without Graphviz.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "diagram_records.hpp"
#include "temporary_folder.hpp"
#include "weft/weft.hpp"

using namespace weft;
namespace fs = std::filesystem;

TEST_CASE("the same record gives the same bytes, in another graph, after clear()", "[diagram]") {
  const Cnn cnn;
  Graph g, other;
  cnn.record(g);
  const std::string dot = dot_of(g);
  other.input(Tensor::zeros({1}));
  other.clear();
  cnn.record(other);
  CHECK(dot_of(other) == dot);
}

TEST_CASE("a box shows the attributes that matter", "[diagram]") {
  Graph g;
  const Var x = g.input(Tensor::zeros({2, 9, 9, 4}), "x");
  const Var w = g.input(Tensor::zeros({3, 3, 2, 4}), "w");
  const Var a = g.input(Tensor::zeros({5, 4}), "a");
  const auto label = [&](const Var& v) {
    const std::string dot = dot_of(g), item = line_of(dot, fmt::format("n{}", v.id()));
    const auto begin = item.find(" label=\"") + 8;
    return item.substr(begin, item.find("\\n", begin) - begin);
  };
  CHECK(label(conv2d(x, w, {.groups = 2})) == "conv2d 3x3 groups 2");
  CHECK(label(conv2d(x, w, {.stride = {2, 1}, .padding = 1, .dilation = 2, .groups = 2, .relu = true})) ==
        "conv2d 3x3 /2x1 padding 1 dilation 2 groups 2 relu");
  CHECK(label(matmul(a, a, {.transpose_b = true})) == "matmul transpose_b");
  CHECK(label(scale(a, 1.01)) == "scale 1.01");
  CHECK(label(pow(a, 3)) == "pow 3");
  CHECK(label(sum(a, {.axes = {-1}, .keep_axes = true})) == "sum axes (-1) keep_axes");
  CHECK(label(broadcast_to(a, {2, 5, 4})) == "broadcast_to");
  CHECK(label(reshape(a, {20})) == "reshape (view)");
  CHECK(label(pool2d(x, {.window = 8})) == "pool2d max 8x8 /8");
  CHECK(
      label(pool2d(x, {.window = {3, 2}, .stride = 1, .kind = PoolKind::average, .include_padding = true})) ==
      "pool2d average 3x2 include_padding");
  CHECK(label(flatten(x)) == "flatten (view)");
  CHECK(label(transpose(a, {1, 0})) == "transpose permutation (1, 0)");
  CHECK(label(pad(a, {.before = {1}})) == "pad before (1, 0) constant");
  CHECK(label(dropout(a, 0.25)) == "dropout 0.25");
  CHECK(label(sum(a)) == "sum");  // the last, since after a root others are unused
}

TEST_CASE("a parameter is drawn in the deepest scope that holds all of its consumers", "[diagram]") {
  Graph g;
  const Parameter p("p", Tensor::zeros({2})), q("q", Tensor::zeros({2}));
  const Var outside = g.use(p), both = g.use(q);
  Var h;
  {
    const Scope net = g.scope("net");
    const Scope one = g.scope("one");
    h = add(outside, both);
  }
  {
    const Scope net = g.scope("net");
    const Scope two = g.scope("two");
    h = add(h, both);
  }
  const std::string dot = dot_of(g);
  // By scope: the graph itself holds q, used in both entries of net; net/one holds p and its op.
  CHECK(dot.find("n1 [") < dot.find("subgraph cluster_s1"));
  CHECK(dot.find("n0 [") > dot.find("subgraph cluster_s2"));
  CHECK(dot.find("n0 [") < dot.find("subgraph cluster_s3"));
  CHECK_THAT(dot, Catch::Contains(R"(weft_scope="net (2)/two")") && Catch::Contains("label=\"net (2)\""));
}

TEST_CASE("the last differentiable scalar that nothing consumes is the root, others are marked as unused",
          "[diagram]") {
  Graph g;
  const Var x = g.input(Tensor::zeros({3}), "x");
  const Var loss = sum(x), forgotten = relu(x), index = argmax(x);
  const Var lonely = g.input(Tensor::zeros({3}), "lonely");
  const std::string dot = dot_of(g);
  CHECK_THAT(line_of(dot, "n1"), Catch::Contains("peripheries=2"));
  CHECK_THAT(line_of(dot, "n2"), Catch::Contains("dotted") && Catch::Contains("relu (unused)"));
  CHECK_THAT(line_of(dot, "n3"), Catch::Contains("argmax axis 0 (unused)"));
  CHECK_THAT(line_of(dot, "n4"), Catch::Contains("lonely (unused)"));

  Graph open;  // without a scalar there is no root, and a result is not unused
  relu(open.input(Tensor::zeros({3}), "x"));
  CHECK(count(dot_of(open), "unused") == 0);
  CHECK(count(dot_of(open), "peripheries") == 0);
}

TEST_CASE("an empty graph is a diagram with a caption", "[diagram]") {
  const Graph g;
  CHECK_THAT(dot_of(g, {.title = "nothing"}), Catch::Contains("label=\"nothing | 0 ops | 0 parameters\""));
}

TEST_CASE("a text that is too long is cut at a code point, and the report says so", "[diagram]") {
  const TemporaryFolder folder;
  Graph g;
  std::string name;
  for (int i = 0; i < 2000; ++i) name += "\u00e9&";
  g.input(Tensor::zeros({1}), name);
  const DiagramReport report = save_diagram(g, folder / "long.dot");
  CHECK(report.degraded == std::vector{Degradation::text_cut});
  const std::string dot = text_of(folder / "long.dot"), item = line_of(dot, "n0");
  std::string shown;
  for (int i = 0; i < 38; ++i) shown += "\u00e9&amp;";
  CHECK_THAT(item, Catch::Contains("label=\"" + shown + "\u00e9...\\nf32[1]\""));
  CHECK(item.size() < 2 * 4000 + 1000);
}

TEST_CASE("a chain of 100,000 ops is written in blocks and without recursion", "[diagram]") {
  Graph g;
  Var x = g.input(Tensor::zeros({1}), "x");
  for (int i = 0; i < 100'000; ++i) x = relu(x);
  const std::string dot = dot_of(g);
  CHECK(count(dot, " weft_op=\"relu\"") == 100'000);
  CHECK(count(dot, " weft_slot=0") == 100'000);
  CHECK_THAT(dot, Catch::EndsWith("weft_slot=0];\n}\n"));
}

TEST_CASE("scopes nested 1,000 deep are drawn 255 deep", "[diagram]") {
  Graph g;
  std::vector<Scope> scopes;
  const Var x = g.input(Tensor::zeros({1}), "x");
  for (int i = 0; i < 1000; ++i) {
    scopes.push_back(g.scope("s"));
    relu(x);
  }
  while (!scopes.empty()) scopes.pop_back();
  const std::string dot = dot_of(g);
  CHECK(count(dot, "subgraph cluster_") == 255);
  CHECK(count(dot, "weft_op=\"relu\"") == 1000);
}

TEST_CASE("an extension that is unknown is an error that lists the known ones", "[diagram]") {
  const TemporaryFolder folder;
  const Graph g;
  CHECK_THROWS_WITH(
      save_diagram(g, folder / "model.jpg"),
      Catch::EndsWith(
          "model.jpg: unknown extension '.jpg', known are .dot .svg .pdf .png .html .json .graphml .txt"));
  CHECK_THROWS_AS(save_diagram(g, folder / "model"), FileError);
  CHECK(save_diagram(g, folder / "MODEL.DOT").files == std::vector<std::string>{folder / "MODEL.DOT"});
}

TEST_CASE("a place that cannot be written is an error, and nothing is left behind", "[diagram]") {
  const TemporaryFolder folder;
  const Graph g;
  CHECK_THROWS_WITH(
      save_diagram(g, folder / "missing/model.dot"),
      Catch::StartsWith("save_diagram: cannot write") && Catch::Contains("missing/model.dot: No such file"));
  write_text(folder / "file", "a file, no folder");
  CHECK_THROWS_AS(save_diagram(g, folder / "file/model.svg"), FileError);
  fs::create_directory(folder / "model.dot");
  CHECK_THROWS_AS(save_diagram(g, folder / "model.dot"), FileError);
  CHECK(folder.names() == std::vector<std::string>{"file", "model.dot"});
}

TEST_CASE("a diagram replaces the file that was there", "[diagram]") {
  const TemporaryFolder folder;
  write_text(folder / "model.dot", "old");
  Graph g;
  relu(g.input(Tensor::zeros({1}), "x"));
  const DiagramReport report = save_diagram(g, folder / "model.dot");
  CHECK(report.files == std::vector<std::string>{folder / "model.dot"});
  CHECK(report.visible == 2);
  CHECK(report.degraded.empty());
  CHECK(text_of(folder / "model.dot") == dot_of(g, {.title = "model"}));
  CHECK_THAT(to_text(report), Catch::Contains("model.dot") && Catch::Contains("2 nodes, 0 of them hidden"));
}
