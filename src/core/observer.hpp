// Who is told what a graph records and what the engine does, so that it can measure. One branch an op where
// nobody is.
#pragma once

#include <span>

#include "weft/snapshot.hpp"

namespace weft {

struct Observer {
  virtual void recorded(NodeId n, const Tensor& value) = 0;
  virtual void gradient_arrived(NodeId n, const Tensor& gradient) = 0;  // all contributions; its rule is next
  // `results` per operand; undefined where none was wanted.
  virtual void rule_ended(NodeId n, std::span<const NodeId> inputs, std::span<const Var> results) = 0;
  virtual void cleared() = 0;

 protected:
  ~Observer() = default;
};

}  // namespace weft
