// The DOT writer.
#pragma once

#include <iosfwd>
#include <string_view>

#include "diagram/canvas.hpp"

namespace weft::diagram {

// How long Graphviz may optimise: to the end; so long that spines are nearly straight; as little as it can.
enum class Effort : std::uint8_t { full, limited, least };

// What the layout is asked for.
struct DotStyle {
  std::string_view splines = "spline";
  Effort effort = Effort::full;
  bool clusters = true;
  bool legend = false;
  bool spare_line = false;  // in every box, for the viewer to fill
  // Named in the caption besides; empty: nothing.
  std::string_view note = {};
};

// Writes a canvas: one item a line, boxes by scope, then edges; identifiers are generated. Returns whether a
// text was cut.
bool write_dot(const Snapshot& s, const Outline& outline, const View& view, const Canvas& canvas,
               std::ostream& out, const DiagramOptions& options, const DotStyle& style);

}  // namespace weft::diagram
