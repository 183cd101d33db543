#include "gradcheck/reference_replay.hpp"

#include <fmt/format.h>

#include "weft/op.hpp"

namespace weft {

namespace {

double number(double x) { return x; }
template <class T>
double number(const T& x) {
  return x.value();
}

template <class T>
Array<std::int64_t> to_integers(const Array<T>& array) {
  Array<std::int64_t> integers(array.shape());
  for (std::int64_t i = 0; i < array.elements(); ++i) {
    integers[i] = static_cast<std::int64_t>(number(array[i]));
  }
  return integers;
}

std::vector<bool> needed_for(const Graph& g, NodeId root, const auto& given) {
  std::vector<bool> needed(root + 1, false);
  needed[root] = true;
  for (NodeId n = root + 1; n-- > 0;) {
    if (!needed[n] || given.contains(n)) continue;
    for (const NodeId input : g.inputs(n)) needed[input] = true;
  }
  return needed;
}

}  // namespace

template <class T>
Array<T> to_array(const Tensor& tensor) {
  Array<T> array(tensor.shape(), T(0));
  visit_dtype(tensor.dtype(), [&]<class E>() {
    const auto values = tensor.values<E>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_same_v<T, std::int64_t>) {
        array[static_cast<std::int64_t>(i)] = static_cast<T>(values[i]);
      } else {
        array[static_cast<std::int64_t>(i)] = T(static_cast<double>(values[i]));
      }
    }
  });
  return array;
}

Tensor to_tensor(const Array<double>& array, DType dtype) {
  Tensor tensor(array.shape(), dtype);
  visit_floating(dtype, [&]<class E>() {
    const auto values = tensor.mutable_values<E>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<E>(array[static_cast<std::int64_t>(i)]);
    }
  });
  return tensor;
}

template <class T>
std::vector<Array<T>> replay_references(const Graph& g, NodeId root,
                                        const std::map<NodeId, Array<T>>& sources) {
  if (root >= g.node_count()) {
    throw GraphError(fmt::format("node {} of a graph that has {}", root, g.node_count()));
  }
  const std::vector<bool> needed = needed_for(g, root, sources);
  std::vector<Array<T>> values(root + 1);
  for (NodeId n = 0; n <= root; ++n) {
    if (!needed[n]) continue;
    if (const auto given = sources.find(n); given != sources.end()) {
      values[n] = given->second;
    } else if (!g.op(n)) {
      values[n] = to_array<T>(g.source_value(n));
    } else {
      Inputs<T> operands;
      for (const NodeId input : g.inputs(n)) {
        if (is_floating(g.type(input).dtype))
          operands.push_floating(values[input]);
        else
          operands.push_integers(to_integers(values[input]));
      }
      values[n] = g.op(n)->info().reference(operands, g.op(n)->attributes());
    }
  }
  return values;
}

template Array<std::int64_t> to_array(const Tensor&);
template Array<double> to_array(const Tensor&);
template Array<Dual> to_array(const Tensor&);
template Array<Dual2> to_array(const Tensor&);
template Array<Traced> to_array(const Tensor&);
template Array<Bounded> to_array(const Tensor&);
template std::vector<Array<double>> replay_references(const Graph&, NodeId,
                                                      const std::map<NodeId, Array<double>>&);
template std::vector<Array<Dual>> replay_references(const Graph&, NodeId,
                                                    const std::map<NodeId, Array<Dual>>&);
template std::vector<Array<Traced>> replay_references(const Graph&, NodeId,
                                                      const std::map<NodeId, Array<Traced>>&);
template std::vector<Array<Bounded>> replay_references(const Graph&, NodeId,
                                                       const std::map<NodeId, Array<Bounded>>&);

}  // namespace weft
