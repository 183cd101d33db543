// Diagrams where something is wrong: no space, no permission, no PATH, records that are not there, names that
// break formats. One clear error or a correct file; nothing half written is left.
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/graphml.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "diagram_records.hpp"
#include "hostile_strings.hpp"
#include "temporary_folder.hpp"

using namespace weft;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> formats = {"dot", "svg", "pdf", "png", "html", "json", "graphml", "txt"};
constexpr double ample = 60;  // seconds

// Files of this process and its children end at so many bytes, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  sighandler_t handler_ = nullptr;
};

// Root may write everywhere: as somebody else while it lives.
class Unprivileged {
 public:
  Unprivileged() {
    if (was_root_) CHECK(::seteuid(65534) == 0);
  }
  Unprivileged(const Unprivileged&) = delete;
  ~Unprivileged() {
    if (was_root_ && ::seteuid(0) != 0) std::abort();
  }

 private:
  bool was_root_ = ::geteuid() == 0;
};

// No controls but newline, no broken UTF-8.
bool is_clean_text(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t bytes = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (bytes == 0 || i + bytes > text.size() || (lead < 0x20 && lead != '\n') || lead == 0x7f) return false;
    for (std::size_t k = 1; k < bytes; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    }
    i += bytes;
  }
  return true;
}

// Boost's reader of GraphML takes white space as XML's attributes do.
std::string as_boost_reads(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text.substr(text.find_first_not_of(' '),
                     text.find_last_not_of(' ') + 1 - text.find_first_not_of(' '));
}

void record_names(Graph& g, const std::string& name) {
  const Scope scope = g.scope(name);
  sum(add(g.input(Tensor::zeros({2}), name), g.use(Parameter(name, Tensor::zeros({2})))));
}

}  // namespace

TEST_CASE(
    "on a disk that is full every format is an error or says what is missing, and leaves no half a file",
    "[diagram][failures]") {
  const std::string format = GENERATE(from_range(formats));
  const TemporaryFolder folder;
  Graph g;
  record_random(g, 1, 300);
  const FileSizeLimit full(1000);
  const std::string file = folder / ("model." + format);
  CHECK_THROWS_AS(save_diagram(g, file, {.strict = true}), FileError);
  CHECK(folder.names().empty());
  CHECK_THROWS_WITH(save_diagram(g, file),
                    Catch::Contains("cannot write") && Catch::Contains("File too large"));
  CHECK(folder.names().empty());
}

TEST_CASE("a folder that is read-only is an error that names the file, and what was there stays",
          "[diagram][failures]") {
  const std::string format = GENERATE(from_range(formats));
  const TemporaryFolder folder;
  const std::string file = folder / ("model." + format);
  write_text(file, "old");
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read |
                                     fs::perms::others_exec);
  Graph g;
  record_blocks(g, 2, false);
  {
    const Unprivileged somebody;
    CHECK_THROWS_WITH(save_diagram(g, file), Catch::Contains(file) && Catch::Contains("Permission denied"));
  }
  fs::permissions(folder.path(), fs::perms::owner_all);
  CHECK(folder.names() == std::vector<std::string>{"model." + format});
  CHECK(text_of(file) == "old");
}

TEST_CASE("pictures need no PATH, no HOME and no display", "[diagram][failures]") {
  const TemporaryFolder folder;
  Graph g;
  record_blocks(g, 2, false);
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", "", 1);
  ::unsetenv("DISPLAY");
  const DiagramReport report =
      save_diagram(g, folder / "model.svg", {.layout_budget = ample, .strict = true});
  ::setenv("PATH", path.c_str(), 1);
  CHECK(report.degraded.empty());
  CHECK_THAT(text_of(folder / "model.svg"), Catch::Contains("</svg>"));
}

TEST_CASE("an empty graph has a file of every format", "[diagram][failures]") {
  const std::string format = GENERATE(from_range(formats));
  const TemporaryFolder folder;
  const Graph g;
  const std::string file = folder / ("model." + format);
  const DiagramReport report = save_diagram(g, file, {.layout_budget = ample, .strict = true});
  CHECK(report.degraded.empty());
  CHECK(report.visible == 0);
  CHECK_FALSE(text_of(file).empty());
}

