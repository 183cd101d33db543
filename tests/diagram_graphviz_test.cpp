// Pictures by Graphviz, and a layout program that misbehaves.
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <thread>
#include <tuple>

#include "hostile_strings.hpp"
#include "temporary_folder.hpp"
#include "weft/weft.hpp"

using namespace weft;
namespace fs = std::filesystem;
using std::chrono::milliseconds;

namespace {

constexpr double ample = 60;  // seconds: a loaded machine must not fail a test

// In one scope, with parallel edges only.
void record_chain(Graph& g, int ops) {
  const Scope scope = g.scope("net");
  Var x = g.input(Tensor::zeros({2}), "x");
  for (int i = 0; i < ops; ++i) x = multiply(x, x);
  sum(x);
}

// Sets an environment variable while it lives.
class WithLayout {
 public:
  explicit WithLayout(const fs::path& program) { ::setenv("WEFT_LAYOUT", program.c_str(), 1); }
  WithLayout(const WithLayout&) = delete;
  ~WithLayout() { ::unsetenv("WEFT_LAYOUT"); }
};

fs::path write_script(const TemporaryFolder& folder, const std::string& commands) {
  const fs::path script = folder / "layout.sh";
  write_text(script, "#!/bin/sh\n" + commands + "\n");
  fs::permissions(script, fs::perms::owner_all);
  return script;
}

// Within 10 seconds: gone, or a zombie that init has not collected.
bool has_ended(pid_t process) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < deadline) {
    const std::string state = text_of(fmt::format("/proc/{}/stat", process));
    if (state.empty() || state.find(") Z ") != std::string::npos) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

bool is_well_formed(const fs::path& xml) {
  boost::property_tree::ptree tree;
  std::ifstream in(xml);
  try {
    boost::property_tree::read_xml(in, tree);
  } catch (const boost::property_tree::xml_parser_error&) {
    return false;
  }
  const std::string text = text_of(xml);
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 && c != '\n'; });
}

}  // namespace

TEST_CASE("no name breaks an SVG", "[diagram]") {
  const auto [name, text] = GENERATE(from_range(hostile_strings()));
  const TemporaryFolder folder;
  Graph g;
  const Scope scope = g.scope(name);
  sum(add(g.input(Tensor::zeros({2}), name), g.use(Parameter(name, Tensor::zeros({2})))));
  const DiagramReport report = save_diagram(g, folder / "names.svg", {.title = name, .layout_budget = ample});
  CHECK(report.degraded.empty());
  CHECK(is_well_formed(folder / "names.svg"));
}

TEST_CASE("a name of a megabyte is cut and drawn", "[diagram]") {
  const TemporaryFolder folder;
  Graph g;
  const Scope scope = g.scope(std::string(1'000'000, '\\'));
  g.input(Tensor::zeros({2}), std::string(1'000'000, '"'));
  const DiagramReport report = save_diagram(g, folder / "long.svg", {.layout_budget = ample});
  CHECK(report.degraded == std::vector{Degradation::text_cut});
  CHECK(is_well_formed(folder / "long.svg"));
}

TEST_CASE("an SVG holds every node, edge and scope by its id and is well-formed XML", "[diagram]") {
  const TemporaryFolder folder;
  Graph g;
  record_chain(g, 12);
  const DiagramReport report =
      save_diagram(g, folder / "model.svg", {.fold = {.repeats = false}, .layout_budget = ample});
  CHECK(report.degraded.empty());
  CHECK(report.files == std::vector<std::string>{folder / "model.svg"});
  CHECK(report.visible == g.node_count());
  REQUIRE(is_well_formed(folder / "model.svg"));
  const std::string svg = text_of(folder / "model.svg");
  for (NodeId n = 0; n < g.node_count(); ++n)
    REQUIRE(svg.find(fmt::format("id=\"n{}\"", n)) != std::string::npos);
  for (std::uint32_t e = 0; e < g.edge_count(); ++e) {
    REQUIRE(svg.find(fmt::format("id=\"e{}\"", e)) != std::string::npos);
  }
  REQUIRE(svg.find("id=\"s1\"") != std::string::npos);
  CHECK(folder.names() == std::vector<std::string>{"model.svg"});
}

TEST_CASE("the way of the data stands in one line above the loss", "[diagram]") {
  const TemporaryFolder folder;
  Graph g;
  Var h = g.input(Tensor::zeros({2, 8, 8, 3}), "images");
  for (int i = 0; i < 3; ++i) {
    const Scope scope = g.scope(fmt::format("conv{}", i));
    const Var b = g.use(Parameter("b", Tensor::zeros({3})));
    const Var w = g.use(Parameter("w", Tensor::zeros({2, 2, 3, 3})));
    h = relu(conv2d(h, w, b, {.padding = same}));
  }
  sum(flatten(h));
  save_diagram(g, folder / "model.svg", {.fold = {.repeats = false}, .layout_budget = ample, .strict = true});
  const std::string svg = text_of(folder / "model.svg");
  std::set<std::string> columns;  // x of each box's text
  for (NodeId n = 0; n < g.node_count(); ++n) {
    if (g.kind(n) == NodeKind::parameter) continue;
    const auto text = svg.find("<text text-anchor=\"middle\" x=\"", svg.find(fmt::format("id=\"n{}\"", n)));
    columns.insert(svg.substr(text, svg.find("y=", text) - text));
  }
  CHECK(columns.size() == 1);
}

