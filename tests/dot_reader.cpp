#include "dot_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <graphviz/cgraph.h>

#include <algorithm>
#include <array>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/graphviz.hpp>
#include <boost/graph/vf2_sub_graph_iso.hpp>
#include <charconv>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <tuple>

#include "weft/weft.hpp"

using namespace weft;

namespace {

// What stands between the quotes of an attribute, with the escaping undone.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size())
      out += text[i];
    else
      out += text[++i] == 'n' ? '\n' : text[i];
  }
  return out;
}

// The first word of a class is the kind of the node.
std::string first_word(const std::string& text) { return text.substr(0, text.find(' ')); }

std::string graphviz_messages;
int collect(char* text) {
  graphviz_messages += text;
  return 0;
}

struct Close {
  void operator()(Agraph_t* graph) const { agclose(graph); }
};

std::string attribute(void* object, const char* name) {
  const char* value = agget(object, const_cast<char*>(name));
  return value ? unescaped(value) : "";
}

void read_clusters(Agraph_t* in, const std::string& parent, DotGraph& out) {
  for (Agraph_t* sub = agfstsubg(in); sub; sub = agnxtsubg(sub)) {
    const std::string id = attribute(sub, "id");
    out.clusters[id] = {parent, attribute(sub, "weft_scope")};
    // An inner cluster is visited later and has the last word.
    for (Agnode_t* node = agfstnode(sub); node; node = agnxtnode(sub, node))
      out.nodes.at(agnameof(node)).cluster = id;
    read_clusters(sub, id, out);
  }
}

struct BoostNode {
  std::string id, kind, op, attributes, type, name, flops, recorded_in;
};
struct BoostEdge {
  std::string id, slot;
};
using BoostGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, BoostNode, BoostEdge>;

BoostGraph boost_graph_of(const DotGraph& read) {
  BoostGraph g;
  std::map<std::string, BoostGraph::vertex_descriptor> vertex;
  for (const auto& [id, node] : read.nodes) {
    vertex[id] =
        add_vertex({id, node.kind, node.op, node.attributes, node.type, node.name, node.flops, {}}, g);
  }
  for (const DotEdge& e : read.edges) add_edge(vertex.at(e.from), vertex.at(e.to), {e.id, e.slot}, g);
  return g;
}

// Colours of nodes by what they are and, refined, by what is around them (Weisfeiler and Leman): nodes that
// an isomorphism maps to each other have the same. The search for one would take exponential time without.
class Colors {
 public:
  std::vector<int> of_nodes(const BoostGraph& g) {
    std::vector<int> colors;
    for (const auto v : boost::make_iterator_range(vertices(g)))
      colors.push_back(color(
          fmt::format("{}\n{}\n{}\n{}\n{}", g[v].kind, g[v].op, g[v].attributes, g[v].type, g[v].name)));
    return colors;
  }
  std::vector<int> refined(const BoostGraph& g, const std::vector<int>& colors) {
    std::vector<int> next;
    for (const auto v : boost::make_iterator_range(vertices(g))) {
      std::vector<std::string> around;
      for (const auto e : boost::make_iterator_range(in_edges(v, g)))
        around.push_back(fmt::format("<{}:{}", g[e].slot, colors[source(e, g)]));
      for (const auto e : boost::make_iterator_range(out_edges(v, g)))
        around.push_back(fmt::format(">{}:{}", g[e].slot, colors[target(e, g)]));
      std::ranges::sort(around);
      next.push_back(color(fmt::format("{} {}", colors[v], fmt::join(around, " "))));
    }
    return next;
  }

 private:
  int color(const std::string& what) {
    return known_.try_emplace(what, static_cast<int>(known_.size())).first->second;
  }
  std::map<std::string, int> known_;
};

NodeId number_of(const std::string& id) {
  NodeId n = no_node;
  if (id.size() > 1) std::from_chars(id.data() + 1, id.data() + id.size(), n);
  return n;
}

