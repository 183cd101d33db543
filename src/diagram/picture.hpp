// One canvas laid out by the helper, with fewer demands at every attempt.
#pragma once

#include <chrono>
#include <cmath>
#include <optional>

#include "diagram/canvas.hpp"
#include "diagram/layout.hpp"

namespace weft::diagram {

// What every writer of one record shares.
struct Scene {
  Scene(const Snapshot& snapshot, const DiagramOptions& options)
      : s(snapshot), outline(snapshot), view(make_view(snapshot, options)), options(options) {}
  const Snapshot& s;
  Outline outline;
  View view;
  DiagramOptions options;
};

inline std::chrono::milliseconds layout_budget(const DiagramOptions& options) {
  return std::chrono::milliseconds(std::llround(1000 * options.layout_budget));
}

struct Picture {
  LayoutResult result{LayoutEnd::failed};
  Canvas canvas;  // that was drawn, or tried last
  bool text_cut = false;
  std::vector<Degradation> degraded;
  std::chrono::milliseconds layout_time{};
  bool is_drawn() const { return result.end == LayoutEnd::drawn || result.end == LayoutEnd::small_raster; }
};

// Leaves the picture as `folder`/picture. `folder` must exist. With `spare_line` for the viewer.
Picture draw_picture(const Scene& scene, const std::filesystem::path& folder, std::string_view format,
                     std::chrono::milliseconds budget, bool for_viewer);

}  // namespace weft::diagram
