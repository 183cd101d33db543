#include "diagram/canvas.hpp"

#include <algorithm>
#include <unordered_map>

#include "diagram/fold.hpp"

namespace weft::diagram {

namespace {

// Draws the boxes of a folded tree and the edges between them.
class Painter {
 public:
  Painter(const Snapshot& s, const View& view, Canvas& canvas) : s_(s), view_(view), canvas_(canvas) {}

  void paint(bool inline_scalars) {
    canvas_.box_of.assign(s_.node_count(), no_box);
    canvas_.inlined.assign(s_.node_count(), false);
    if (inline_scalars && view_.forward_edges) find_scalars();
    if (!view_.outside.empty()) find_first_uses();
    place_boxes();
    if (view_.calls) sum_box_.assign(s_.node_count(), no_box);
    if (view_.rules) place_sums();
    if (view_.forward_edges) data_edges();
    if (view_.calls) gradient_edges();
    if (!std::ranges::is_sorted(canvas_.edges, {}, &CanvasEdge::edge))
      std::ranges::stable_sort(canvas_.edges, {}, &CanvasEdge::edge);
  }

 private:
  // A number that one op takes is told in that op's box.
  void find_scalars() {
    std::vector<std::uint32_t> consumers(s_.node_count());
    for (std::uint32_t e = 0; e < s_.edge_count(); ++e) ++consumers[s_.edge_target({e})];
    for (NodeId n = 0; n < s_.node_count(); ++n) {
      canvas_.inlined[n] = view_.shown[n] && !view_.is_outside(n) && s_.kind(n) == NodeKind::constant &&
                           s_.labels[n] != 0 && consumers[n] == 1;
    }
  }

  void place_boxes() {
    std::vector<std::uint32_t> stack{0};
    while (!stack.empty()) {
      const std::uint32_t g = stack.back();
      stack.pop_back();
      for (const Group::Item& item : canvas_.groups[g].items) {
        if (!item.is_group) {
          place_node(item.id, g);
        } else if (!canvas_.groups[item.id].open) {
          canvas_.boxes.push_back({BoxKind::group, item.id, g});
          swallow(item.id, static_cast<std::uint32_t>(canvas_.boxes.size() - 1));
        }
      }
      for (std::size_t i = canvas_.groups[g].items.size(); i-- > 0;) {
        const Group::Item& item = canvas_.groups[g].items[i];
        if (item.is_group && canvas_.groups[item.id].open) stack.push_back(item.id);
      }
    }
  }

  void place_node(NodeId n, std::uint32_t cluster) {
    if (canvas_.inlined[n]) {
      ++canvas_.hidden;
      return;
    }
    const BoxKind kind = view_.is_outside(n)          ? BoxKind::outside
                         : view_.rules && s_.is_op(n) ? BoxKind::rule
                                                      : BoxKind::node;
    canvas_.visible += kind != BoxKind::outside;
    canvas_.boxes.push_back({kind, n, cluster});
    canvas_.box_of[n] = static_cast<std::uint32_t>(canvas_.boxes.size() - 1);
  }

  // What is outside has its edges into this canvas only.
  void find_first_uses() {
    canvas_.first_use.assign(s_.node_count(), 0);
    for (std::uint32_t e = s_.edge_count(); e-- > 0;) {
      const NodeId consumer = s_.edge_source({e});
      if (view_.shown[consumer] && !view_.is_outside(consumer)) canvas_.first_use[s_.edge_target({e})] = e;
    }
  }

  void swallow(std::uint32_t group, std::uint32_t box) {
    std::vector<std::uint32_t> stack{group};
    while (!stack.empty()) {
      const std::uint32_t g = stack.back();
      stack.pop_back();
      for (const Group::Item& item : canvas_.groups[g].items) {
        if (item.is_group) {
          stack.push_back(item.id);
          continue;
        }
        canvas_.box_of[item.id] = box;
        canvas_.inlined[item.id] = false;
        ++canvas_.hidden;
      }
    }
  }

  bool is_folded(std::uint32_t box) const { return canvas_.boxes[box].kind == BoxKind::group; }

  void place_sums() {
    const RuleCalls& calls = *view_.calls;
    for (NodeId n = 0; n < s_.node_count(); ++n) {
      const std::uint32_t box = canvas_.box_of[n];
      if (calls.contributions[n] < 2 || box == no_box || is_folded(box)) continue;
      sum_box_[n] = static_cast<std::uint32_t>(canvas_.boxes.size());
      canvas_.boxes.push_back({BoxKind::sum, n, canvas_.boxes[box].cluster});
    }
  }

