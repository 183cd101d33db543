// Pictures of a record: boxes for ops with their key attributes and output types, parameters, inputs, scopes
// as clusters; forward, backward or both; with time, memory, FLOPs, gradients, NaN or gradient checks on
// them.
//
//   save_diagram(g, "model.svg");                        // .dot .svg .pdf .png .html .json .graphml .txt
//   save_diagram(g, "step.html", {.view = DiagramView::both, .overlay = DiagramOverlay::time});
//   auto guard = on_failure(g, "failed.html");           // drawn only if this scope ends by an exception
//
// The DOT text is weft's own: the same record gives the same bytes. Graphviz lays it out in a helper program
// with a time limit, so that whatever happens there the calling program goes on.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "weft/snapshot.hpp"

namespace weft {

struct GradcheckReport;

// backward: the nodes of recorded gradients, else the rules that the last gradient call has called. both: one
// picture of the forward ops and the gradients that flow back.
enum class DiagramView : std::uint8_t { forward, backward, both };
enum class DiagramOverlay : std::uint8_t { shape, time, memory, flops, gradient, nonfinite, gradcheck };
enum class DiagramTheme : std::uint8_t { light, dark, print };  // .html follows the reader's setting

// What a picture had to do without.
enum class Degradation : std::uint8_t {
  folded_further,  // more is folded than depth and patterns say
  straight_edges,  // edges are polylines or straight lines
  no_clusters,     // scopes are not drawn
  no_layout,       // no helper program: the record is written as DOT and text instead
  timed_out,       // the layout took longer than its budget: likewise
  failed,          // the layout failed: likewise
  small_raster,    // the resolution of a PNG was lowered
  text_cut,        // a text was too long and ends in "..."
};

struct FoldOptions {
  int depth = 2;        // scopes below this depth become one box
  bool repeats = true;  // equal neighbouring scopes, or rows of ops, become one box
  int max_boxes = 400;  // per canvas; folding goes on until it fits
  std::vector<std::string> open = {}, closed = {};  // scope patterns, e.g. "net/block*/attention"
};

struct DiagramOptions {
  DiagramView view = DiagramView::forward;
  DiagramOverlay overlay = DiagramOverlay::shape;
  FoldOptions fold = {};
  std::optional<NodeId> root = {};    // of the gradient views; default: the last gradient call
  std::optional<NodeId> around = {};  // draw only the neighbourhood of this node,
  int radius = 3;                     // up to this distance
  bool folded_dot = false;            // .dot holds the canvas instead of the whole record
  DiagramTheme theme = DiagramTheme::light;
  std::string title = {};        // default: the stem of the file name
  std::string source_root = {};  // source files are shown relative to it, else by name only
  double layout_budget = 5;      // seconds of wall clock per canvas; a whole .html has six times this
  bool strict = false;           // throw FileError when the asked file could not be made
};

struct DiagramReport {  // what really happened
  std::vector<std::string> files;
  std::size_t visible = 0, hidden = 0;  // nodes with a box of their own; nodes inside folded boxes or labels
  double layout_time = 0;               // seconds
  std::vector<Degradation> degraded;    // empty: nothing was lost
};
std::string to_string(Degradation degradation);    // a sentence
std::string to_text(const DiagramReport& report);  // lines: files, nodes drawn, a sentence for each loss

// Adds what check_gradients found, by the nodes that its findings name, for the overlay gradcheck.
void annotate(Snapshot& s, const GradcheckReport& report);

// The way through the ops that takes longest, by measured times: once forward to the root, once back along
// the same rules. No parallel schedule can beat it. Without a Profile every time is 0.
struct CriticalPath {
  std::vector<NodeId> forward, backward;  // in order of execution
  double seconds = 0;                     // of both
};
CriticalPath critical_path(const Snapshot& s);

// Writes a picture; the extension of `file` chooses the format. A file that is there is replaced when the new
// one is complete. Where the layout fails, DOT and text are written beside the asked name, and the report and
// one line on stderr say so. Throws FileError for an unknown extension, a place that cannot be written, and,
// if strict, a layout that failed; GraphError for a gradient view without a gradient call or root.
DiagramReport save_diagram(const Snapshot& s, const std::string& file, const DiagramOptions& options = {});
DiagramReport save_diagram(const Graph& g, const std::string& file, const DiagramOptions& options = {});

// The record that was checked with the overlay gradcheck, and of one that failed the surroundings of the
// worst finding (radius 2), unless `around` says otherwise. Throws GraphError where the report has no record.
DiagramReport save_diagram(const GradcheckReport& report, const std::string& file,
                           DiagramOptions options = {});
// The same where a check has failed: prints one line, and never throws.
void draw_failed_check(const GradcheckReport& report, const std::string& file) noexcept;

// The whole record, or with `folded_dot` one canvas of it. Edges run in the direction of the data, from input
// to consumer; a gradient view adds the rule calls.
void write_dot(const Snapshot& s, std::ostream& out, const DiagramOptions& options = {});
void write_dot(const Graph& g, std::ostream& out, const DiagramOptions& options = {});
// One indented line a scope and an op: "conv1   3 ops   392 parameters   207.6 MFLOP".
void write_text(const Snapshot& s, std::ostream& out, const DiagramOptions& options = {});
// The whole record by boost::write_graphml.
void write_graphml(const Snapshot& s, std::ostream& out);
// weft.graph/1: the columns of the snapshot, without loss; NaN and infinity as words.
void write_json(const Snapshot& s, std::ostream& out);
// Throws FileError for a file that cannot be read or is no weft.graph/1.
Snapshot read_snapshot(const std::string& json);

// Draws `file` when this scope is left by an exception that was not in flight when it was entered: the call
// that failed, or the op whose rule did, with its surroundings. Never throws, takes at most 2 seconds of
// layout, prints one line. `g` must outlive it.
class [[nodiscard]] FailureDiagram {
 public:
  FailureDiagram(const FailureDiagram&) = delete;
  FailureDiagram& operator=(const FailureDiagram&) = delete;
  ~FailureDiagram();

 private:
  friend FailureDiagram on_failure(const Graph& g, std::string file, DiagramOptions options);
  FailureDiagram(const Graph& g, std::string file, DiagramOptions options);
  const Graph& graph_;
  std::string file_;
  DiagramOptions options_;
  int exceptions_;
};
[[nodiscard]] FailureDiagram on_failure(const Graph& g, std::string file, DiagramOptions options = {});

}  // namespace weft
