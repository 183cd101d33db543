#include "diagram/legend.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "diagram/style.hpp"

namespace weft::diagram {

namespace {

struct Entry {
  std::string name, shape, style, fill, line;
};

std::vector<Entry> entries_of(const Snapshot& s, const View& view, const Canvas& canvas, const Theme& theme) {
  const auto has = [&](auto&& test) { return std::ranges::any_of(canvas.boxes, test); };
  const auto has_kind = [&](NodeKind kind) {
    return has([&](const Box& b) { return b.kind == BoxKind::node && s.kind(b.id) == kind; });
  };
  const auto has_group = [&](OpGroup group) {
    return has(
        [&](const Box& b) { return b.kind == BoxKind::node && s.is_op(b.id) && s.op(b.id).group == group; });
  };
  const std::string plain(theme.plain), line(theme.line), blue(theme.gradient);
  std::vector<Entry> entries;
  const auto add = [&](std::string_view name, std::string_view shape, std::string_view style,
                       std::string_view fill, std::string_view border) {
    entries.push_back(
        {std::string(name), std::string(shape), std::string(style), std::string(fill), std::string(border)});
  };
  if (has_kind(NodeKind::input)) add("input", "invhouse", "filled", theme.input, line);
  if (has_kind(NodeKind::parameter)) add("parameter", "cylinder", "filled", theme.parameter, line);
  if (has_group(OpGroup::contraction)) add("contraction", "box", "filled,rounded", theme.contraction, line);
  if (has_kind(NodeKind::op)) add("op", "box", "filled,rounded", plain, line);
  if (has_group(OpGroup::view)) add("view, no copy", "box", "filled,rounded,dashed", plain, line);
  if (view.rules) add("gradient rule", "box", "filled,rounded", plain, blue);
  if (view.calls && !view.rules) add("blue: gradient", "plaintext", "", plain, blue);
  if (has([](const Box& b) { return b.kind == BoxKind::group; }))
    add("folded", "box3d", "filled", plain, line);
  return entries;
}

}  // namespace

std::string legend_text(const Snapshot& s, const View& view, const Canvas& canvas,
                        const DiagramOptions& options) {
  const Theme& theme = theme_of(options.theme);
  std::vector<Entry> entries = entries_of(s, view, canvas, theme);
  const std::size_t looks = entries.size();
  const bool norms = options.overlay == DiagramOverlay::gradient;
  const bool heat = norms || options.overlay == DiagramOverlay::time ||
                    options.overlay == DiagramOverlay::memory || options.overlay == DiagramOverlay::flops;
  const std::string line(theme.line);
  if (heat)
    entries.push_back(
        {norms ? "small" : "little", "box", "filled", norms ? diverging_color(-1) : heat_color(0), line});
  if (heat)
    entries.push_back(
        {norms ? "large" : "much", "box", "filled", norms ? diverging_color(1) : heat_color(1), line});
  std::string text = fmt::format(
      "  subgraph cluster_legend {{\n    graph [id=\"legend\" class=\"legend\" label=\"legend\" labeljust=l "
      "style=rounded color=\"{}\" fontcolor=\"{}\" tooltip=\"legend\"];\n",
      theme.scope_line, theme.text);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    text += fmt::format(
        "    l{0} [id=\"l{0}\" class=\"legend\" fontsize=9 height=0.28 width=1.30 shape={1} style=\"{2}\" "
        "fillcolor=\"{3}\" fontcolor=\"{4}\" color=\"{5}\" label=\"{6}\" tooltip=\"{6}\"];\n",
        i, entry.shape, entry.style, entry.fill, i >= looks ? text_on(entry.fill) : theme.text, entry.line,
        entry.name);
  }
  for (std::size_t i = 1; i < entries.size(); ++i)
    text += fmt::format("    l{} -> l{} [style=invis];\n", i - 1, i);
  return text + "  }\n";
}

}  // namespace weft::diagram
