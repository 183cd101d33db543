#include "diagram/save.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include "diagram/dot.hpp"
#include "diagram/files.hpp"
#include "diagram/html.hpp"
#include "diagram/picture.hpp"

namespace weft {

namespace {

namespace fs = std::filesystem;
using diagram::LayoutEnd;
using diagram::Picture;
using diagram::Scene;

std::string format_of(const fs::path& file) {
  constexpr std::array<std::string_view, 8> known = {"dot",  "svg",  "pdf",     "png",
                                                     "html", "json", "graphml", "txt"};
  std::string extension = file.extension().string();
  if (!extension.empty()) extension.erase(0, 1);
  for (char& c : extension) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (std::find(known.begin(), known.end(), extension) != known.end()) return extension;
  throw FileError(fmt::format("save_diagram: {}: unknown extension '{}', known are .{}", file.string(),
                              file.extension().string(), fmt::join(known, " .")));
}

// Writes `file` by `write(stream)`, complete or not at all.
template <class Write>
void write_file(const diagram::WorkFolder& folder, const fs::path& file, DiagramReport& report,
                Write&& write) {
  const fs::path part = folder.path() / "part";
  std::ofstream out(part, std::ios::binary);
  write(out);
  out.close();
  if (!out) diagram::throw_unwritable(file, errno ? errno : EIO);
  diagram::move_into_place(part, file);
  report.files.push_back(file);
}

bool write_dot_of(const Scene& scene, std::ostream& out) {
  const DiagramOptions& options = scene.options;
  if (options.folded_dot) {
    const diagram::Canvas canvas = folded_canvas(scene.s, scene.outline, scene.view, options.fold);
    return write_dot(scene.s, scene.outline, scene.view, canvas, out, options, {.legend = true});
  }
  diagram::View view = scene.view;
  if (!options.around) view.shown.assign(scene.s.node_count(), true);
  const diagram::Canvas canvas = whole_canvas(scene.s, scene.outline, view);
  return write_dot(scene.s, scene.outline, view, canvas, out, options, {});
}

Degradation degradation_of(LayoutEnd end) {
  if (end == LayoutEnd::no_helper) return Degradation::no_layout;
  return end == LayoutEnd::timed_out ? Degradation::timed_out : Degradation::failed;
}

void save_picture(const Scene& scene, const fs::path& file, const std::string& format,
                  const diagram::WorkFolder& folder, DiagramReport& report) {
  const Picture picture =
      draw_picture(scene, folder.path(), format, diagram::layout_budget(scene.options), false);
  report.layout_time = std::chrono::duration<double>(picture.layout_time).count();
  report.degraded = picture.degraded;
  if (picture.text_cut) report.degraded.push_back(Degradation::text_cut);
  if (picture.is_drawn()) {
    report.visible = picture.canvas.visible;
    report.hidden = picture.canvas.hidden;
    diagram::move_into_place(folder.path() / "picture", file);
    report.files.push_back(file);
    return;
  }
  if (scene.options.strict)
    throw FileError(fmt::format("save_diagram: {}: {}", file.string(), picture.result.message));
  report.degraded.insert(report.degraded.begin(), degradation_of(picture.result.end));
  write_file(folder, fs::path(file).replace_extension("dot"), report,
             [&](std::ostream& out) { write_dot_of(scene, out); });
  write_file(folder, fs::path(file).replace_extension("txt"), report,
             [&](std::ostream& out) { write_text(scene.s, out, scene.options); });
  fmt::print(stderr, "weft: {} was not drawn, {} and .txt were written instead: {}\n", file.string(),
             fs::path(report.files.front()).filename().string(), picture.result.message);
}

}  // namespace

DiagramReport diagram::save(const Snapshot& s, std::vector<NodeChange> changes, const fs::path& file,
                            const DiagramOptions& given) {
  const std::string format = format_of(file);
  DiagramOptions options = given;
  if (options.title.empty()) options.title = file.stem().string();
  Scene scene(s, options);
  scene.view.changes = std::move(changes);
  const diagram::WorkFolder folder(file);
  DiagramReport report;
  report.visible = s.node_count();
  bool text_cut = false;
  if (format == "dot") {
    write_file(folder, file, report, [&](std::ostream& out) { text_cut = write_dot_of(scene, out); });
  } else if (format == "txt") {
    write_file(folder, file, report, [&](std::ostream& out) { write_text(s, out, options); });
  } else if (format == "graphml") {
    write_file(folder, file, report, [&](std::ostream& out) { write_graphml(s, out); });
  } else if (format == "json") {
    write_file(folder, file, report, [&](std::ostream& out) { write_json(s, out); });
  } else if (format == "html") {
    write_file(folder, file, report,
               [&](std::ostream& out) { diagram::write_html(scene, folder.path(), out, report); });
  } else {
    save_picture(scene, file, format, folder, report);
  }
  if (text_cut) report.degraded.push_back(Degradation::text_cut);
  return report;
}

DiagramReport save_diagram(const Snapshot& s, const std::string& file, const DiagramOptions& options) {
  return diagram::save(s, {}, file, options);
}

DiagramReport save_diagram(const Graph& g, const std::string& file, const DiagramOptions& options) {
  format_of(file);  // an error before the work
  return save_diagram(take_snapshot(g), file, options);
}

void write_dot(const Snapshot& s, std::ostream& out, const DiagramOptions& options) {
  write_dot_of(Scene(s, options), out);
}

void write_dot(const Graph& g, std::ostream& out, const DiagramOptions& options) {
  write_dot(take_snapshot(g), out, options);
}

}  // namespace weft
