#include "diagram/outline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace weft::diagram {

namespace {

constexpr std::uint32_t max_depth = 255;  // of nested clusters, for parsers that recurse

std::vector<Frame> frames_of(const Graph& g) {
  std::vector<Frame> frames(g.scopes().size());
  std::map<std::pair<std::uint32_t, std::string_view>, std::uint32_t> entries;
  for (std::uint32_t s = 1; s < frames.size(); ++s) {
    const Graph::ScopeEntry& scope = g.scopes()[s];
    frames[s].parent = scope.parent;
    frames[s].depth = frames[scope.parent].depth + 1;
    frames[s].ordinal = ++entries[{scope.parent, scope.name}];
  }
  return frames;
}

// A parent has a smaller index than its children.
std::uint32_t common_frame(const std::vector<Frame>& frames, std::uint32_t a, std::uint32_t b) {
  while (a != b) {
    if (a > b)
      a = frames[a].parent;
    else
      b = frames[b].parent;
  }
  return a;
}

// The frame of every node: its scope's. A parameter or constant, which has no inputs, moves to the deepest
// frame that holds all of its consumers.
std::vector<std::uint32_t> frame_of_nodes(const Graph& g, const Outline& outline) {
  constexpr std::uint32_t none = 0xffffffff;
  const std::vector<Frame>& frames = outline.frames;
  std::vector<std::uint32_t> frame(g.node_count());
  for (NodeId n = 0; n < g.node_count(); ++n) {
    const bool moves = g.kind(n) == NodeKind::parameter || g.kind(n) == NodeKind::constant;
    frame[n] = moves && outline.is_consumed[n] ? none : g.scope_of(n);
    while (frame[n] != none && frames[frame[n]].depth > max_depth) frame[n] = frames[frame[n]].parent;
    for (const NodeId input : g.inputs(n)) {
      const bool input_moves = g.kind(input) == NodeKind::parameter || g.kind(input) == NodeKind::constant;
      if (input_moves)
        frame[input] = frame[input] == none ? frame[n] : common_frame(frames, frame[input], frame[n]);
    }
  }
  return frame;
}

// The rank of an op is its longest path from a source; a source stands right above its first consumer.
std::uint64_t drawn_size(const Graph& g) {
  std::vector<std::uint32_t> rank(g.node_count());
  for (NodeId n = 0; n < g.node_count(); ++n) {
    for (const NodeId input : g.inputs(n)) rank[n] = std::max(rank[n], rank[input] + 1);
  }
  std::vector<bool> has_rank(g.node_count());
  std::uint64_t size = g.node_count();
  for (NodeId n = 0; n < g.node_count(); ++n) {
    for (const NodeId input : g.inputs(n)) {
      if (!g.op(input) && !has_rank[input]) rank[input] = rank[n] - 1;
      has_rank[input] = true;
      if (rank[n] > rank[input]) size += rank[n] - rank[input] - 1;
    }
  }
  return size;
}

// From the root, or the last op where there is none, by the first operand that is no parameter or constant.
std::vector<bool> spine_of(const Graph& g, std::optional<NodeId> end) {
  std::vector<bool> on_spine(g.node_count());
  for (NodeId n = g.node_count(); n-- > 0 && !end;) {
    if (g.op(n)) end = n;
  }
  const auto carries_data = [&](NodeId n) { return g.op(n) || g.kind(n) == NodeKind::input; };
  while (end) {
    on_spine[*end] = true;
    const std::span<const NodeId> inputs = g.inputs(*end);
    const auto next = std::find_if(inputs.begin(), inputs.end(), carries_data);
    end = next == inputs.end() ? std::nullopt : std::optional(*next);
  }
  return on_spine;
}

}  // namespace

Outline::Outline(const Graph& g)
    : frames(frames_of(g)),
      nodes(g.node_count()),
      is_consumed(g.node_count()),
      drawn_size(diagram::drawn_size(g)) {
  for (std::uint32_t e = 0; e < g.edge_count(); ++e) is_consumed[g.edge_target({e})] = true;
  for (NodeId n = g.node_count(); n-- > 0 && !root;) {
    const bool is_loss =
        g.op(n) && !is_consumed[n] && g.is_differentiable(n) && g.type(n).shape.elements() == 1;
    if (is_loss) root = n;
  }
  is_on_spine = spine_of(g, root);

  const std::vector<std::uint32_t> frame = frame_of_nodes(g, *this);
  for (NodeId n = 0; n < g.node_count(); ++n) {
    Frame& own = frames[frame[n]];
    ++own.nodes;
    if (g.op(n)) ++own.ops;
    if (g.kind(n) == NodeKind::parameter) own.parameters += g.type(n).shape.elements();
  }
  std::uint32_t end = 0;  // a counting sort by frame
  for (Frame& f : frames) f.first_node = std::exchange(end, end + f.nodes);
  for (Frame& f : frames) f.end_node = f.first_node;
  for (NodeId n = 0; n < g.node_count(); ++n) nodes[frames[frame[n]].end_node++] = n;

  for (std::size_t s = frames.size(); s-- > 1;) {
    Frame& parent = frames[frames[s].parent];
    parent.nodes += frames[s].nodes;
    parent.ops += frames[s].ops;
    parent.parameters += frames[s].parameters;
  }
}

std::string Outline::frame_name(const Graph& g, std::uint32_t frame) const {
  const std::string_view name = g.scopes()[frame].name;
  if (frames[frame].ordinal == 1) return std::string(name);
  return fmt::format("{} ({})", name, frames[frame].ordinal);
}

std::string Outline::frame_path(const Graph& g, std::uint32_t frame) const {
  std::string path;
  for (; frame != 0; frame = frames[frame].parent) {
    path = path.empty() ? frame_name(g, frame) : fmt::format("{}/{}", frame_name(g, frame), path);
  }
  return path;
}

}  // namespace weft::diagram
