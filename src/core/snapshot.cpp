#include "weft/snapshot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/graph_tables.hpp"
#include "core/op_label.hpp"
#include "weft/op.hpp"

namespace weft {

StringTable::StringTable() { texts_.emplace_back(); }
StringTable::StringTable(const StringTable&) = default;
StringTable::StringTable(StringTable&&) noexcept = default;
StringTable& StringTable::operator=(const StringTable&) = default;
StringTable& StringTable::operator=(StringTable&&) noexcept = default;
StringTable::~StringTable() = default;

StringId StringTable::add(std::string_view text) {
  if (text.empty()) return 0;
  if (texts_.empty()) texts_.emplace_back();  // was moved from
  if (const auto found = index_.find(text); found != index_.end()) return found->second;
  texts_.emplace_back(text);
  index_.emplace(texts_.back(), static_cast<StringId>(texts_.size() - 1));
  return static_cast<StringId>(texts_.size() - 1);
}

std::string_view Snapshot::argument(EdgeId e) const {
  const OpKind& kind = op(edge_source(e));
  if (kind.arguments.empty()) return {};
  return text(kind.arguments[std::min<std::size_t>(static_cast<std::size_t>(edge_slot(e)),
                                                   kind.arguments.size() - 1)]);
}

std::string Snapshot::scope_path(std::uint32_t scope) const {
  std::string path;
  for (; scope != 0; scope = scopes[scope].parent) {
    const std::string& name = text(scopes[scope].name);
    path = path.empty() ? name : fmt::format("{}/{}", name, path);
  }
  return path;
}

NodeId Snapshot::append(const Node& node, std::span<const NodeId> inputs) {
  const NodeId n = node_count();
  for (const NodeId input : inputs) {
    if (input >= n)
      throw GraphError(fmt::format("node {} has the input {}, which does not precede it", n, input));
  }
  kinds.push_back(node.kind);
  op_of.push_back(node.op);
  type_of.push_back(add_type(node.type));
  names.push_back(node.name);
  attributes.push_back(node.attributes);
  labels.push_back(node.label);
  files.push_back(node.file);
  lines.push_back(node.line);
  node_scopes.push_back(node.scope);
  rules.push_back(node.rule_of);
  differentiable.push_back(node.differentiable);
  flops.push_back(node.flops);
  kept_bytes.push_back(node.kept_bytes);
  edge_target_.insert(edge_target_.end(), inputs.begin(), inputs.end());
  edge_source_.resize(edge_target_.size(), n);
  first_edge_.push_back(edge_count());
  return n;
}

void Snapshot::reserve(std::size_t nodes, std::size_t edges) {
  const auto in = [nodes](auto&... columns) { (columns.reserve(nodes), ...); };
  in(kinds, op_of, type_of, node_scopes, lines, names, attributes, labels, files, rules, differentiable,
     flops, kept_bytes);
  first_edge_.reserve(nodes + 1);
  edge_source_.reserve(edges);
  edge_target_.reserve(edges);
}

std::uint32_t Snapshot::add_op_kind(const OpKind& kind) {
  const auto found = std::ranges::find(op_kinds, kind);
  if (found != op_kinds.end()) return static_cast<std::uint32_t>(found - op_kinds.begin());
  op_kinds.push_back(kind);
  return static_cast<std::uint32_t>(op_kinds.size() - 1);
}

std::uint32_t Snapshot::add_type(const TensorType& type) {
  if (!type_of.empty() && types[type_of.back()] == type) return type_of.back();  // mostly the same again
  const std::string key(reinterpret_cast<const char*>(type.shape.begin()),
                        sizeof(std::int64_t) * static_cast<std::size_t>(type.shape.rank()));
  const StringId id = type_keys_.add(key + static_cast<char>(type.dtype));
  if (id > types.size()) types.push_back(type);
  return id - 1;
}

// Copies the nodes of a graph that are wanted, numbered anew.
class SnapshotTaker {
 public:
  explicit SnapshotTaker(const Graph& g) : graph_(g), tables_(RecordAccess::tables(g)) {}

  Snapshot take(const std::vector<bool>& wanted) {
    copy_scopes();
    if (wanted.empty()) s_.reserve(graph_.node_count(), graph_.edge_count());
    new_id_.assign(graph_.node_count(), no_node);
    keeps_.assign(graph_.node_count(), false);
    for (NodeId n = 0; n < graph_.node_count(); ++n) {
      if (!wanted.empty() && !wanted[n]) continue;
      copy_node(n);
      old_id_.push_back(n);
    }
    copy_calls();
    if (tables_.measurements) copy_measurements(*tables_.measurements);
    return std::move(s_);
  }

 private:
  void copy_scopes() {
    s_.scopes.resize(1);
    for (const Graph::ScopeEntry& scope : graph_.scopes().subspan(1))
      s_.scopes.push_back({scope.parent, s_.strings.add(scope.name)});
  }

  StringId file_of(const char* file) {
    if (!file) return 0;
    const auto [entry, is_new] = files_.try_emplace(file, 0);
    if (is_new) entry->second = s_.strings.add(file);
    return entry->second;
  }

  std::uint32_t op_kind_of(const OpInfo& info) {
    const auto [entry, is_new] = infos_.try_emplace(&info, 0);
    if (is_new) {
      OpKind kind{s_.strings.add(info.name), info.group, {}};
      for (const Argument& argument : info.arguments) kind.arguments.push_back(s_.strings.add(argument.name));
      entry->second = s_.add_op_kind(kind);
    }
    return entry->second;
  }

