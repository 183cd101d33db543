// DOT as other people's parsers read it, to be compared with the record it was written from. Knows nothing of
// the writer but the format.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "weft/snapshot.hpp"

struct DotNode {
  std::string kind, op, attributes, type, name, flops, recorded_in;
  std::string cluster = {};  // the innermost, such as "s3"; empty: none
};
struct DotEdge {
  std::string from, to, id, slot;
  friend auto operator<=>(const DotEdge&, const DotEdge&) = default;
};
struct DotCluster {
  std::string parent, path;
};
struct DotGraph {
  std::string structure;      // weft_structure
  bool has_clusters = false;  // the parser knows them
  std::map<std::string, DotNode> nodes = {};
  std::vector<DotEdge> edges = {};
  std::map<std::string, DotCluster> clusters = {};
};

// By libcgraph. Throws std::runtime_error with what Graphviz has to say.
DotGraph read_by_cgraph(const std::string& dot);
// By boost::read_graphviz, which knows no clusters. Throws what Boost throws.
DotGraph read_by_boost(const std::string& dot);

// In what the graph that was read differs from the record, in one sentence; empty: in nothing.
std::string difference(const DotGraph& read, const weft::Snapshot& s);

// The record, from its DOT alone: what identity() looks at.
weft::Snapshot rebuilt(const DotGraph& read);

// Whether there is a renumbering of nodes that makes both graphs equal, with ops, attributes, types, names
// and operand numbers. The renumbering is looked for by Boost.
bool is_isomorphic(const DotGraph& a, const DotGraph& b);
