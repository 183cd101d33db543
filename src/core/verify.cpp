// The invariants of the record, as graph.hpp numbers them.
#include <fmt/format.h>

#include "core/graph_tables.hpp"
#include "weft/graph.hpp"

namespace weft {

void Graph::verify() const {
  const auto require = [](bool holds, int invariant, std::string_view what, std::size_t where) {
    if (!holds) throw GraphError(fmt::format("invariant {} is broken: {} {}", invariant, what, where));
  };
  require(nodes_.size() == std::size_t{node_count()} + 1, 3, "the nodes are not", node_count());
  require(edge_source_.size() == edge_target_.size(), 2, "the edge arrays differ in length by", 0);
  for (NodeId n = 0; n < node_count(); ++n) {
    require(first_edge(n).index <= first_edge(n + 1).index, 2, "edges are not contiguous at node", n);
    for (std::uint32_t e = first_edge(n).index; e < first_edge(n + 1).index; ++e) {
      require(edge_source_[e] == n, 2, "the wrong consumer at edge", e);
      require(edge_target_[e] < n, 1, "an input is not older than its consumer at edge", e);
    }
    require((nodes_[n].kind == NodeKind::op) == (nodes_[n].op != nullptr), 3, "kind and op disagree at node",
            n);
    require(nodes_[n].op || inputs(n).empty(), 2, "a source has inputs: node", n);
    require(nodes_[n].op || find_kept(n, kept_output), 4, "a source has lost its value: node", n);
    require(nodes_[n].scope < scopes_.size(), 4, "an unknown scope at node", n);
  }
}

}  // namespace weft