  // Between two boxes that are no groups every operand has its own edge.
  void add(std::uint32_t from, std::uint32_t to, std::uint32_t edge, EdgeKind kind) {
    if (from == no_box || to == no_box) return;
    if (from == to) {
      if (kind == EdgeKind::data) ++canvas_.hidden_edges;
      return;
    }
    if (is_folded(from) || is_folded(to)) {
      const std::uint64_t key = (std::uint64_t{from} << 32 | to) * 2 + (kind == EdgeKind::gradient);
      const auto [entry, is_new] = merged_.try_emplace(key, canvas_.edges.size());
      if (!is_new) {
        ++canvas_.edges[entry->second].count;
        return;
      }
    }
    canvas_.edges.push_back({from, to, edge, 1, kind});
  }

  void data_edges() {
    for (std::uint32_t e = 0; e < s_.edge_count(); ++e) {
      const NodeId input = s_.edge_target({e}), consumer = s_.edge_source({e});
      if (view_.is_outside(consumer)) continue;
      if (canvas_.inlined[input] && view_.shown[consumer]) {
        ++canvas_.hidden_edges;
        continue;
      }
      add(canvas_.box_of[input], canvas_.box_of[consumer], e, EdgeKind::data);
    }
  }

  void gradient_edges() {
    const RuleCalls& calls = *view_.calls;
    for (std::uint32_t e = 0; e < s_.edge_count(); ++e) {
      if (!calls.wanted[e]) continue;
      const NodeId input = s_.edge_target({e});
      const std::uint32_t meets = sum_box_[input] != no_box ? sum_box_[input] : canvas_.box_of[input];
      add(canvas_.box_of[s_.edge_source({e})], meets, e, EdgeKind::gradient);
    }
    for (NodeId n = 0; n < s_.node_count(); ++n) {
      if (sum_box_[n] != no_box) add(sum_box_[n], canvas_.box_of[n], s_.edge_count() + n, EdgeKind::gradient);
    }
  }

  const Snapshot& s_;
  const View& view_;
  Canvas& canvas_;
  std::vector<std::uint32_t> sum_box_;
  std::unordered_map<std::uint64_t, std::size_t> merged_;  // pair of boxes: edge
};

// What comes from elsewhere is never folded, and no part of the totals.
void add_outside(const View& view, Group& all) {
  for (NodeId n = 0; n < view.outside.size(); ++n) {
    if (view.outside[n]) all.items.push_back({false, n, n});
  }
  std::ranges::stable_sort(all.items, {}, &Group::Item::first);
}

}  // namespace

Canvas whole_canvas(const Snapshot& s, const Outline& outline, const View& view) {
  Canvas canvas;
  canvas.is_whole = true;
  canvas.groups = group_tree(s, outline, view);
  canvas.boxes.reserve(s.node_count());
  canvas.edges.reserve(s.edge_count());
  Painter(s, view, canvas).paint(false);
  return canvas;
}

Canvas folded_canvas(const Snapshot& s, const Outline& outline, const View& view,
                     const FoldOptions& options) {
  Canvas canvas;
  canvas.groups = group_tree(s, outline, view);
  canvas.folded_further = fold(s, canvas.groups, options);
  add_outside(view, canvas.groups[0]);
  Painter(s, view, canvas).paint(true);
  return canvas;
}

std::uint64_t drawn_size(const Canvas& canvas) {
  // Boxes are not in topological order: data edges run from smaller to larger ids of nodes, and a group
  // stands at its first. A few sweeps settle the ranks of all but adversarial graphs, and this is an
  // estimate.
  std::vector<std::uint32_t> rank(canvas.boxes.size());
  for (int sweep = 0; sweep < 4; ++sweep) {
    for (const CanvasEdge& e : canvas.edges) {
      if (e.kind == EdgeKind::data) rank[e.to] = std::max(rank[e.to], rank[e.from] + 1);
    }
  }
  std::uint64_t size = canvas.boxes.size();
  for (const CanvasEdge& e : canvas.edges) {
    const bool is_source = canvas.boxes[e.from].kind == BoxKind::node && rank[e.from] == 0;
    if (e.kind == EdgeKind::data && !is_source && rank[e.to] > rank[e.from])
      size += rank[e.to] - rank[e.from] - 1;
  }
  return size;
}

}  // namespace weft::diagram
