#include "diagram/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "diagram/dot.hpp"

namespace weft::diagram {

namespace {

struct Attempt {
  DotStyle style;
  int max_boxes;
  double share;  // of the budget
};

// Graphviz's time grows faster than the canvas, and how much faster cannot be told beforehand: each attempt
// asks for less.
std::vector<Attempt> attempts_for(const Canvas& first, const FoldOptions& fold) {
  constexpr std::size_t many = 250;  // boxes: their splines, and the best places for them, take seconds
  constexpr std::uint64_t large = 2000;
  const Attempt smaller{{.splines = "polyline", .effort = Effort::least}, std::min(fold.max_boxes, 100), 0.3};
  const Attempt smallest{
      {.splines = "line", .effort = Effort::least, .clusters = false}, std::min(fold.max_boxes, 30), 0.2};
  if (drawn_size(first) > large) return {{smaller.style, smaller.max_boxes, 0.8}, smallest};
  const DotStyle best = first.boxes.size() <= many
                            ? DotStyle{.splines = "spline"}
                            : DotStyle{.splines = "polyline", .effort = Effort::limited};
  return {{best, fold.max_boxes, 0.5}, smaller, smallest};
}

std::string note_of(const DotStyle& style, bool folded_further) {
  std::string note;
  const auto add = [&](std::string_view text) {
    note += fmt::format("{}{}", note.empty() ? "simplified: " : ", ", text);
  };
  if (folded_further) add("more is folded, to be readable");
  if (style.splines != "spline") add("straight edges");
  if (!style.clusters) add("no scopes");
  return note;
}

void write_canvas(const Scene& scene, const Canvas& canvas, DotStyle style, const std::filesystem::path& file,
                  Picture& picture) {
  const std::string note = note_of(style, canvas.folded_further);
  style.note = note;
  std::ofstream out(file, std::ios::binary);
  picture.text_cut |= write_dot(scene.s, scene.outline, scene.view, canvas, out, scene.options, style);
  out.close();
  if (!out) {
    throw FileError(fmt::format("save_diagram: cannot write {}: {}", file.string(),
                                std::generic_category().message(errno ? errno : EIO)));
  }
}

}  // namespace

Picture draw_picture(const Scene& scene, const std::filesystem::path& folder, std::string_view format,
                     std::chrono::milliseconds budget, bool for_viewer) {
  Picture picture;
  FoldOptions fold = scene.options.fold;
  Canvas canvas = folded_canvas(scene.s, scene.outline, scene.view, fold);
  for (auto [style, max_boxes, share] : attempts_for(canvas, fold)) {
    if (canvas.boxes.size() > static_cast<std::size_t>(max_boxes)) {
      fold.max_boxes = max_boxes;
      canvas = folded_canvas(scene.s, scene.outline, scene.view, fold);
    }
    style.legend = !for_viewer;
    style.spare_line = for_viewer;
    write_canvas(scene, canvas, style, folder / "graph.dot", picture);
    const auto start = std::chrono::steady_clock::now();
    picture.result =
        run_layout(folder, format, std::chrono::duration_cast<std::chrono::milliseconds>(share * budget));
    picture.layout_time +=
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
    if (picture.result.end == LayoutEnd::no_helper) break;
    if (!picture.is_drawn()) continue;
    if (canvas.folded_further) picture.degraded.push_back(Degradation::folded_further);
    if (style.splines != "spline") picture.degraded.push_back(Degradation::straight_edges);
    if (!style.clusters) picture.degraded.push_back(Degradation::no_clusters);
    if (picture.result.end == LayoutEnd::small_raster) picture.degraded.push_back(Degradation::small_raster);
    break;
  }
  picture.canvas = std::move(canvas);
  if (picture.result.end == LayoutEnd::timed_out)
    picture.result.message = fmt::format("the layout took longer than its budget of {} ms", budget.count());
  return picture;
}

}  // namespace weft::diagram
