// The canvases of an HTML view: the first shows the whole record, the others what a folded box of one before
// them holds. Boxes that hold equal parts of the record share a canvas.
#pragma once

#include <nlohmann/json.hpp>

#include "diagram/picture.hpp"

namespace weft::diagram {

struct DrawnCanvas {
  std::string svg;       // empty: it could not be drawn
  nlohmann::json boxes;  // of folded boxes: id, name, ranges of nodes, canvas ("to"), ids there minus here
};

std::vector<DrawnCanvas> draw_canvases(const Scene& scene, const std::filesystem::path& folder,
                                       DiagramReport& report);

}  // namespace weft::diagram
