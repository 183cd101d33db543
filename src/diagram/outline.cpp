#include "diagram/outline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

namespace weft::diagram {

namespace {

constexpr std::uint32_t max_depth = 255;  // of nested clusters, for parsers that recurse

std::vector<Frame> frames_of(const Snapshot& s) {
  std::vector<Frame> frames(s.scopes.size());
  std::map<std::pair<std::uint32_t, StringId>, std::uint32_t> entries;
  for (std::uint32_t scope = 1; scope < frames.size(); ++scope) {
    frames[scope].parent = s.scopes[scope].parent;
    frames[scope].depth = frames[frames[scope].parent].depth + 1;
    frames[scope].ordinal = ++entries[{s.scopes[scope].parent, s.scopes[scope].name}];
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

std::vector<std::uint32_t> frame_of_nodes(const Snapshot& s, const Outline& outline) {
  constexpr std::uint32_t none = 0xffffffff;
  const std::vector<Frame>& frames = outline.frames;
  std::vector<std::uint32_t> frame(s.node_count());
  for (NodeId n = 0; n < s.node_count(); ++n) {
    frame[n] = is_movable(s.kind(n)) && outline.is_consumed[n] ? none : s.scope_of(n);
    while (frame[n] != none && frames[frame[n]].depth > max_depth) frame[n] = frames[frame[n]].parent;
    for (const NodeId input : s.inputs(n)) {
      if (is_movable(s.kind(input)))
        frame[input] = frame[input] == none ? frame[n] : common_frame(frames, frame[input], frame[n]);
    }
  }
  return frame;
}

void measure_frames(const Snapshot& s, std::vector<Frame>& frames) {
  for (NodeId n = 0; n < s.node_count(); ++n) {
    Frame& frame = frames[s.scope_of(n)];
    frame.first = std::min(frame.first, n);
    frame.last = n;
    ++frame.nodes;
  }
  for (std::size_t f = frames.size(); f-- > 1;) {
    if (frames[f].nodes == 0) continue;
    Frame& parent = frames[frames[f].parent];
    parent.first = std::min(parent.first, frames[f].first);
    parent.last = std::max(parent.last, frames[f].last);
    parent.nodes += frames[f].nodes;
  }
}

// From the root, or the last op where there is none, by the first operand that is no parameter or constant.
std::vector<bool> spine_of(const Snapshot& s, std::optional<NodeId> end) {
  std::vector<bool> on_spine(s.node_count());
  for (NodeId n = s.node_count(); n-- > 0 && !end;) {
    if (s.is_op(n)) end = n;
  }
  while (end) {
    on_spine[*end] = true;
    const std::span<const NodeId> inputs = s.inputs(*end);
    const auto next = std::ranges::find_if(inputs, [&](NodeId n) { return !is_movable(s.kind(n)); });
    end = next == inputs.end() ? std::nullopt : std::optional(*next);
  }
  return on_spine;
}

}  // namespace

Outline::Outline(const Snapshot& s) : frames(frames_of(s)), is_consumed(s.node_count()) {
  for (std::uint32_t e = 0; e < s.edge_count(); ++e) is_consumed[s.edge_target({e})] = true;
  if (s.root != no_node) root = s.root;
  for (NodeId n = s.node_count(); n-- > 0 && !root;) {
    if (s.is_op(n) && !is_consumed[n] && s.differentiable[n] && s.type(n).shape.elements() == 1) root = n;
  }
  is_on_spine = spine_of(s, root);
  frame_of = frame_of_nodes(s, *this);
  measure_frames(s, frames);
}

std::string Outline::frame_name(const Snapshot& s, std::uint32_t frame) const {
  const std::string& name = s.text(s.scopes[frame].name);
  return frames[frame].ordinal == 1 ? name : fmt::format("{} ({})", name, frames[frame].ordinal);
}

std::string Outline::frame_path(const Snapshot& s, std::uint32_t frame) const {
  std::string path;
  for (; frame != 0; frame = frames[frame].parent) {
    path = path.empty() ? frame_name(s, frame) : fmt::format("{}/{}", frame_name(s, frame), path);
  }
  return path;
}

std::string source_file(const std::string& file, const std::string& root) {
  if (!root.empty()) {
    const std::filesystem::path relative = std::filesystem::path(file).lexically_relative(root);
    if (!relative.empty() && *relative.begin() != "..") return relative.generic_string();
  }
  return file.substr(file.find_last_of('/') + 1);  // npos + 1 is 0
}

std::string source_text(const Snapshot& s, NodeId n, const std::string& root) {
  return s.files[n] == 0 ? "" : fmt::format("{}:{}", source_file(s.text(s.files[n]), root), s.lines[n]);
}

std::string_view headline(const Snapshot& s, NodeId n) {
  if (s.labels[n] != 0) return s.text(s.labels[n]);
  const std::string_view name = s.name(n);
  if (name.empty()) {
    constexpr std::array<std::string_view, 4> kinds = {"input", "parameter", "constant", "op"};
    return kinds[static_cast<std::size_t>(s.kind(n))];
  }
  const std::size_t slash = name.find_last_of('/');
  return slash == std::string_view::npos || slash + 1 == name.size() ? name : name.substr(slash + 1);
}

}  // namespace weft::diagram
