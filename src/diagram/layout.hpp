// Runs the helper program weft-layout, which draws DOT by Graphviz, under a time limit.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

namespace weft::diagram {

enum class LayoutEnd : std::uint8_t { drawn, small_raster, timed_out, failed, no_helper };

struct LayoutResult {
  LayoutEnd end;
  std::string message = {};  // why nothing was drawn; empty for a time-out
};

// Draws `folder`/graph.dot as `folder`/picture in `format` (svg, png, pdf). Never throws for what the helper
// does.
LayoutResult run_layout(const std::filesystem::path& folder, std::string_view format,
                        std::chrono::milliseconds budget);

}  // namespace weft::diagram
