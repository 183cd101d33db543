#include <fmt/format.h>
#include <fmt/ranges.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include "diagram/dot.hpp"
#include "diagram/layout.hpp"

namespace weft {

namespace {

namespace fs = std::filesystem;
using diagram::DotStyle;
using diagram::LayoutEnd;
using diagram::LayoutResult;
using diagram::Outline;
using std::chrono::milliseconds;

std::string format_of(const fs::path& file) {
  constexpr std::array<std::string_view, 4> known = {"dot", "svg", "png", "pdf"};
  std::string extension = file.extension().string();
  if (!extension.empty()) extension.erase(0, 1);
  for (char& c : extension) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (std::find(known.begin(), known.end(), extension) != known.end()) return extension;
  throw FileError(fmt::format("save_diagram: {}: unknown extension '{}', known are .{}", file.string(),
                              file.extension().string(), fmt::join(known, " .")));
}

[[noreturn]] void throw_unwritable(const fs::path& file, int error) {
  throw FileError(fmt::format("save_diagram: cannot write {}: {}", file.string(),
                              std::generic_category().message(error)));
}

// A folder beside the file that is to be made, gone at the end: what is complete is renamed from there.
class WorkFolder {
 public:
  explicit WorkFolder(const fs::path& file) {
    const fs::path parent = file.has_parent_path() ? file.parent_path() : ".";
    std::string name = (parent / ".weft-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw_unwritable(file, errno);
    path_ = name;
  }
  WorkFolder(const WorkFolder&) = delete;
  ~WorkFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void move_into_place(const fs::path& made, const fs::path& file, DiagramReport& report) {
  std::error_code error;
  fs::rename(made, file, error);
  if (error) throw_unwritable(file, error.value());
  report.files.push_back(file);
}

// The record as DOT in the work folder.
class DotFile {
 public:
  DotFile(const Graph& g, const fs::path& file, const DiagramOptions& options)
      : graph_(g), outline_(g), file_(file), options_(options), folder_(file) {
    if (options_.title.empty()) options_.title = file.stem().string();
  }

  void write(const DotStyle& style) {
    std::ofstream out(path(), std::ios::binary);
    text_cut_ = diagram::write_dot(graph_, outline_, out, options_, style);
    out.close();
    if (!out) throw_unwritable(file_, errno ? errno : EIO);
  }

  fs::path path() const { return folder_.path() / "graph.dot"; }
  const fs::path& folder() const { return folder_.path(); }
  const Outline& outline() const { return outline_; }
  bool text_cut() const { return text_cut_; }

 private:
  const Graph& graph_;
  Outline outline_;
  fs::path file_;
  DiagramOptions options_;
  WorkFolder folder_;
  bool text_cut_ = false;
};

struct Attempt {
  DotStyle style;
  double share;  // of the budget
};

// Graphviz's time grows faster than the record, and how much faster cannot be told beforehand: each attempt
// asks for less.
std::vector<Attempt> attempts_for(const Outline& outline) {
  constexpr std::size_t many_boxes = 400, many_splines = 250;
  constexpr std::uint64_t large = 2000;
  const Attempt fast{{.splines = "polyline", .fast = true}, 0.3};
  const Attempt plain{{.splines = "line", .fast = true, .clusters = false}, 0.2};
  if (outline.nodes.size() > many_boxes || outline.drawn_size > large) return {{fast.style, 0.8}, plain};
  const bool smooth = outline.nodes.size() <= many_splines;
  return {{{.splines = smooth ? "spline" : "polyline"}, 0.5}, fast, plain};
}

LayoutResult draw(DotFile& dot, const std::string& format, milliseconds budget, DiagramReport& report) {
  LayoutResult result{LayoutEnd::failed};
  for (const auto& [style, share] : attempts_for(dot.outline())) {
    dot.write(style);
    const auto start = std::chrono::steady_clock::now();
    result =
        diagram::run_layout(dot.folder(), format, std::chrono::duration_cast<milliseconds>(share * budget));
    report.layout_time += std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
    if (result.end == LayoutEnd::no_helper) break;
    if (result.end != LayoutEnd::drawn && result.end != LayoutEnd::small_raster) continue;
    if (style.splines != "spline") report.degraded.push_back(Degradation::straight_edges);
    if (!style.clusters) report.degraded.push_back(Degradation::no_clusters);
    if (result.end == LayoutEnd::small_raster) report.degraded.push_back(Degradation::small_raster);
    break;
  }
  if (result.end == LayoutEnd::timed_out) {
    result.message = fmt::format("the layout took longer than its budget of {} ms", budget.count());
  }
  return result;
}

Degradation degradation_of(LayoutEnd end) {
  if (end == LayoutEnd::no_helper) return Degradation::no_layout;
  return end == LayoutEnd::timed_out ? Degradation::timed_out : Degradation::failed;
}

}  // namespace

DiagramReport save_diagram(const Graph& g, const fs::path& file, const DiagramOptions& options) {
  const std::string format = format_of(file);
  DotFile dot(g, file, options);
  DiagramReport report;
  report.visible = g.node_count();
  if (format == "dot") {
    dot.write({});
    move_into_place(dot.path(), file, report);
  } else {
    const LayoutResult result = draw(dot, format, options.layout_budget, report);
    if (result.end == LayoutEnd::drawn || result.end == LayoutEnd::small_raster) {
      move_into_place(dot.folder() / "picture", file, report);
    } else {
      if (options.strict) throw FileError(fmt::format("save_diagram: {}: {}", file.string(), result.message));
      report.degraded.push_back(degradation_of(result.end));
      dot.write({});
      move_into_place(dot.path(), fs::path(file).replace_extension("dot"), report);
      fmt::print(stderr, "weft: {} was not drawn, {} was written instead: {}\n", file.string(),
                 report.files.back().filename().string(), result.message);
    }
  }
  if (dot.text_cut()) report.degraded.push_back(Degradation::text_cut);
  return report;
}

std::string to_string(Degradation degradation) {
  switch (degradation) {
    case Degradation::straight_edges:
      return "edges are straight, because the graph is too large or too tangled for curves";
    case Degradation::no_clusters:
      return "scopes are not drawn, because the layout with them took too long";
    case Degradation::no_layout:
      return "not drawn, because the program weft-layout was not found; see the DOT file";
    case Degradation::timed_out:
      return "not drawn, because the layout took longer than its budget; see the DOT file";
    case Degradation::failed:
      return "not drawn, because the layout failed; see the DOT file";
    case Degradation::small_raster:
      return "the resolution is low, because the picture is large: SVG has no such limit";
    case Degradation::text_cut:
      break;
  }
  return "a text was too long and ends in ...";
}

std::string to_text(const DiagramReport& report) {
  std::string text;
  for (const fs::path& file : report.files) text += fmt::format("wrote {}\n", file.string());
  text += fmt::format("{} nodes, {} of them hidden, {} ms of layout\n", report.visible + report.hidden,
                      report.hidden, report.layout_time.count());
  for (const Degradation degradation : report.degraded) text += to_string(degradation) + "\n";
  return text;
}

}  // namespace weft
