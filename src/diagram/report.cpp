#include <fmt/format.h>

#include "weft/diagram.hpp"

namespace weft {

std::string to_string(Degradation degradation) {
  switch (degradation) {
    case Degradation::folded_further:
      return "more is folded than was asked for, so that it can be read";
    case Degradation::straight_edges:
      return "edges are straight, because the graph is too large or too tangled for curves";
    case Degradation::no_clusters:
      return "scopes are not drawn, because the layout with them took too long";
    case Degradation::no_layout:
      return "not drawn, because the program weft-layout was not found; see the DOT and text files";
    case Degradation::timed_out:
      return "not drawn, because the layout took longer than its budget; see the DOT and text files";
    case Degradation::failed:
      return "not drawn, because the layout failed; see the DOT and text files";
    case Degradation::small_raster:
      return "the resolution is low, because the picture is large: SVG has no such limit";
    case Degradation::text_cut:
      break;
  }
  return "a text was too long and ends in ...";
}

std::string to_text(const DiagramReport& report) {
  std::string text;
  for (const std::string& file : report.files) text += fmt::format("wrote {}\n", file);
  text += fmt::format("{} nodes, {} of them hidden, {:.0f} ms of layout\n", report.visible + report.hidden,
                      report.hidden, 1000 * report.layout_time);
  for (const Degradation degradation : report.degraded) text += to_string(degradation) + "\n";
  return text;
}

}  // namespace weft
