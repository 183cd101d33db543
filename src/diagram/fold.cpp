#include "diagram/fold.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "diagram/repeats.hpp"

namespace weft::diagram {

namespace {

void add_totals(Totals& to, const Totals& part) {
  to.nodes += part.nodes;
  to.ops += part.ops;
  to.parameters += part.parameters;
  to.flops += part.flops;
  to.bytes += part.bytes;
}

Totals totals_of(const Snapshot& s, NodeId n) {
  Totals totals{.nodes = 1};
  if (s.kind(n) == NodeKind::parameter) totals.parameters = s.type(n).shape.elements();
  if (s.is_op(n)) {
    totals.ops = 1;
    totals.flops = s.flops[n];
    totals.bytes = s.bytes(n);
  }
  return totals;
}

class Folder {
 public:
  Folder(const Snapshot& s, std::vector<Group>& groups, const FoldOptions& options)
      : s_(s),
        groups_(groups),
        options_(options),
        most_(static_cast<std::size_t>(std::max(options.max_boxes, 2))),
        scratch_(s) {}

  bool run() {
    for (std::uint32_t g = 1; g < groups_.size(); ++g) close_by_rule(groups_[g]);
    if (options_.repeats) {
      for (std::uint32_t g = 0, scopes = count(); g < scopes; ++g) fold_repeats(g);
    }
    bool further = false;
    for (std::uint32_t g = 0, known = count(); g < known; ++g) {
      while (groups_[g].items.size() > most_) {
        cut_into_runs(g);
        further = true;
      }
    }
    return fold_deepest() || further;
  }

 private:
  std::uint32_t count() const { return static_cast<std::uint32_t>(groups_.size()); }

  void close_by_rule(Group& group) {
    const auto fits = [&](const std::string& pattern) { return matches(pattern, group.path); };
    if (std::ranges::any_of(options_.open, fits))
      group.pinned = true;
    else if (std::ranges::any_of(options_.closed, fits) || static_cast<int>(group.depth) > options_.depth)
      group.open = group.pinned;
    if (group.pinned) {
      for (std::uint32_t outer = group.parent; outer != 0; outer = groups_[outer].parent) {
        groups_[outer].open = groups_[outer].pinned = true;
      }
    }
  }

  // Replaces items [first, last) of `parent` by a closed group that holds them.
  std::uint32_t wrap(std::uint32_t parent, std::size_t first, std::size_t last) {
    Group wrapper;
    wrapper.parent = parent;
    wrapper.depth = groups_[parent].depth + 1;
    std::vector<Group::Item>& items = groups_[parent].items;
    const auto begin = items.begin() + static_cast<std::ptrdiff_t>(first),
               end = items.begin() + static_cast<std::ptrdiff_t>(last);
    wrapper.items.assign(begin, end);
    const std::uint32_t id = count();
    const NodeId at = begin->first;
    items.erase(begin + 1, end);
    items[first] = {true, id, at};
    for (const Group::Item& item : wrapper.items) {
      if (item.is_group) groups_[item.id].parent = id;
      add_item(wrapper, item);
    }
    groups_.push_back(std::move(wrapper));
    return id;
  }

  void add_item(Group& to, const Group::Item& item) const {
    if (item.is_group) {
      add_totals(to.totals, groups_[item.id].totals);
      to.first = std::min(to.first, groups_[item.id].first);
      to.last = std::max(to.last, groups_[item.id].last);
      return;
    }
    add_totals(to.totals, totals_of(s_, item.id));
    if (is_movable(s_.kind(item.id))) return;
    to.first = std::min(to.first, item.id);
    to.last = std::max(to.last, item.id);
  }

  void fold_repeats(std::uint32_t parent) {
    if (!groups_[parent].open || groups_[parent].items.size() < 2) return;
    std::vector<Repeat> repeats = find_repeats(s_, groups_, parent, scratch_);
    std::ranges::reverse(repeats);  // from the back, so that positions stay what they are
    for (const Repeat& repeat : repeats) {
      const Group::Item first = groups_[parent].items[repeat.first];
      if (first.is_group && groups_[first.id].pinned) continue;
      const std::uint32_t id = wrap(parent, repeat.first, repeat.first + repeat.period * repeat.count);
      Group& wrapper = groups_[id];
      wrapper.open = false;
      wrapper.repeats = repeat.count;
      wrapper.same_parameters = repeat.same_parameters;
      const bool is_scope = repeat.period == 1 && first.is_group;
      wrapper.name = is_scope ? groups_[first.id].name : name_of_block(wrapper, repeat.period);
      wrapper.path = is_scope ? groups_[first.id].path : wrapper.name;
      std::erase_if(groups_[parent].items, [&](const Group::Item& item) {
        return !item.is_group && std::ranges::binary_search(repeat.absorbed, item.id);
      });
      for (const NodeId n : repeat.absorbed) {
        wrapper.items.push_back({false, n, n});
        add_item(wrapper, wrapper.items.back());
      }
    }
    std::ranges::stable_sort(groups_[parent].items, {}, &Group::Item::first);
  }

