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

  std::span<const NodeId> sources() const { return sources_; }  // differentiable ones: inputs and parameters
  std::vector<Tensor> source_values() const;                    // theirs, in f64

  // The root's value again, recorded in `target`, with `values` in place of the differentiable sources.
  Var run(Graph& target, std::span<const Var> values) const;

 private:
  const Graph& g_;
  NodeId root_;
  std::vector<NodeId> nodes_;  // ascending
  std::vector<NodeId> sources_;
};

}  // namespace weft