TEST_CASE("PNG and PDF are written too", "[diagram]") {
  const TemporaryFolder folder;
  Graph g;
  record_chain(g, 3);
  CHECK(save_diagram(g, folder / "model.png", {.layout_budget = ample, .strict = true}).degraded.empty());
  CHECK_THAT(text_of(folder / "model.png"), Catch::StartsWith("\x89PNG"));
  CHECK(save_diagram(g, folder / "model.pdf", {.layout_budget = ample, .strict = true}).degraded.empty());
  CHECK_THAT(text_of(folder / "model.pdf"), Catch::StartsWith("%PDF"));
}

TEST_CASE("a PNG that would be too large is drawn at a lower resolution", "[diagram]") {
  const TemporaryFolder folder;
  Graph g;
  record_chain(g, 150);
  const DiagramReport report =
      save_diagram(g, folder / "long.png", {.fold = {.repeats = false}, .layout_budget = ample});
  CHECK(report.degraded == std::vector{Degradation::small_raster});
}

TEST_CASE("without a layout program the record is written as DOT, and the report says so", "[diagram]") {
  const TemporaryFolder folder;
  const WithLayout missing("/nonexistent");
  Graph g;
  record_chain(g, 3);
  const DiagramReport report = save_diagram(g, folder / "model.svg");
  CHECK(report.degraded == std::vector{Degradation::no_layout});
  CHECK(report.files == std::vector<std::string>{folder / "model.dot", folder / "model.txt"});
  CHECK_FALSE(fs::exists(folder / "model.svg"));
  CHECK_THAT(text_of(folder / "model.dot"), Catch::StartsWith("digraph weft {"));
  CHECK_THAT(to_text(report), Catch::Contains("weft-layout was not found"));
  CHECK_THROWS_WITH(save_diagram(g, folder / "model.svg", {.strict = true}),
                    Catch::Contains("cannot start /nonexistent"));
  CHECK(save_diagram(g, folder / "model.dot").degraded.empty());
}

TEST_CASE("a layout program that hangs is killed with its children when the budget is spent", "[diagram]") {
  const TemporaryFolder folder;
  const fs::path children = folder / "children";
  const WithLayout hangs(write_script(folder, "sleep 60 & echo $! >>" + children.string() + "\nsleep 60"));
  Graph g;
  record_chain(g, 3);
  const auto start = std::chrono::steady_clock::now();
  const DiagramReport report = save_diagram(g, folder / "model.svg", {.layout_budget = 0.2});
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  CHECK(report.degraded == std::vector{Degradation::timed_out});
  CHECK(report.layout_time >= 0.199);
  CHECK(fs::exists(folder / "model.dot"));
  std::ifstream in(children);
  for (pid_t child = 0; in >> child;) CHECK(has_ended(child));
}

TEST_CASE("a layout program that fails, is killed or writes half a picture leaves DOT", "[diagram]") {
  const auto [commands, message] = GENERATE(table<std::string, std::string>({
      {"echo no fonts here >&2; exit 1", "no fonts here"},
      {"kill -ABRT $$", "ended by signal 6"},
      {"exit 0", "no complete picture"},
      {"echo '<svg><g>' >$3; exit 0", "no complete picture"},
      {"echo '<svg></svg>' >$3; exit 9", "no complete picture"},
  }));
  const TemporaryFolder folder;
  const WithLayout fails(write_script(folder, commands));
  Graph g;
  record_chain(g, 3);
  const DiagramReport report = save_diagram(g, folder / "model.svg");
  CHECK(report.degraded == std::vector{Degradation::failed});
  CHECK(report.files == std::vector<std::string>{folder / "model.dot", folder / "model.txt"});
  CHECK_THROWS_WITH(save_diagram(g, folder / "model.svg", {.strict = true}), Catch::Contains(message));
}

TEST_CASE("a canvas that the layout cannot do in time is drawn with fewer demands, and the report names them",
          "[diagram]") {
  const TemporaryFolder folder;
  // Hangs at the first attempt, which asks for curves.
  const WithLayout slow(write_script(
      folder, "grep -q splines=spline $2 && sleep 60; exec " + std::string(WEFT_LAYOUT_PROGRAM) + " \"$@\""));
  Graph g;
  record_chain(g, 40);
  const DiagramReport report =
      save_diagram(g, folder / "slow.svg", {.fold = {.repeats = false}, .layout_budget = 4});
  CHECK(report.degraded == std::vector{Degradation::straight_edges});
  CHECK_THAT(text_of(folder / "slow.svg"), Catch::Contains("simplified: straight edges"));
}

TEST_CASE("a chain of 3,000 ops that differ is drawn on a canvas of at most 400 boxes", "[diagram]") {
  const TemporaryFolder folder;
  Graph g;
  Var x = g.input(Tensor::zeros({2}), "x");
  for (int i = 0; i < 3000; ++i) x = scale(x, 1 + i);
  sum(x);
  const DiagramReport report = save_diagram(g, folder / "long.svg", {.layout_budget = ample});
  CHECK(report.visible + report.hidden == g.node_count());
  const std::string svg = text_of(folder / "long.svg");
  std::size_t boxes = 0;
  for (auto at = svg.find("class=\"node"); at != std::string::npos; at = svg.find("class=\"node", at + 1))
    ++boxes;
  CHECK(boxes > 1);
  CHECK(boxes <= 400 + 8);  // and a legend
  CHECK(std::ranges::count(report.degraded, Degradation::folded_further) == 1);
}
