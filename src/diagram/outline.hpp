// What a picture of a record shows besides the record itself: where each node is drawn, which one is the
// root, which way is drawn straight.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "weft/snapshot.hpp"

namespace weft::diagram {

// A scope as it is drawn. One entry of a scope is one frame; a second entry under the same name shows as
// "conv1 (2)".
struct Frame {
  std::uint32_t parent = 0;
  std::uint32_t depth = 0;
  std::uint32_t ordinal = 1;         // among the frames of this name in the parent
  NodeId first = no_node, last = 0;  // ids of its nodes and of those of frames inside
  std::uint32_t nodes = 0;           // as many as that interval holds, unless scopes were left out of order
  bool is_interval() const { return nodes == 0 || last - first + 1 == nodes; }
};

struct Outline {
  explicit Outline(const Snapshot& s);

  std::string frame_name(const Snapshot& s, std::uint32_t frame) const;  // "conv1 (2)"
  std::string frame_path(const Snapshot& s, std::uint32_t frame) const;  // "net/conv1 (2)"
  bool is_unused(NodeId n) const { return root && n != *root && !is_consumed[n]; }

  std::vector<Frame> frames;  // per scope of the record, outer ones first; 0: the whole record
  // Per node: its scope; of a parameter or constant the deepest frame that holds all of its consumers.
  std::vector<std::uint32_t> frame_of;
  std::vector<bool> is_consumed;
  std::optional<NodeId> root = {};  // of the last gradient call, else the last differentiable scalar that
                                    // nothing consumes
  std::vector<bool> is_on_spine;    // on the way of first operands to the root, drawn straight
};

inline bool is_movable(NodeKind kind) { return kind == NodeKind::parameter || kind == NodeKind::constant; }

// "model.cpp": `file` relative to `root`, or its name alone where it is not below it.
std::string source_file(const std::string& file, const std::string& root);
// "model.cpp:21", or nothing where the record does not know.
std::string source_text(const Snapshot& s, NodeId n, const std::string& root);

// The first line of a box: an op's text, the last part of a parameter's or an input's name, a constant's
// value. The text is the snapshot's.
std::string_view headline(const Snapshot& s, NodeId n);

}  // namespace weft::diagram
