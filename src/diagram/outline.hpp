// What a picture of a record shows besides the record itself: where each node is drawn, which one is the
// root, totals.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "weft/graph.hpp"

namespace weft::diagram {

// A scope as it is drawn. One entry of a scope is one frame; a second entry under the same name shows as
// "conv1 (2)".
struct Frame {
  std::uint32_t parent = 0;
  std::uint32_t depth = 0;
  std::uint32_t ordinal = 1;                   // among the frames of this name in the parent
  std::uint32_t nodes = 0, ops = 0;            // with those of frames inside
  std::int64_t parameters = 0;                 // elements, likewise
  std::uint32_t first_node = 0, end_node = 0;  // its own nodes: positions in Outline::nodes
};

struct Outline {
  explicit Outline(const Graph& g);

  std::string frame_name(const Graph& g, std::uint32_t frame) const;  // "conv1 (2)"
  std::string frame_path(const Graph& g, std::uint32_t frame) const;  // "net/conv1 (2)"
  bool is_unused(NodeId n) const { return root && n != *root && !is_consumed[n]; }

  std::vector<Frame> frames;        // per scope of the record, outer ones first; 0: the whole record
  std::vector<NodeId> nodes;        // by frame, then ascending
  std::vector<bool> is_consumed;    // per node
  std::optional<NodeId> root = {};  // the loss: the last differentiable scalar that nothing consumes
  std::vector<bool> is_on_spine;    // per node: on the way of first operands to the root, drawn straight
  std::uint64_t drawn_size = 0;     // boxes + sum over edges of (ranks spanned - 1): the layout's work
};

}  // namespace weft::diagram
