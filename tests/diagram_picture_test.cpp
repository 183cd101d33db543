// What Graphviz makes of a canvas: every text inside its box, no box on another; also without pango, which
// measures text; and pictures of diffs.
#include <stdlib.h>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "diagram_records.hpp"
#include "temporary_folder.hpp"
#include "weft/diff.hpp"
#include "weft/weft.hpp"

using namespace weft;
namespace fs = std::filesystem;
using boost::property_tree::ptree;

namespace {

constexpr double ample = 60;  // seconds: a loaded machine must not fail a test

struct Text {
  std::string text;
  double x, y, width;  // of the line's middle and base, in points
};

// One node of an SVG: the rectangle around its outline, and its lines.
struct Box {
  double left = 1e9, top = 1e9, right = -1e9, bottom = -1e9;
  std::vector<Text> lines;

  void add_point(double x, double y) {
    left = std::min(left, x);
    right = std::max(right, x);
    top = std::min(top, y);
    bottom = std::max(bottom, y);
  }
  bool overlaps(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

// All "x,y" of the attribute of a polygon or path.
void add_points(Box& box, std::string outline) {
  for (char& c : outline) {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0 || c == ',') c = ' ';
  }
  std::istringstream numbers(outline);
  for (double x = 0, y = 0; numbers >> x >> y;) box.add_point(x, y);
}

// A monospaced character of 10 pt is 6.02 pt wide.
void add_parts(Box& box, const ptree& part) {
  for (const auto& [tag, child] : part) {
    if (tag == "polygon") add_points(box, child.get<std::string>("<xmlattr>.points"));
    if (tag == "path") add_points(box, child.get<std::string>("<xmlattr>.d"));
    if (tag == "text") {
      const std::string text = child.data();
      box.lines.push_back({text, child.get<double>("<xmlattr>.x"), child.get<double>("<xmlattr>.y"),
                           6.02 * static_cast<double>(text.size())});
    }
    if (tag == "g" || tag == "a") add_parts(box, child);
  }
}

void find_boxes(const ptree& part, std::map<std::string, Box>& boxes) {
  for (const auto& [tag, child] : part) {
    if (tag != "g") continue;
    const std::string kind = child.get("<xmlattr>.class", "");
    if (kind.starts_with("node"))
      add_parts(boxes[child.get<std::string>("<xmlattr>.id")], child);
    else
      find_boxes(child, boxes);
  }
}

std::map<std::string, Box> boxes_of(const fs::path& svg) {
  ptree tree;
  std::ifstream in(svg);
  boost::property_tree::read_xml(in, tree);
  std::map<std::string, Box> boxes;
  find_boxes(tree.get_child("svg"), boxes);
  return boxes;
}

void require_readable(const fs::path& svg, std::size_t at_least) {
  const std::map<std::string, Box> boxes = boxes_of(svg);
  REQUIRE(boxes.size() >= at_least);
  for (const auto& [id, box] : boxes) {
    CAPTURE(id, box.left, box.right, box.top, box.bottom);
    REQUIRE_FALSE(box.lines.empty());
    if (box.left > box.right) continue;  // a line of the legend, without outline
    for (const Text& line : box.lines) {
      CAPTURE(line.text, line.x, line.y);
      CHECK(line.x - line.width / 2 >= box.left);
      CHECK(line.x + line.width / 2 <= box.right);
      CHECK(line.y - 8 >= box.top);
      CHECK(line.y <= box.bottom);
    }
    for (const auto& [other_id, other] : boxes) {
      CAPTURE(other_id);
      CHECK((id == other_id || !box.overlaps(other)));
    }
  }
}

class WithEnvironment {
 public:
  WithEnvironment(const char* name, const fs::path& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  WithEnvironment(const WithEnvironment&) = delete;
  ~WithEnvironment() { ::unsetenv(name_); }

 private:
  const char* name_;
};

// Graphviz's list of plugins without pango's.
bool write_plugins_without_pango(const fs::path& folder) {
  for (const char* plugins : {"/usr/lib/x86_64-linux-gnu/graphviz", "/usr/lib/aarch64-linux-gnu/graphviz",
                              "/usr/lib/graphviz", "/usr/lib64/graphviz"}) {
    const std::string list = text_of(fs::path(plugins) / "config6a");
    if (list.empty()) continue;
    for (const auto& entry : fs::directory_iterator(plugins)) {
      if (entry.path().filename() != "config6a")
        fs::create_symlink(entry.path(), folder / entry.path().filename());
    }
    std::istringstream in(list);
    std::string kept, line;
    int depth = 0;
    for (bool is_pango = false; std::getline(in, line);) {
      if (depth == 0 && line.starts_with("lib")) is_pango = line.find("pango") != std::string::npos;
      for (const char c : line) depth += c == '{' ? 1 : c == '}' ? -1 : 0;
      if (!is_pango) kept += line + "\n";
    }
    std::ofstream(folder / "config6a") << kept;
    return kept != list;
  }
  return false;
}

}  // namespace

TEST_CASE("in a picture every text is inside its box, and no box on another", "[diagram][picture]") {
  const DiagramOverlay overlay =
      GENERATE(DiagramOverlay::shape, DiagramOverlay::time, DiagramOverlay::memory, DiagramOverlay::flops,
               DiagramOverlay::gradient, DiagramOverlay::nonfinite);
  const DiagramView view = GENERATE(DiagramView::forward, DiagramView::both);
  const TemporaryFolder folder;
  Graph g;
  const Profile profile(g, {.gradients = true, .nonfinite = true});
  g.backward(Cnn().record(g));
  save_diagram(
      g, folder / "cnn.svg",
      {.view = view, .overlay = overlay, .fold = {.repeats = false}, .layout_budget = ample, .strict = true});
  require_readable(folder / "cnn.svg", 10);
}

TEST_CASE("without pango a picture is as readable, and what needs pango is DOT", "[diagram][picture]") {
  const TemporaryFolder folder;
  if (!write_plugins_without_pango(folder.path())) {
    WARN("skipped: Graphviz's list of plugins was not found");
    return;
  }
  const WithEnvironment plugins("GVBINDIR", folder.path());
  Graph g;
  Cnn().record(g);
  save_diagram(g, folder / "cnn.svg", {.fold = {.repeats = false}, .layout_budget = ample, .strict = true});
  require_readable(folder / "cnn.svg", 10);
  const DiagramReport report = save_diagram(g, folder / "cnn.pdf", {.layout_budget = ample});
  CHECK_FALSE(report.degraded.empty());
  CHECK(fs::exists(folder / "cnn.dot"));
  CHECK_FALSE(fs::exists(folder / "cnn.pdf"));
}

TEST_CASE("a diff is drawn as SVG and as HTML", "[diagram][picture]") {
  const TemporaryFolder folder;
  const auto record = [](Graph& g, bool edited) {
    const Var x = g.input(Tensor::zeros({2, edited ? 4 : 3}), "x");
    return take_snapshot(std::vector{edited ? tanh(x) : relu(x)});
  };
  Graph before, after;
  const GraphDiff changes = diff(record(before, false), record(after, true));
  save_diagram(changes, folder / "diff.svg", {.layout_budget = ample, .strict = true});
  const std::string svg = text_of(folder / "diff.svg");
  save_diagram(changes, folder / "diff.html", {.layout_budget = ample, .strict = true});
  const std::string html = text_of(folder / "diff.html");
  for (const char* mark : {"+ tanh", "&#45; relu"}) {  // as Graphviz writes a minus
    CHECK(svg.find(mark) != std::string::npos);
    CHECK(html.find(mark) != std::string::npos);
  }
}
