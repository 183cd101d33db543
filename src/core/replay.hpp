// A record computed again from its source nodes, in f64.
#pragma once

#include <span>
#include <vector>

#include "weft/graph.hpp"

namespace weft {

class Replay {
 public:
  // What `root` was computed from. Throws GraphError where root is no node of g.
  Replay(const Graph& g, const Var& root);

  std::span<const NodeId> nodes() const { return nodes_; }      // all of them, ascending
  std::span<const NodeId> sources() const { return sources_; }  // differentiable ones: inputs and parameters
  std::vector<Tensor> source_values() const;                    // theirs, in f64

  // Computed again in `target` with `values` in place of the differentiable sources: every node, by id (empty
  // vars for the others), or the root alone.
  std::vector<Var> run_all(Graph& target, std::span<const Var> values) const;
  Var run(Graph& target, std::span<const Var> values) const { return run_all(target, values)[root_]; }

 private:
  const Graph& g_;
  NodeId root_;
  std::vector<NodeId> nodes_;  // ascending
  std::vector<NodeId> sources_;
};

}  // namespace weft
