#include <algorithm>
#include <boost/graph/dag_shortest_paths.hpp>
#include <functional>

#include "diagram/view.hpp"
#include "weft/boost_graph.hpp"

namespace weft {

namespace {

// From the root the way back through the inputs whose times add up to most.
std::vector<NodeId> longest_path(const Snapshot& s, NodeId root, const std::vector<double>& seconds,
                                 double& total) {
  const auto weight_of = [&](EdgeId e) { return seconds[s.edge_target(e)]; };
  const boost::function_property_map<decltype(weight_of), EdgeId, double> weight(weight_of);
  std::vector<double> distance(s.node_count());
  std::vector<NodeId> previous(s.node_count());
  const auto index = get(boost::vertex_index, s);
  boost::dag_shortest_paths(s, root,
                            boost::weight_map(weight)
                                .distance_map(boost::make_iterator_property_map(distance.begin(), index))
                                .predecessor_map(boost::make_iterator_property_map(previous.begin(), index))
                                .distance_compare(std::greater<>{})
                                .distance_inf(-1.0));
  NodeId end = root;
  for (NodeId n = 0; n <= root; ++n) {
    if (distance[n] > distance[end]) end = n;
  }
  total += distance[end] + seconds[root];
  std::vector<NodeId> path{end};
  while (path.back() != root) path.push_back(previous[path.back()]);
  return path;
}

std::vector<double> seconds_or_zero(const Snapshot& s, const std::vector<double>& column) {
  std::vector<double> seconds(column);
  seconds.resize(s.node_count());
  return seconds;
}

}  // namespace

CriticalPath critical_path(const Snapshot& s) {
  CriticalPath path;
  const std::optional<NodeId> root = diagram::Outline(s).root;
  if (!root) return path;
  path.forward = longest_path(s, *root, seconds_or_zero(s, s.measured.forward), path.seconds);
  if (s.root == no_node) return path;
  path.backward = longest_path(s, *root, seconds_or_zero(s, s.measured.backward), path.seconds);
  std::ranges::reverse(path.backward);
  return path;
}

}  // namespace weft
