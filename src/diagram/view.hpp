// Which nodes a view shows, and the rule calls of a gradient.
#pragma once

#include <vector>

#include "diagram/outline.hpp"
#include "weft/diagram.hpp"

namespace weft::diagram {

// The rules that the engine calls for a root, by its own definition: of the ops that depend on a target and
// that the root depends on; each gives a gradient to the operands that depend on a target.
struct RuleCalls {
  NodeId root = no_node;
  std::vector<bool> active;                  // per node
  std::vector<bool> wanted;                  // per edge
  std::vector<std::uint32_t> contributions;  // per node: gradients that meet there
};
// Of the last gradient call, or of `root` with every differentiable source as target. Throws GraphError where
// there is neither, or root is no differentiable node.
RuleCalls rule_calls(const Snapshot& s, std::optional<NodeId> root);

struct NodeChange {
  char sign = ' ';        // + - ~
  std::string what = {};  // the old and the new
};

struct View {
  std::vector<bool> shown;               // per node
  std::vector<bool> outside = {};        // per node, or empty: shown as something that comes from elsewhere
  std::vector<NodeChange> changes = {};  // per node, or empty: nothing is compared
  bool forward_edges = true;
  bool rules = false;  // ops are drawn as rule calls, edges by `calls`
  std::optional<RuleCalls> calls = {};

  bool is_outside(NodeId n) const { return !outside.empty() && outside[n]; }
};
View make_view(const Snapshot& s, const DiagramOptions& options);

// The call of an op that failed, as a node on its operands: its number becomes `failed_rule`. Nothing where
// no call failed.
void add_failed_call(Snapshot& s);

// The nodes at most `radius` edges away, in either direction.
std::vector<bool> neighbourhood(const Snapshot& s, std::span<const NodeId> centres, int radius);

}  // namespace weft::diagram
