#include "weft/diff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "core/hash128.hpp"
#include "diagram/outline.hpp"
#include "diagram/save.hpp"
#include "diagram/text_parts.hpp"

namespace weft {

namespace {

using Key = std::pair<std::uint64_t, std::uint64_t>;

// One of the two records: what a node is by itself, and what it is with its surroundings.
class Side {
 public:
  explicit Side(const Snapshot& s) : s(s), outline(s), partner(s.node_count(), no_node) {
    for (std::uint32_t scope = 0; scope < s.scopes.size(); ++scope)
      paths.push_back(outline.frame_path(s, scope));
    for (NodeId n = 0; n < s.node_count(); ++n) {
      Hash128 hash;
      hash.add(std::string_view(paths[s.scope_of(n)])).add(static_cast<std::uint64_t>(s.kind(n)));
      hash.add(s.op_name(n)).add(s.name(n));
      own.push_back(hash);
      hash.add(std::string_view(s.text(s.attributes[n]))).add(std::string_view(to_string(s.type(n))));
      like[0].push_back(hash);
    }
    for (std::size_t round = 0; round < rounds; ++round) {
      const std::vector<Hash128>& exact = like[round];
      std::vector<Hash128> next = exact;
      for (NodeId n = 0; n < s.node_count(); ++n) {
        for (const NodeId input : s.inputs(n)) next[n].add(exact[input]);
      }
      for (NodeId n = s.node_count(); n-- > 0;) {
        for (const NodeId input : s.inputs(n)) {
          next[input].high += Hash128::mix(exact[n].high);  // a sum: consumers have no order
          next[input].low += Hash128::mix(exact[n].low);
        }
      }
      like[round + 1] = std::move(next);
    }
  }