  std::string name_of_block(const Group& wrapper, std::size_t period) const {
    std::string name;
    for (std::size_t i = 0; i < period && i < 3; ++i) {
      const Group::Item& item = wrapper.items[i];
      if (i > 0) name += ", ";
      name += item.is_group ? std::string_view(groups_[item.id].name) : headline(s_, item.id);
    }
    return period > 3 ? name + fmt::format(" and {} more", period - 3) : name;
  }

  void cut_into_runs(std::uint32_t parent) {
    const std::vector<Group::Item> items = std::exchange(groups_[parent].items, {});
    std::vector<Group::Item> runs;
    for (std::size_t first = 0; first < items.size(); first += most_) {
      const std::size_t last = std::min(first + most_, items.size());
      Group run;
      run.parent = parent;
      run.depth = groups_[parent].depth + 1;
      run.items.assign(items.begin() + static_cast<std::ptrdiff_t>(first),
                       items.begin() + static_cast<std::ptrdiff_t>(last));
      for (const Group::Item& item : run.items) {
        if (item.is_group) groups_[item.id].parent = count();
        add_item(run, item);
      }
      run.name = fmt::format("ops {}-{}", run.first == no_node ? run.items[0].id : run.first,
                             run.first == no_node ? run.items.back().id : run.last);
      run.path = groups_[parent].path.empty() ? run.name : groups_[parent].path + "/" + run.name;
      runs.push_back({true, count(), run.items[0].first});
      groups_.push_back(std::move(run));
    }
    groups_[parent].items = std::move(runs);
  }

  bool fold_deepest() {
    std::vector<std::uint32_t> depth(groups_.size()), open;
    std::vector<std::size_t> boxes(groups_.size());  // that an open group shows
    std::vector<std::uint32_t> order{0};             // outer groups first
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (const Group::Item& item : groups_[order[i]].items) {
        if (!item.is_group || !groups_[item.id].open) continue;
        depth[item.id] = depth[order[i]] + 1;
        groups_[item.id].parent = order[i];
        order.push_back(item.id);
        open.push_back(item.id);
      }
    }
    for (std::size_t i = order.size(); i-- > 0;) {
      const Group& group = groups_[order[i]];
      for (const Group::Item& item : group.items) {
        boxes[order[i]] += item.is_group && groups_[item.id].open ? boxes[item.id] : 1;
      }
    }
    std::ranges::stable_sort(open, [&](std::uint32_t a, std::uint32_t b) {
      return depth[a] != depth[b] ? depth[a] > depth[b] : groups_[a].first < groups_[b].first;
    });
    bool folded = false;
    for (const std::uint32_t g : open) {
      if (boxes[0] <= most_) break;
      if (groups_[g].pinned) continue;
      const std::size_t saved = boxes[g] - 1;
      groups_[g].open = false;
      folded = true;
      for (std::uint32_t outer = g;;) {
        boxes[outer] -= saved;
        if (outer == 0) break;
        outer = groups_[outer].parent;
      }
    }
    return folded;
  }

  const Snapshot& s_;
  std::vector<Group>& groups_;
  const FoldOptions& options_;
  const std::size_t most_;
  RepeatScratch scratch_;
};

}  // namespace

std::vector<Group> group_tree(const Snapshot& s, const Outline& outline, const View& view) {
  std::vector<Group> groups(outline.frames.size());
  for (std::uint32_t f = 0; f < groups.size(); ++f) {
    groups[f].parent = outline.frames[f].parent;
    groups[f].depth = outline.frames[f].depth;
    groups[f].frame = f;
    groups[f].pinned = f > 0 && !outline.frames[f].is_interval();
    if (f > 0) groups[f].name = outline.frame_name(s, f);
    if (f > 0) {
      const std::string& outer = groups[groups[f].parent].path;
      groups[f].path = outer.empty() ? groups[f].name : outer + "/" + groups[f].name;
    }
  }
  for (NodeId n = 0; n < s.node_count(); ++n) {
    if (!view.shown[n] || view.is_outside(n)) continue;
    Group& group = groups[outline.frame_of[n]];
    group.items.push_back({false, n, n});
    add_totals(group.totals, totals_of(s, n));
    if (is_movable(s.kind(n))) continue;
    group.first = std::min(group.first, n);
    group.last = n;
  }
  for (std::size_t g = groups.size(); g-- > 1;) {
    Group& parent = groups[groups[g].parent];
    if (groups[g].items.empty()) continue;
    const NodeId first = groups[g].first == no_node ? groups[g].items[0].first : groups[g].first;
    parent.items.push_back({true, static_cast<std::uint32_t>(g), first});
    add_totals(parent.totals, groups[g].totals);
    parent.first = std::min(parent.first, groups[g].first);
    parent.last = std::max(parent.last, groups[g].last);
  }
  for (Group& group : groups) std::ranges::stable_sort(group.items, {}, &Group::Item::first);
  return groups;
}

bool fold(const Snapshot& s, std::vector<Group>& groups, const FoldOptions& options) {
  return Folder(s, groups, options).run();
}

bool matches(std::string_view pattern, std::string_view path) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, tried = 0;
  while (t < path.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      tried = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == path[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++tried;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace weft::diagram
