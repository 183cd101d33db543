// The gradients of a pass that have arrived scattered and are not written out.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/pooling.hpp"
#include "weft/op.hpp"

namespace weft {

class ScatteredGradients {
 public:
  bool empty() const { return gradients_.empty(); }
  void clear() { gradients_.clear(); }

  const ScatteredGradient* find(NodeId n) const {  // null: none
    const auto found = std::ranges::find(gradients_, n, &Entry::first);
    return found == gradients_.end() ? nullptr : &found->second;
  }
  void put(NodeId n, ScatteredGradient gradient) { gradients_.emplace_back(n, std::move(gradient)); }
  void drop(NodeId n) {
    std::erase_if(gradients_, [n](const Entry& entry) { return entry.first == n; });
  }
  // The gradient of n, which has one, written out: of `shape`.
  Tensor take_written(NodeId n, const Shape& shape) {
    const ScatteredGradient& gradient = *find(n);
    Tensor written = scatter_by_position(gradient.gy, gradient.positions, shape);
    drop(n);
    return written;
  }

 private:
  using Entry = std::pair<NodeId, ScatteredGradient>;
  std::vector<Entry> gradients_;  // few: the rule that reads one is seldom far away
};

}  // namespace weft
