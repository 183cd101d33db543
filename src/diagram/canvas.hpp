// A picture before it is written: boxes, groups of boxes, edges between boxes. A whole record is a canvas on
// which nothing is folded.
#pragma once

#include <string>
#include <vector>

#include "diagram/view.hpp"

namespace weft::diagram {

// node: a node of the record; rule: the call of its rule; sum: where gradients of it meet; group: nodes that
// are folded into one box; outside: a node that is taken from elsewhere.
enum class BoxKind : std::uint8_t { node, rule, sum, group, outside };
struct Box {
  BoxKind kind = BoxKind::node;
  std::uint32_t id = 0;       // the node, or the group
  std::uint32_t cluster = 0;  // the open group that holds it
};

struct Totals {
  std::uint64_t nodes = 0, ops = 0;
  std::int64_t parameters = 0;  // elements
  double flops = 0;
  std::uint64_t bytes = 0;  // of outputs of ops
};

// A scope, several equal scopes or ops in a row, or a run of many ops.
struct Group {
  std::uint32_t parent = 0, depth = 0;
  std::uint32_t frame = 0;  // of the outline; 0: it is no scope
  bool open = true;
  bool pinned = false;  // by a pattern, or because its ids are no interval: stays open
  std::string name, path;
  std::uint32_t repeats = 1;  // equal parts that it stands for
  bool same_parameters = false;
  Totals totals;
  NodeId first = no_node, last = 0;  // the ids of its ops and inputs
  struct Item {
    bool is_group;
    std::uint32_t id;
    NodeId first;
  };
  std::vector<Item> items;  // ascending
};

enum class EdgeKind : std::uint8_t { data, gradient };
struct CanvasEdge {
  std::uint32_t from, to;   // boxes
  std::uint32_t edge = 0;   // of the record: the first that it stands for
  std::uint32_t count = 1;  // that it stands for
  EdgeKind kind = EdgeKind::data;
};

inline constexpr std::uint32_t no_box = 0xffffffff;
struct Canvas {
  std::vector<Group> groups;             // 0: all of it
  std::vector<Box> boxes;                // by group, ascending
  std::vector<CanvasEdge> edges;         // by the record's edge
  std::vector<std::uint32_t> box_of;     // per node; no_box: not in this view
  std::vector<std::uint32_t> first_use;  // per node that is outside: the first edge that takes it here
  std::vector<bool> inlined;             // per node: a scalar that is told in its consumer's box
  std::size_t visible = 0, hidden = 0;
  std::uint64_t hidden_edges = 0;  // between nodes of one box
  bool folded_further = false;     // than depth and patterns say, to hold max_boxes
  bool is_whole = false;           // nothing is folded
};

Canvas whole_canvas(const Snapshot& s, const Outline& outline, const View& view);
Canvas folded_canvas(const Snapshot& s, const Outline& outline, const View& view, const FoldOptions& options);

// Boxes + sum over edges of (ranks spanned - 1): the layout's work.
std::uint64_t drawn_size(const Canvas& canvas);

}  // namespace weft::diagram
