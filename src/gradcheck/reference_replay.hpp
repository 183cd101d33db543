// A record computed again by the ops' references, on any of their scalars: an oracle that knows nothing of
// kernels and rules.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "weft/op_info.hpp"

namespace weft {

// The elements of a tensor of any type.
template <class T>
Array<T> to_array(const Tensor& tensor);
// An array as a tensor of a floating type.
Tensor to_tensor(const Array<double>& array, DType dtype);

// The values of what `root` is computed from, by node; arrays of other nodes are empty. A node named in
// `sources`, a source or not, has the value given there; other source nodes have their own. Integers stay
// integers on the way and are returned as T. Throws GraphError where root is no node of g.
template <class T>
std::vector<Array<T>> replay_references(const Graph& g, NodeId root,
                                        const std::map<NodeId, Array<T>>& sources);

// The value of `root`, which must be recorded.
template <class T>
Array<T> replay_reference(const Var& root, const std::map<NodeId, Array<T>>& sources = {}) {
  return replay_references<T>(*root.graph(), root.id(), sources)[root.id()];
}

extern template Array<std::int64_t> to_array(const Tensor&);
extern template Array<double> to_array(const Tensor&);
extern template Array<Dual> to_array(const Tensor&);
extern template Array<Dual2> to_array(const Tensor&);
extern template Array<Traced> to_array(const Tensor&);
extern template Array<Bounded> to_array(const Tensor&);
extern template std::vector<Array<double>> replay_references(const Graph&, NodeId,
                                                             const std::map<NodeId, Array<double>>&);
extern template std::vector<Array<Dual>> replay_references(const Graph&, NodeId,
                                                           const std::map<NodeId, Array<Dual>>&);
extern template std::vector<Array<Traced>> replay_references(const Graph&, NodeId,
                                                             const std::map<NodeId, Array<Traced>>&);
extern template std::vector<Array<Bounded>> replay_references(const Graph&, NodeId,
                                                              const std::map<NodeId, Array<Bounded>>&);

}  // namespace weft