TEST_CASE("a root or centre that the graph does not have, or a cleared graph, is an error before any file",
          "[diagram][failures]") {
  const TemporaryFolder folder;
  Graph g, other;
  const Var x = g.input(Tensor::zeros({2}), "x"), y = other.input(Tensor::zeros({2}), "y");
  CHECK_THROWS_AS(take_snapshot(std::array{x, y}), GraphError);
  CHECK_THROWS_AS(take_snapshot(std::array{Var(Tensor::zeros({1}))}), GraphError);
  CHECK_THROWS_WITH(save_diagram(g, folder / "a.svg", {.view = DiagramView::both, .root = NodeId{7}}),
                    Catch::Contains("node 7"));
  CHECK_THROWS_WITH(save_diagram(g, folder / "a.html", {.around = NodeId{7}}),
                    Catch::Contains("around node 7: the graph has 1 nodes"));
  g.backward(sum(multiply(g.use(Parameter("p", Tensor::zeros({2}))), x)));
  save_diagram(g, folder / "b.dot", {.view = DiagramView::both});
  g.clear();
  CHECK_THROWS_AS(take_snapshot(std::array{x}), GraphError);
  CHECK_THROWS_AS(save_diagram(g, folder / "a.dot", {.view = DiagramView::backward}), GraphError);
  CHECK(save_diagram(g, folder / "c.dot").visible == 0);
  CHECK(folder.names() == std::vector<std::string>{"b.dot", "c.dot"});
}

TEST_CASE("no name breaks JSON, GraphML or text", "[diagram][failures]") {
  const auto [name, text] = GENERATE(from_range(hostile_strings()));
  const TemporaryFolder folder;
  Graph g;
  record_names(g, name);
  for (const char* format : {"json", "graphml", "txt"})
    save_diagram(g, folder / fmt::format("names.{}", format), {.title = name});

  CHECK_NOTHROW(nlohmann::json::parse(text_of(folder / "names.json")));
  const bool is_utf8 = name.find_first_of("\xff\xc0") == std::string::npos;
  const Snapshot back = read_snapshot(folder / "names.json");  // loses only what JSON cannot hold
  CHECK(is_utf8 == (back.name(0) == name));
  CHECK(is_utf8 == (back.scope_path(1) == name));

  struct Node {
    std::string name, scope;
  };
  boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, Node> graph;
  boost::dynamic_properties properties(boost::ignore_other_properties);
  properties.property("name", get(&Node::name, graph));
  properties.property("scope", get(&Node::scope, graph));
  std::istringstream in(text_of(folder / "names.graphml"));
  boost::read_graphml(in, graph, properties);
  REQUIRE(num_vertices(graph) == 4);
  CHECK(graph[0].name == as_boost_reads(text));
  CHECK(graph[0].scope == as_boost_reads(text));

  const std::string lines = text_of(folder / "names.txt");
  CHECK(is_clean_text(lines));
  CHECK(count(lines, "\n") == 6);
}

TEST_CASE("names of a megabyte are cut in every format but those that lose nothing", "[diagram][failures]") {
  const std::string format = GENERATE(from_range(formats));
  const TemporaryFolder folder;
  Graph g;
  record_names(g, std::string(1'000'000, '"') + "\\");
  const std::string file = folder / ("model." + format);
  save_diagram(g, file, {.title = std::string(1'000'000, '&'), .layout_budget = ample, .strict = true});
  const bool holds_all = format == "json" || format == "html";
  CHECK(fs::file_size(file) > 10);
  CHECK(fs::file_size(file) < (holds_all ? 9'000'000 : 200'000));
}

TEST_CASE("JSON with any byte changed is read or is a FileError", "[diagram][failures]") {
  const TemporaryFolder folder;
  Graph g;
  record_random(g, 2, 30);
  save_diagram(g, folder / "good.json");
  const std::string good = text_of(folder / "good.json");
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bad = good;
    for (std::size_t k = random() % 3; k-- > 0;)
      bad[random() % bad.size()] = "0123456789-[]{},:\"ex \\\xff"[random() % 23];
    if (random() % 4 == 0) bad.erase(random() % bad.size(), random() % 20);
    write_text(folder / "bad.json", bad);
    try {
      const Snapshot s = read_snapshot(folder / "bad.json");
      for (const DiagramView view : {DiagramView::forward, DiagramView::both}) dot_of(s, {.view = view});
      dot_of(s, {.folded_dot = true});
    } catch (const FileError&) {
    } catch (const GraphError&) {  // a root that is no root
    }
  }
}
