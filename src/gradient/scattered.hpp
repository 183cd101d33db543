// The gradients of a pass that are scattered and were not written out.
#pragma once

#include <algorithm>
#include <vector>

#include "weft/op.hpp"

namespace weft {

class ScatteredGradients {
 public:
  struct Entry {
    NodeId node;
    std::size_t operand;  // of the rule that set it
    ScatteredGradient gradient;
    bool has_arrived = false;  // the engine took it from the rule that set it
  };

  bool empty() const { return entries_.empty(); }
  void clear() { entries_.clear(); }

  Entry* find(NodeId n) {  // null: none
    const auto found = std::ranges::find(entries_, n, &Entry::node);
    return found == entries_.end() ? nullptr : &*found;
  }
  void put(NodeId n, std::size_t operand, ScatteredGradient gradient) {
    entries_.push_back({n, operand, std::move(gradient)});
  }
  void drop_new(NodeId n, std::size_t operand) {  // what the rule that runs set for its operand
    std::erase_if(entries_, [=](const Entry& entry) {
      return entry.node == n && entry.operand == operand && !entry.has_arrived;
    });
  }
  void drop(NodeId n) {
    std::erase_if(entries_, [n](const Entry& entry) { return entry.node == n; });
  }
  // The gradient of n, which has one, written out: of `shape`.
  Tensor take_written(NodeId n, const Shape& shape);

 private:
  std::vector<Entry> entries_;  // few: the rule that reads one is seldom far away
};

}  // namespace weft
