#include "diagram/repeats.hpp"

#include <algorithm>

#include "core/hash128.hpp"

namespace weft::diagram {

namespace {

// The children of one group.
class Sequence {
 public:
  Sequence(const Snapshot& s, const std::vector<Group>& groups, std::vector<Group::Item>& items,
           RepeatScratch& scratch)
      : s_(s), groups_(groups), items_(items), scratch_(scratch) {}

  std::vector<Repeat> find() {
    std::stable_partition(items_.begin(), items_.end(),
                          [&](const Group::Item& item) { return item.is_group || s_.is_op(item.id); });
    while (length_ < items_.size() && (items_[length_].is_group || s_.is_op(items_[length_].id))) ++length_;
    for (std::size_t i = 0; i < length_; ++i) hashes_.push_back(hash_of(items_[i]));

    std::vector<Repeat> repeats;
    for (std::size_t i = 0; i < length_;) {
      Repeat best = best_at(i);
      if (best.count == 0) {
        ++i;
        continue;
      }
      i += best.period * best.count;
      repeats.push_back(std::move(best));
    }
    if (!repeats.empty()) absorb_sources(repeats);
    return repeats;
  }

 private:
  static constexpr std::size_t longest_period = 64;

  std::vector<NodeId> nodes_of(std::size_t first, std::size_t count) const {
    std::vector<NodeId> nodes;
    std::vector<std::uint32_t> stack;
    for (std::size_t i = first; i < first + count; ++i) {
      if (!items_[i].is_group) {
        nodes.push_back(items_[i].id);
        continue;
      }
      stack.assign(1, items_[i].id);
      while (!stack.empty()) {
        const Group& group = groups_[stack.back()];
        stack.pop_back();
        for (const Group::Item& item : group.items) {
          if (item.is_group)
            stack.push_back(item.id);
          else
            nodes.push_back(item.id);
        }
      }
    }
    std::ranges::sort(nodes);
    return nodes;
  }

  Hash128 hash_of(const Group::Item& item) const {
    Hash128 hash;
    hash.add(std::uint64_t{item.is_group});
    const std::size_t at = static_cast<std::size_t>(&item - items_.data());
    for (const NodeId n : nodes_of(at, 1)) {
      if (!s_.is_op(n)) continue;
      hash.add(s_.op_of[n]).add(s_.attributes[n]).add(s_.type_of[n]).add(s_.inputs(n).size());
      for (const NodeId input : s_.inputs(n)) hash.add(s_.type_of[input]);
    }
    return hash;
  }

  bool same_hashes(std::size_t a, std::size_t b, std::size_t period) const {
    return std::equal(hashes_.begin() + static_cast<std::ptrdiff_t>(a),
                      hashes_.begin() + static_cast<std::ptrdiff_t>(a + period),
                      hashes_.begin() + static_cast<std::ptrdiff_t>(b));
  }

  Repeat best_at(std::size_t i) {
    Repeat best;
    for (std::size_t period = 1; period <= longest_period && i + 2 * period <= length_; ++period) {
      if (!same_hashes(i, i + period, period)) continue;
      const bool is_scope = period == 1 && items_[i].is_group;
      Repeat repeat = extend(i, period);
      if (repeat.count < (is_scope ? 2u : 3u)) continue;
      if (best.count == 0 || repeat.count * repeat.period > best.count * best.period)
        best = std::move(repeat);
      if (best.count > 0 && i + best.period * best.count + period >= length_)
        break;  // nothing is left to cover
    }
    return best;
  }

  Repeat extend(std::size_t first, std::size_t period) {
    Repeat repeat{.first = first, .period = period, .count = 1, .same_parameters = true};
    std::vector<NodeId> part = nodes_of(first, period);
    for (std::size_t next = first + period; next + period <= length_ && same_hashes(first, next, period);
         next += period) {
      std::vector<NodeId> other = nodes_of(next, period);
      if (!are_equal(part, other, repeat.same_parameters)) break;
      ++repeat.count;
      part = std::move(other);
    }
    return repeat;
  }

  void number(const std::vector<NodeId>& part, std::uint32_t part_id) {
    for (std::size_t i = 0; i < part.size(); ++i) {
      scratch_.part_of[part[i]] = part_id;
      scratch_.place[part[i]] = static_cast<std::uint32_t>(i);
    }
  }

  bool are_equal(const std::vector<NodeId>& a, const std::vector<NodeId>& b, bool& same_parameters) {
    if (a.size() != b.size()) return false;
    const std::uint32_t part_a = ++scratch_.parts, part_b = ++scratch_.parts;
    number(a, part_a);
    number(b, part_b);
    bool same = same_parameters;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const NodeId n = a[i], m = b[i];
      if (s_.kind(n) != s_.kind(m) || s_.type_of[n] != s_.type_of[m] || s_.op_of[n] != s_.op_of[m] ||
          s_.attributes[n] != s_.attributes[m])
        return false;
      const std::span<const NodeId> from = s_.inputs(n), to = s_.inputs(m);
      if (from.size() != to.size()) return false;
      for (std::size_t slot = 0; slot < from.size(); ++slot) {
        const NodeId x = from[slot], y = to[slot];
        const bool inside_a = scratch_.part_of[x] == part_a, inside_b = scratch_.part_of[y] == part_b;
        if (inside_a != inside_b || (inside_a && scratch_.place[x] != scratch_.place[y])) return false;
        const bool is_parameter = s_.kind(x) == NodeKind::parameter;
        if (is_parameter != (s_.kind(y) == NodeKind::parameter) || s_.type_of[x] != s_.type_of[y])
          return false;
        if (is_parameter && x != y) same = false;
      }
    }
    same_parameters = same;
    return true;
  }

  // A source goes into the repeat that holds all of its consumers.
  void absorb_sources(std::vector<Repeat>& repeats) {
    std::vector<NodeId> own;  // others lie in the parts already
    for (std::size_t i = length_; i < items_.size(); ++i) own.push_back(items_[i].id);
    std::ranges::sort(own);
    for (Repeat& repeat : repeats) {
      std::vector<NodeId> sources;
      for (const NodeId n : nodes_of(repeat.first, repeat.period * repeat.count)) {
        for (const NodeId input : s_.inputs(n)) {
          if (!is_movable(s_.kind(input))) continue;
          if (scratch_.uses[input]++ == 0) sources.push_back(input);
        }
      }
      for (const NodeId n : sources) {
        if (scratch_.uses[n] == scratch_.consumers[n] && std::ranges::binary_search(own, n))
          repeat.absorbed.push_back(n);
        scratch_.uses[n] = 0;
      }
      std::ranges::sort(repeat.absorbed);
    }
  }

  const Snapshot& s_;
  const std::vector<Group>& groups_;
  std::vector<Group::Item>& items_;
  RepeatScratch& scratch_;
  std::size_t length_ = 0;  // of the ops and groups in front
  std::vector<Hash128> hashes_;
};

}  // namespace

RepeatScratch::RepeatScratch(const Snapshot& s)
    : part_of(s.node_count()), place(s.node_count()), consumers(s.node_count()), uses(s.node_count()) {
  for (std::uint32_t e = 0; e < s.edge_count(); ++e) ++consumers[s.edge_target({e})];
}

std::vector<Repeat> find_repeats(const Snapshot& s, std::vector<Group>& groups, std::uint32_t parent,
                                 RepeatScratch& scratch) {
  return Sequence(s, groups, groups[parent].items, scratch).find();
}

}  // namespace weft::diagram
