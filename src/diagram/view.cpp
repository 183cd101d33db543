#include "diagram/view.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "weft/boost_graph.hpp"

namespace weft::diagram {

RuleCalls rule_calls(const Snapshot& s, std::optional<NodeId> root) {
  RuleCalls calls;
  calls.root = root.value_or(s.root);
  if (calls.root == no_node) {
    throw GraphError("a gradient view needs a gradient call, such as backward(), or a root in the options");
  }
  if (calls.root >= s.node_count() || !s.differentiable[calls.root])
    throw GraphError(
        fmt::format("a gradient view: node {} is no differentiable node of the graph", calls.root));

  std::vector<bool> influenced(s.node_count()), reached(s.node_count());
  if (calls.root == s.root) {
    for (const NodeId target : s.targets) influenced[target] = true;
  } else {
    for (NodeId n = 0; n < calls.root; ++n) influenced[n] = !s.is_op(n);
  }
  for (NodeId n = 0; n <= calls.root; ++n) {
    for (const NodeId input : s.inputs(n)) {
      if (influenced[input]) influenced[n] = true;
    }
    if (!s.differentiable[n]) influenced[n] = false;
  }
  reached[calls.root] = true;
  calls.active.resize(s.node_count());
  calls.wanted.resize(s.edge_count());
  calls.contributions.resize(s.node_count());
  for (NodeId n = calls.root + 1; n-- > 0;) {
    if (!reached[n] || !influenced[n]) continue;
    calls.active[n] = true;
    for (EdgeId e = s.first_edge(n); e < s.first_edge(n + 1); ++e.index) {
      const NodeId input = s.edge_target(e);
      reached[input] = true;
      if (!influenced[input]) continue;
      calls.wanted[e.index] = true;
      ++calls.contributions[input];
    }
  }
  return calls;
}

void add_failed_call(Snapshot& s) {
  if (s.error.empty() || s.failed_op.empty()) return;
  OpKind kind{s.strings.add(s.failed_op), OpGroup::elementwise, {}};
  for (const OpKind& known : s.op_kinds) {
    if (known.name == kind.name) kind = known;
  }
  Snapshot::Node node{.op = s.add_op_kind(kind), .label = s.strings.add(s.failed_op)};
  if (!s.failed_operands.empty()) {
    node.type = s.type(s.failed_operands[0]);
    node.scope = s.scope_of(s.failed_operands.back());
  }
  s.failed_rule = s.append(node, s.failed_operands);
}

std::vector<bool> neighbourhood(const Snapshot& s, std::span<const NodeId> centres, int radius) {
  std::vector<bool> near(s.node_count());
  std::vector<NodeId> frontier(centres.begin(), centres.end());
  for (const NodeId n : frontier) near[n] = true;
  const Consumers<Snapshot> view = consumers(s);
  for (int distance = 0; distance < radius && !frontier.empty(); ++distance) {
    std::vector<NodeId> next;
    const auto meet = [&](NodeId n) {
      if (!near[n]) next.push_back(n);
      near[n] = true;
    };
    for (const NodeId n : frontier) {
      for (const NodeId input : s.inputs(n)) meet(input);
      for (const EdgeId e : view.in_edges(n)) meet(s.edge_source(e));
    }
    frontier = std::move(next);
  }
  return near;
}

View make_view(const Snapshot& s, const DiagramOptions& options) {
  View view;
  view.shown.resize(s.node_count());
  const bool recorded = std::ranges::any_of(s.rules, [](NodeId n) { return n != no_node; });
  if (options.view == DiagramView::backward && recorded && !options.root) {
    for (NodeId n = 0; n < s.node_count(); ++n) {
      if (s.rule_of(n) == no_node) continue;
      view.shown[n] = true;
      for (const NodeId input : s.inputs(n)) view.shown[input] = true;
    }
  } else if (options.view == DiagramView::backward) {
    view.calls = rule_calls(s, options.root);
    view.shown = view.calls->active;
    view.forward_edges = false;
    view.rules = true;
  } else {
    const bool both = options.view == DiagramView::both;
    for (NodeId n = 0; n < s.node_count(); ++n) view.shown[n] = both || s.rule_of(n) == no_node;
    if (both) view.calls = rule_calls(s, options.root);
  }
  if (options.around) {
    if (*options.around >= s.node_count()) {
      throw GraphError(
          fmt::format("a diagram around node {}: the graph has {} nodes", *options.around, s.node_count()));
    }
    const std::vector<bool> near = neighbourhood(s, std::span(&*options.around, 1), options.radius);
    for (NodeId n = 0; n < s.node_count(); ++n) view.shown[n] = view.shown[n] && near[n];
  }
  return view;
}

}  // namespace weft::diagram