// The scope that holds a node's box: for a parameter or constant the deepest that holds all its consumers.
std::vector<std::uint32_t> expected_scopes(const Snapshot& s) {
  constexpr std::uint32_t nowhere = 0xffffffff;
  const auto ancestors = [&](std::uint32_t scope) {
    std::vector<std::uint32_t> path{scope};
    while (scope != 0) path.push_back(scope = s.scopes[scope].parent);
    std::ranges::reverse(path);
    return path;
  };
  std::vector<std::uint32_t> scopes(s.node_count(), nowhere);
  for (NodeId n = 0; n < s.node_count(); ++n) {
    if (s.is_op(n) || s.kind(n) == NodeKind::input) scopes[n] = s.scope_of(n);
    for (const NodeId input : s.inputs(n)) {
      if (s.is_op(input) || s.kind(input) == NodeKind::input) continue;
      const std::vector<std::uint32_t> here = ancestors(s.scope_of(n));
      const std::vector<std::uint32_t> known = scopes[input] == nowhere ? here : ancestors(scopes[input]);
      scopes[input] = *std::prev(std::ranges::mismatch(known, here).in1);
    }
  }
  for (NodeId n = 0; n < s.node_count(); ++n) {
    if (scopes[n] == nowhere) scopes[n] = s.scope_of(n);
  }
  return scopes;
}

// "net (2)/conv1": entries under one path are numbered.
std::vector<std::string> shown_paths(const Snapshot& s) {
  std::vector<std::string> paths{""};
  std::map<std::pair<std::uint32_t, std::string>, int> entries;
  for (std::uint32_t scope = 1; scope < s.scopes.size(); ++scope) {
    const std::uint32_t parent = s.scopes[scope].parent;
    std::string name = s.text(s.scopes[scope].name);
    const int entry = ++entries[{parent, name}];
    if (entry > 1) name += fmt::format(" ({})", entry);
    paths.push_back(paths[parent].empty() ? name : paths[parent] + "/" + name);
  }
  return paths;
}

std::string cluster_difference(const DotGraph& read, const Snapshot& s,
                               const std::vector<std::uint32_t>& scopes) {
  const std::vector<std::string> paths = shown_paths(s);
  std::set<std::string> needed;
  for (NodeId n = 0; n < s.node_count(); ++n) {
    const std::string expected = scopes[n] == 0 ? "" : fmt::format("s{}", scopes[n]);
    const std::string& found = read.nodes.at(fmt::format("n{}", n)).cluster;
    if (found != expected) return fmt::format("n{} is in cluster '{}', not in '{}'", n, found, expected);
    for (std::uint32_t scope = scopes[n]; scope != 0; scope = s.scopes[scope].parent)
      needed.insert(fmt::format("s{}", scope));
  }
  if (read.clusters.size() != needed.size())
    return fmt::format("{} clusters, not {}", read.clusters.size(), needed.size());
  for (const std::string& id : needed) {
    const auto cluster = read.clusters.find(id);
    if (cluster == read.clusters.end()) return "there is no cluster " + id;
    const std::uint32_t scope = number_of(id), parent = s.scopes[scope].parent;
    if (cluster->second.path != paths[scope])
      return fmt::format("cluster {} is '{}', not '{}'", id, cluster->second.path, paths[scope]);
    if (cluster->second.parent != (parent == 0 ? "" : fmt::format("s{}", parent)))
      return fmt::format("cluster {} lies in '{}'", id, cluster->second.parent);
  }
  return {};
}

std::string node_difference(const DotNode& found, const Snapshot& s, NodeId n, std::uint32_t scope) {
  constexpr std::array<std::string_view, 4> kinds = {"input", "parameter", "constant", "op"};
  const std::string recorded_in = scope == s.scope_of(n) ? "" : fmt::format("s{}", s.scope_of(n));
  const std::array<std::tuple<std::string_view, std::string, std::string>, 7> pairs = {
      {{"kind", found.kind, std::string(kinds[static_cast<std::size_t>(s.kind(n))])},
       {"op", found.op, std::string(s.op_name(n))},
       {"attributes", found.attributes, s.text(s.attributes[n])},
       {"type", found.type, to_string(s.type(n))},
       {"name", found.name, std::string(s.name(n))},
       {"flops", found.flops, s.is_op(n) ? fmt::format("{:.0f}", s.flops[n]) : ""},
       {"scope", found.recorded_in, recorded_in}}};
  for (const auto& [what, has, needs] : pairs) {
    if (has != needs) return fmt::format("{} of n{} is '{}', not '{}'", what, n, has, needs);
  }
  return {};
}

