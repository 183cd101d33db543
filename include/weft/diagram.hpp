// Pictures of a record: boxes for ops with their key attributes and output types, parameters, inputs, scopes
// as clusters.
//
//   save_diagram(g, "model.svg");      // or .dot .png .pdf
//
// The DOT text is weft's own: the same record gives the same bytes. Graphviz lays it out in a helper program
// with a time limit, so that whatever happens there the calling program goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "weft/graph.hpp"

namespace weft {

// What a picture had to do without.
enum class Degradation : std::uint8_t {
  straight_edges,  // edges are polylines or straight lines
  no_clusters,     // scopes are not drawn
  no_layout,       // no helper program: the record is written as DOT instead
  timed_out,       // the layout took longer than its budget: likewise
  failed,          // the layout failed: likewise
  small_raster,    // the resolution of a PNG was lowered
  text_cut,        // a text was too long and ends in "..."
};

struct DiagramOptions {
  std::string title = {};                         // default: the stem of the file name
  std::filesystem::path source_root = {};         // source files are shown relative to it, else by name only
  std::chrono::milliseconds layout_budget{5000};  // wall clock
  bool strict = false;                            // throw FileError when the asked file could not be made
};

struct DiagramReport {  // what really happened
  std::vector<std::filesystem::path> files;
  std::size_t visible = 0, hidden = 0;  // nodes with a box of their own; nodes without
  std::chrono::milliseconds layout_time{};
  std::vector<Degradation> degraded;  // empty: nothing was lost
};
std::string to_string(Degradation degradation);  // a sentence
std::string to_text(
    const DiagramReport& report);  // lines: the files, the nodes drawn, a sentence for each loss

// Writes a picture of `g`; the extension of `file` chooses the format. A file that is there is replaced when
// the new one is complete. Where the layout fails, DOT is written beside the asked name, and the report and
// one line on stderr say so. Throws FileError for an unknown extension, a place that cannot be written, and,
// if strict, a layout that failed.
DiagramReport save_diagram(const Graph& g, const std::filesystem::path& file,
                           const DiagramOptions& options = {});

// The whole record as DOT. Edges run in the direction of the data, from input to consumer.
void write_dot(const Graph& g, std::ostream& out, const DiagramOptions& options = {});

}  // namespace weft