  void copy_node(NodeId n) {
    const SourceLocation at = graph_.source(n);
    Snapshot::Node node{.kind = graph_.kind(n),
                        .type = graph_.type(n),
                        .name = s_.strings.add(graph_.name(n)),
                        .file = file_of(at.file),
                        .scope = graph_.scope_of(n),
                        .line = static_cast<std::uint32_t>(at.line),
                        .rule_of = renumbered(graph_.rule_of(n)),
                        .differentiable = graph_.is_differentiable(n)};
    inputs_.clear();
    operand_types_.clear();
    for (const NodeId input : graph_.inputs(n)) {
      inputs_.push_back(new_id_[input]);
      operand_types_.push_back(graph_.type(input));
    }
    if (const Op* op = graph_.op(n)) {
      const Attributes attributes = op->attributes();
      node.op = op_kind_of(op->info());
      if (!attributes.empty()) node.attributes = s_.strings.add(to_string(attributes));
      node.label = s_.strings.add(op_label(op->info(), attributes, operand_types_));
      node.flops = op->flops(operand_types_, graph_.type(n));
      node.kept_bytes = kept_bytes(n);
    } else if (graph_.kind(n) == NodeKind::constant && node.type.shape.elements() == 1) {
      node.label = s_.strings.add(fmt::format("{:.6g}", graph_.source_value(n).item()));
    }
    new_id_[n] = s_.append(node, inputs_);
  }

  NodeId renumbered(NodeId n) const { return n < new_id_.size() ? new_id_[n] : no_node; }

  // Whose storage a view shares.
  NodeId base_of(NodeId n) const {
    while (graph_.op(n) && graph_.op(n)->info().group == OpGroup::view) n = graph_.inputs(n)[0];
    return n;
  }

  std::uint64_t kept_bytes(NodeId n) {
    std::uint64_t bytes = 0;
    for (const auto& [value, what] : RecordAccess::kept(graph_, n)) {
      if (what == kept_extra) {
        if (value.defined()) bytes += value.bytes();
        continue;
      }
      const NodeId kept = base_of(what == kept_output ? n : graph_.inputs(n)[what]);
      if (!graph_.op(kept) || keeps_[kept]) continue;  // a source is there anyway
      keeps_[kept] = true;
      const TensorType& type = graph_.type(kept);
      bytes += static_cast<std::uint64_t>(type.shape.elements()) * size_of(type.dtype);
    }
    return bytes;
  }

  void copy_calls() {
    if (tables_.last_root < graph_.node_count()) {
      s_.root = new_id_[tables_.last_root];
      for (const NodeId target : tables_.last_targets) {
        if (renumbered(target) != no_node) s_.targets.push_back(new_id_[target]);
      }
    }
    s_.error = tables_.last_error.message;
    s_.failed_op = tables_.last_error.op;
    s_.failed_rule = renumbered(tables_.last_error.node);
    for (const NodeId n : tables_.last_error.operands) {
      if (renumbered(n) != no_node) s_.failed_operands.push_back(new_id_[n]);
    }
  }

  template <class T>
  void copy_column(const std::vector<T>& from, std::vector<T>& to, T missing) const {
    if (from.empty()) return;
    for (const NodeId n : old_id_) to.push_back(n < from.size() ? from[n] : missing);
  }

  void copy_measurements(const Measurements& from) {
    Measurements& to = s_.measured;
    const double none = std::numeric_limits<double>::quiet_NaN();
    copy_column(from.forward, to.forward, 0.0);
    copy_column(from.backward, to.backward, 0.0);
    copy_column(from.gradient_norm, to.gradient_norm, none);
    copy_column(from.gradient_max, to.gradient_max, none);
    copy_column(from.bad_values, to.bad_values, std::uint64_t{0});
    copy_column(from.bad_gradients, to.bad_gradients, std::uint64_t{0});
    to.other = from.other;
    to.origin = renumbered(from.origin);
    to.origin_in_rule = from.origin_in_rule;
  }

  const Graph& graph_;
  const RecordAccess::Tables& tables_;
  Snapshot s_;
  std::vector<NodeId> new_id_, old_id_, inputs_;
  std::vector<TensorType> operand_types_;
  std::vector<bool> keeps_;
  std::unordered_map<const char*, StringId> files_;
  std::unordered_map<const OpInfo*, std::uint32_t> infos_;
};

Snapshot take_snapshot(const Graph& g) { return SnapshotTaker(g).take({}); }

Snapshot take_snapshot(std::span<const Var> outputs) {
  if (outputs.empty()) return {};
  const Graph* g = outputs[0].graph();
  for (const Var& output : outputs) {
    if (g && g->contains(output)) continue;
    throw GraphError("take_snapshot: an output is no node of the first one's graph, or it was cleared since");
  }
  std::vector<bool> wanted(g->node_count());
  for (const Var& output : outputs) wanted[output.id()] = true;
  for (NodeId n = g->node_count(); n-- > 0;) {
    if (!wanted[n]) continue;
    for (const NodeId input : g->inputs(n)) wanted[input] = true;
  }
  return SnapshotTaker(*g).take(wanted);
}

}  // namespace weft
