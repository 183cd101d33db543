// The HTML view: one file with pictures, the snapshot's columns, a script and a style sheet.
#pragma once

#include <iosfwd>

#include "diagram/picture.hpp"

namespace weft::diagram {

// Canvases are laid out in `folder`. Adds what happened to the report.
void write_html(const Scene& scene, const std::filesystem::path& folder, std::ostream& out,
                DiagramReport& report);

}  // namespace weft::diagram
