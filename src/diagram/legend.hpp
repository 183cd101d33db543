// The legend of a canvas.
#pragma once

#include <string>

#include "diagram/canvas.hpp"

namespace weft::diagram {

// A cluster in DOT, of the kinds of boxes that the canvas has, below each other.
std::string legend_text(const Snapshot& s, const View& view, const Canvas& canvas,
                        const DiagramOptions& options);

}  // namespace weft::diagram
