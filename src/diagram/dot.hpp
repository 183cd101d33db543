// The DOT writer.
#pragma once

#include <iosfwd>
#include <string_view>

#include "diagram/outline.hpp"
#include "weft/diagram.hpp"

namespace weft::diagram {

// What the layout is asked for.
struct DotStyle {
  std::string_view splines = "spline";
  bool fast = false;  // fewer rounds of Graphviz's optimisations
  bool clusters = true;
};

// Writes the whole record: one item a line, nodes by scope, then edges by id; identifiers are generated.
// Returns whether a text was cut.
bool write_dot(const Graph& g, const Outline& outline, std::ostream& out, const DiagramOptions& options,
               const DotStyle& style);

}  // namespace weft::diagram