TensorType type_of(const std::string& text) {
  const std::size_t bracket = text.find('[');
  TensorType type;
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8, DType::boolean}) {
    if (name(dtype) == text.substr(0, bracket)) type.dtype = dtype;
  }
  Ints extents;
  std::istringstream in(text.substr(bracket + 1));
  for (std::int64_t extent = 0; in >> extent; in.ignore(1)) extents.push_back(extent);
  type.shape = Shape(extents);
  return type;
}

void rebuild_scopes(const DotGraph& read, Snapshot& s) {
  std::map<NodeId, DotCluster> in_order;
  for (const auto& [id, cluster] : read.clusters) in_order[number_of(id)] = cluster;
  std::map<std::pair<std::uint32_t, std::string>, int> entries;
  for (const auto& [scope, cluster] : in_order) {
    if (scope != s.scopes.size()) throw std::runtime_error(fmt::format("scope s{} is missing", scope));
    const std::uint32_t parent = cluster.parent.empty() ? 0 : number_of(cluster.parent);
    std::string name = cluster.path;
    if (parent != 0) name.erase(0, read.clusters.at(cluster.parent).path.size() + 1);
    for (const auto& [entry, count] : std::map(entries)) {
      if (entry.first == parent && name == fmt::format("{} ({})", entry.second, count + 1))
        name = entry.second;
    }
    ++entries[{parent, name}];
    s.scopes.push_back({parent, s.strings.add(name)});
  }
}

}  // namespace

DotGraph read_by_cgraph(const std::string& dot) {
  static std::mutex one_at_a_time;  // libcgraph has global state
  const std::lock_guard lock(one_at_a_time);
  graphviz_messages.clear();
  agseterrf(collect);
  const std::unique_ptr<Agraph_t, Close> graph(agmemread(dot.c_str()));
  if (!graphviz_messages.empty()) throw std::runtime_error(graphviz_messages);
  if (!graph) throw std::runtime_error("libcgraph reads no graph");
  DotGraph out{.structure = attribute(graph.get(), "weft_structure"), .has_clusters = true};
  for (Agnode_t* node = agfstnode(graph.get()); node; node = agnxtnode(graph.get(), node)) {
    out.nodes[agnameof(node)] = {.kind = first_word(attribute(node, "class")),
                                 .op = attribute(node, "weft_op"),
                                 .attributes = attribute(node, "weft_attr"),
                                 .type = attribute(node, "weft_type"),
                                 .name = attribute(node, "weft_name"),
                                 .flops = attribute(node, "weft_flops"),
                                 .recorded_in = attribute(node, "weft_recorded_in")};
    for (Agedge_t* e = agfstout(graph.get(), node); e; e = agnxtout(graph.get(), e)) {
      out.edges.push_back(
          {agnameof(node), agnameof(aghead(e)), attribute(e, "id"), attribute(e, "weft_slot")});
    }
  }
  read_clusters(graph.get(), "", out);
  return out;
}

DotGraph read_by_boost(const std::string& dot) {
  BoostGraph g;
  boost::dynamic_properties properties(boost::ignore_other_properties);
  std::string structure;
  properties.property("node_id", get(&BoostNode::id, g));
  properties.property("class", get(&BoostNode::kind, g));
  properties.property("weft_op", get(&BoostNode::op, g));
  properties.property("weft_attr", get(&BoostNode::attributes, g));
  properties.property("weft_type", get(&BoostNode::type, g));
  properties.property("weft_name", get(&BoostNode::name, g));
  properties.property("weft_flops", get(&BoostNode::flops, g));
  properties.property("weft_recorded_in", get(&BoostNode::recorded_in, g));
  properties.property("id", get(&BoostEdge::id, g));
  properties.property("weft_slot", get(&BoostEdge::slot, g));
  properties.property("weft_structure", boost::ref_property_map<BoostGraph*, std::string>(structure));
  boost::read_graphviz(dot, g, properties, "node_id");
  DotGraph out{.structure = structure};
  for (const auto v : boost::make_iterator_range(vertices(g))) {
    out.nodes[g[v].id] = {.kind = first_word(g[v].kind),
                          .op = unescaped(g[v].op),
                          .attributes = unescaped(g[v].attributes),
                          .type = g[v].type,
                          .name = unescaped(g[v].name),
                          .flops = g[v].flops,
                          .recorded_in = g[v].recorded_in};
  }
  for (const auto e : boost::make_iterator_range(boost::edges(g)))
    out.edges.push_back({g[source(e, g)].id, g[target(e, g)].id, g[e].id, g[e].slot});
  return out;
}

