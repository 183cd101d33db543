// Boost.Graph's algorithms on a recorded training step, with no copy of it: its order, its critical path, and
// the graph without its parameters.
#include <boost/graph/dag_shortest_paths.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <boost/graph/topological_sort.hpp>
#include <boost/range/iterator_range.hpp>
#include <weft/boost_graph.hpp>
#include <weft/weft.hpp>

using namespace weft;

Var model(Graph& g, const Parameter& w1, const Parameter& w2) {
  const Var x = g.input(Random(1).uniform({64, 32}, -1, 1), "x");
  const Var hidden = tanh(matmul(x, g.use(w1)));
  return mean(matmul(hidden, g.use(w2)) * matmul(hidden, g.use(w2)));
}

int main() {
  const Parameter w1 = he_normal("w1", {32, 64}), w2 = he_normal("w2", {64, 8});
  Graph g;
  const Profile profile(g);  // measures the time of every op
  const Var loss = model(g, w1, w2);
  g.backward(loss);

  std::vector<NodeId> order;  // inputs before consumers
  boost::topological_sort(g, std::back_inserter(order));
  fmt::print("order:");
  for (const NodeId n : order)
    fmt::print(" {}", g.op(n) ? get(vertex_op, g, n) : get(boost::vertex_name, g, n));

  // An edge weighs the time of its input, so the longest path from the loss is what no schedule can beat.
  const auto seconds_of_input = [&](EdgeId e) { return get(vertex_time, g, target(e, g)); };
  const boost::function_property_map<decltype(seconds_of_input), EdgeId, double> weight(seconds_of_input);
  std::vector<double> seconds(num_vertices(g));
  const auto distance = boost::make_iterator_property_map(seconds.begin(), get(boost::vertex_index, g));
  boost::dag_shortest_paths(
      g, loss.id(),
      boost::weight_map(weight).distance_map(distance).distance_compare(std::greater<>{}).distance_inf(-1.0));
  const double longest = *std::ranges::max_element(seconds) + get(vertex_time, g, loss.id());
  fmt::print("\ncritical path of the forward: {:.3f} ms\n", 1000 * longest);

  const auto is_no_parameter = [&](NodeId n) { return g.kind(n) != NodeKind::parameter; };
  const boost::filtered_graph<Graph, boost::keep_all, std::function<bool(NodeId)>> data(g, boost::keep_all{},
                                                                                        is_no_parameter);
  std::size_t edges_of_data = 0;
  for (const NodeId n : boost::make_iterator_range(vertices(data))) edges_of_data += out_degree(n, data);
  fmt::print("{} of {} edges carry data, the others parameters\n", edges_of_data, num_edges(g));
  save_diagram(g, "step.svg", {.view = DiagramView::both, .overlay = DiagramOverlay::time});
}
