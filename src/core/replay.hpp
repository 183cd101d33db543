// A record computed again from its source nodes, in f64.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weft/graph.hpp"

namespace weft {

class Replay {
 public:
  // What `root` was computed from. Throws GraphError where root is no node of g.
  Replay(const Graph& g, const Var& root);

  std::span<const NodeId> sources() const { return sources_; }  // differentiable ones: inputs and parameters
  std::vector<Tensor> source_values() const;                    // theirs, in f64

  // The first node, in execution order, whose value in f64 has a NaN or an infinity; none: all are finite.
  struct NonFinite {
    NodeId node;
    std::string what;  // "log (node 3) has 2 NaN or infinite elements of 10, at model.cpp:21"
  };
  std::optional<NonFinite> first_non_finite() const;

  // The root's value again, recorded in `target`, with `values` in place of the differentiable sources.
  Var run(Graph& target, std::span<const Var> values) const { return run_all(target, values)[root_]; }

 private:
  std::vector<Var> run_all(Graph& target, std::span<const Var> values) const;  // by node

  const Graph& g_;
  NodeId root_;
  std::vector<NodeId> nodes_;  // ascending
  std::vector<NodeId> sources_;
};

}  // namespace weft