std::string difference(const DotGraph& read, const Snapshot& s) {
  if (read.structure != to_string(structure(s))) return "the signature is " + read.structure;
  if (read.nodes.size() != s.node_count())
    return fmt::format("{} nodes, not {}", read.nodes.size(), s.node_count());
  const std::vector<std::uint32_t> scopes = expected_scopes(s);
  std::vector<DotEdge> needed, found = read.edges;
  for (NodeId n = 0; n < s.node_count(); ++n) {
    const auto node = read.nodes.find(fmt::format("n{}", n));
    if (node == read.nodes.end()) return fmt::format("n{} is missing", n);
    if (const std::string text = node_difference(node->second, s, n, scopes[n]); !text.empty()) return text;
    for (EdgeId e = s.first_edge(n); e < s.first_edge(n + 1); ++e.index) {
      needed.push_back({fmt::format("n{}", s.edge_target(e)), fmt::format("n{}", n),
                        fmt::format("e{}", e.index), std::to_string(s.edge_slot(e))});
    }
  }
  std::ranges::sort(needed);
  std::ranges::sort(found);
  if (needed.size() != found.size()) return fmt::format("{} edges, not {}", found.size(), needed.size());
  const auto [need, has] = std::ranges::mismatch(needed, found);
  if (need != needed.end())
    return fmt::format("edge {} from {} to {} with slot {} is wrong", has->id, has->from, has->to, has->slot);
  return read.has_clusters ? cluster_difference(read, s, scopes) : "";
}

Snapshot rebuilt(const DotGraph& read) {
  Snapshot s;
  rebuild_scopes(read, s);
  std::map<std::string, std::vector<NodeId>> inputs;
  for (const DotEdge& e : read.edges) {
    std::vector<NodeId>& of_node = inputs[e.to];
    const auto slot = static_cast<std::size_t>(std::stoul(e.slot));
    if (of_node.size() <= slot) of_node.resize(slot + 1, no_node);
    of_node[slot] = number_of(e.from);
  }
  for (NodeId n = 0; n < read.nodes.size(); ++n) {
    const std::string id = fmt::format("n{}", n);
    const DotNode& node = read.nodes.at(id);
    const NodeKind kind = node.kind == "op"          ? NodeKind::op
                          : node.kind == "input"     ? NodeKind::input
                          : node.kind == "parameter" ? NodeKind::parameter
                                                     : NodeKind::constant;
    const std::string& scope = node.recorded_in.empty() ? node.cluster : node.recorded_in;
    s.append({.kind = kind,
              .op = kind == NodeKind::op ? s.add_op_kind({s.strings.add(node.op), {}, {}}) : 0,
              .type = type_of(node.type),
              .name = s.strings.add(node.name),
              .attributes = s.strings.add(node.attributes),
              .scope = scope.empty() ? 0 : number_of(scope)},
             inputs[id]);
  }
  return s;
}

bool is_isomorphic(const DotGraph& a, const DotGraph& b) {
  const BoostGraph g = boost_graph_of(a), h = boost_graph_of(b);
  Colors colors;
  std::vector<int> of_g = colors.of_nodes(g), of_h = colors.of_nodes(h);
  for (int round = 0; round < 8; ++round) {
    of_g = colors.refined(g, of_g);
    of_h = colors.refined(h, of_h);
  }
  const auto same_node = [&](auto v, auto w) { return of_g[v] == of_h[w]; };
  const auto same_edge = [&](auto e, auto f) { return g[e].slot == h[f].slot; };
  const auto stop = [](const auto&, const auto&) { return false; };
  std::vector<int> sorted_g = of_g, sorted_h = of_h;
  std::ranges::sort(sorted_g);
  std::ranges::sort(sorted_h);
  return sorted_g == sorted_h &&
         boost::vf2_graph_iso(g, h, stop, get(boost::vertex_index, g), get(boost::vertex_index, h),
                              boost::vertex_order_by_mult(g), same_edge, same_node);
}
