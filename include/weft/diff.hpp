// What has changed between two records: nodes added, removed, changed, and the picture of it.
#pragma once

#include "weft/diagram.hpp"

namespace weft {

struct DiffOptions {
  double tolerance = 0.05;  // relative: measured times that differ by less are equal
};

// Nodes are aligned by the hash of their neighbourhood, of radius 3 down to 0; then by scope, op, name and
// position among their like. What is left is added or removed.
struct GraphDiff {
  enum class Kind : std::uint8_t { added, removed, changed };
  struct Change {
    Kind kind;
    NodeId before = no_node, after = no_node;
    std::string what;  // "type f32[2] -> f32[3]"
  };
  std::vector<Change> changes;       // by node after, removed ones last
  Snapshot united;                   // after, and behind it what was removed
  std::vector<NodeId> removed_from;  // per node of `united` that was removed: its number before
  bool is_equal() const { return changes.empty(); }
};

GraphDiff diff(const Snapshot& before, const Snapshot& after, const DiffOptions& options = {});
std::string to_text(const GraphDiff& diff);  // a line a change, beginning with + - or ~

// Both records in one picture: added nodes "+ ..." and bold, removed ones "- ..." and dotted, changed ones
// "~ ..." with the old and the new. Of the formats of save_diagram.
DiagramReport save_diagram(const GraphDiff& diff, const std::string& file,
                           const DiagramOptions& options = {});

}  // namespace weft