  const Snapshot& s;
  diagram::Outline outline;
  std::vector<std::string> paths;  // per scope
  static constexpr std::size_t rounds = 3;
  std::vector<Hash128> own;                           // scope, op, name
  std::array<std::vector<Hash128>, rounds + 1> like;  // attributes and type too, and neighbours so far away
  std::vector<NodeId> partner;
};

// Pairs what has the same hash and no partner yet, in order.
void align(Side& before, Side& after, const std::vector<Hash128>& before_hashes,
           const std::vector<Hash128>& after_hashes) {
  std::map<Key, std::vector<NodeId>> waiting;
  for (NodeId n = before.s.node_count(); n-- > 0;) {
    const Hash128& hash = before_hashes[n];
    if (before.partner[n] == no_node) waiting[{hash.high, hash.low}].push_back(n);
  }
  for (NodeId n = 0; n < after.s.node_count(); ++n) {
    if (after.partner[n] != no_node) continue;
    const Hash128& hash = after_hashes[n];
    const auto found = waiting.find({hash.high, hash.low});
    if (found == waiting.end() || found->second.empty()) continue;
    after.partner[n] = found->second.back();
    before.partner[found->second.back()] = n;
    found->second.pop_back();
  }
}

double seconds(const Snapshot& s, NodeId n) {
  return n < s.measured.forward.size() ? s.measured.forward[n] : 0;
}

std::string difference(const Side& before, const Side& after, NodeId n, double tolerance) {
  const NodeId m = after.partner[n];
  const Snapshot &a = before.s, &b = after.s;
  std::string what;
  const auto add = [&](std::string_view name, const std::string& from, const std::string& to) {
    if (from != to) what += fmt::format("{}{} {} -> {}", what.empty() ? "" : ", ", name, from, to);
  };
  add("type", to_string(a.type(m)), to_string(b.type(n)));
  add("attributes", a.text(a.attributes[m]), b.text(b.attributes[n]));
  if (!b.is_op(n)) add("value", a.text(a.labels[m]), b.text(b.labels[n]));
  const std::span<const NodeId> from = a.inputs(m), to = b.inputs(n);
  if (from.size() != to.size()) add("operands", std::to_string(from.size()), std::to_string(to.size()));
  for (std::size_t slot = 0; slot < std::min(from.size(), to.size()); ++slot) {
    if (before.partner[from[slot]] == to[slot]) continue;
    EdgeId edge = b.first_edge(n);
    edge.index += static_cast<std::uint32_t>(slot);
    add(b.argument(edge), fmt::format("{} (n{})", diagram::headline(a, from[slot]), from[slot]),
        fmt::format("{} (n{})", diagram::headline(b, to[slot]), to[slot]));
  }
  const double old_time = seconds(a, m), new_time = seconds(b, n);
  if (old_time > 0 && new_time > 0 &&
      std::abs(new_time - old_time) > tolerance * std::max(old_time, new_time))
    add("ms", fmt::format("{:.3g}", 1000 * old_time), fmt::format("{:.3g}", 1000 * new_time));
  return what;
}

// The scope of that path in `s`, made where it is missing.
std::uint32_t scope_of_path(Snapshot& s, std::vector<std::string>& paths, const Side& side,
                            std::uint32_t scope) {
  const auto found = std::ranges::find(paths, side.paths[scope]);
  if (found != paths.end()) return static_cast<std::uint32_t>(found - paths.begin());
  const std::uint32_t parent = scope_of_path(s, paths, side, side.s.scopes[scope].parent);
  s.scopes.push_back({parent, s.strings.add(side.outline.frame_name(side.s, scope))});
  paths.push_back(side.paths[scope]);
  return static_cast<std::uint32_t>(s.scopes.size() - 1);
}

void append_removed(GraphDiff& found, const Side& before, const Side& after) {
  Snapshot& united = found.united;
  const Snapshot& from = before.s;
  std::vector<std::string> paths = after.paths;
  std::vector<NodeId> place = before.partner;
  for (NodeId m = 0; m < from.node_count(); ++m) {
    if (before.partner[m] != no_node) continue;
    Snapshot::Node node{.kind = from.kind(m),
                        .type = from.type(m),
                        .name = united.strings.add(from.name(m)),
                        .attributes = united.strings.add(from.text(from.attributes[m])),
                        .label = united.strings.add(from.text(from.labels[m])),
                        .file = united.strings.add(from.text(from.files[m])),
                        .scope = scope_of_path(united, paths, before, from.scope_of(m)),
                        .line = from.lines[m],
                        .flops = from.flops[m]};
    if (from.is_op(m)) {
      OpKind kind{united.strings.add(from.op_name(m)), from.op(m).group, {}};
      for (const StringId argument : from.op(m).arguments)
        kind.arguments.push_back(united.strings.add(from.text(argument)));
      node.op = united.add_op_kind(kind);
    }
    std::vector<NodeId> inputs;
    for (const NodeId input : from.inputs(m)) inputs.push_back(place[input]);
    place[m] = united.append(node, inputs);
    found.removed_from.push_back(m);
    found.changes.push_back({GraphDiff::Kind::removed, m, no_node, {}});
  }
}

}  // namespace

GraphDiff diff(const Snapshot& before, const Snapshot& after, const DiffOptions& options) {
  Side from(before), to(after);
  for (std::size_t round = Side::rounds + 1; round-- > 0;) align(from, to, from.like[round], to.like[round]);
  align(from, to, from.own, to.own);
  GraphDiff found;
  for (NodeId n = 0; n < after.node_count(); ++n) {
    if (to.partner[n] == no_node) {
      found.changes.push_back({GraphDiff::Kind::added, no_node, n, {}});
      continue;
    }
    std::string what = difference(from, to, n, options.tolerance);
    if (!what.empty()) found.changes.push_back({GraphDiff::Kind::changed, to.partner[n], n, std::move(what)});
  }
  found.united = after;
  found.united.measured = {};
  append_removed(found, from, to);
  return found;
}

std::string to_text(const GraphDiff& diff) {
  std::string text;
  const std::size_t kept = diff.united.node_count() - diff.removed_from.size();
  std::size_t removed = 0;
  for (const GraphDiff::Change& change : diff.changes) {
    constexpr std::string_view signs = "+-~";
    const bool is_removed = change.kind == GraphDiff::Kind::removed;
    const NodeId n = is_removed ? static_cast<NodeId>(kept + removed++) : change.after;
    const std::string scope = diff.united.scope_path(diff.united.scope_of(n));
    text += fmt::format("{} n{} {}{}{}{}{}\n", signs[static_cast<std::size_t>(change.kind)],
                        is_removed ? change.before : n, diagram::headline(diff.united, n),
                        scope.empty() ? "" : " in ", scope, change.what.empty() ? "" : ": ", change.what);
  }
  return text.empty() ? "equal\n" : text;
}

DiagramReport save_diagram(const GraphDiff& diff, const std::string& file, const DiagramOptions& options) {
  std::vector<diagram::NodeChange> changes(diff.united.node_count());
  auto removed = static_cast<NodeId>(diff.united.node_count() - diff.removed_from.size());
  for (const GraphDiff::Change& change : diff.changes) {
    const bool is_removed = change.kind == GraphDiff::Kind::removed;
    changes[is_removed ? removed++ : change.after] = {"+-~"[static_cast<std::size_t>(change.kind)],
                                                      change.what};
  }
  return diagram::save(diff.united, std::move(changes), file, options);
}

}  // namespace weft
