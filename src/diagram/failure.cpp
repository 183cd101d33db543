#include <fmt/format.h>

#include <exception>

#include "diagram/view.hpp"

namespace weft {

FailureDiagram::FailureDiagram(const Graph& g, std::string file, DiagramOptions options)
    : graph_(g),
      file_(std::move(file)),
      options_(std::move(options)),
      exceptions_(std::uncaught_exceptions()) {}

FailureDiagram on_failure(const Graph& g, std::string file, DiagramOptions options) {
  return {g, std::move(file), std::move(options)};
}

FailureDiagram::~FailureDiagram() {
  if (std::uncaught_exceptions() <= exceptions_) return;
  try {
    Snapshot s = take_snapshot(graph_);
    diagram::add_failed_call(s);
    constexpr double longest = 2;  // seconds
    const bool is_html = file_.ends_with(".html");
    options_.layout_budget = std::min(options_.layout_budget, is_html ? longest / 6 : longest);
    options_.strict = false;
    if (!options_.around && s.failed_rule != no_node) {
      options_.around = s.failed_rule;
      options_.radius = 2;
    }
    const DiagramReport report = save_diagram(s, file_, options_);
    fmt::print(stderr, "weft: the graph that failed is drawn in {}\n", report.files.at(0));
  } catch (const std::exception& error) {
    fmt::print(stderr, "weft: the graph that failed could not be drawn: {}\n", error.what());
  } catch (...) {
    fmt::print(stderr, "weft: the graph that failed could not be drawn\n");
  }
}

}  // namespace weft
