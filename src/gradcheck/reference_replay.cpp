#include "gradcheck/reference_replay.hpp"

#include "weft/op.hpp"

namespace weft {

namespace {

double plain(double x) { return x; }
template <class T>
double plain(const T& x) {
  return plain(x.value());
}

// A node's value: numbers of T, or integers where the record has them.
template <class T>
struct Value {
  Array<T> floating;
  Array<std::int64_t> integers;
  bool is_floating = true;
};

template <class T>
Value<T> integer_value(const Array<T>& computed) {
  Value<T> value{{}, Array<std::int64_t>(computed.shape()), false};
  for (std::int64_t i = 0; i < computed.elements(); ++i)
    value.integers[i] = static_cast<std::int64_t>(plain(computed[i]));
  return value;
}

template <class T>
Value<T> source_value(const Graph& g, NodeId n, const SourceArray<T>& source) {
  const Tensor& tensor = g.source_value(n);
  if (source && is_floating(tensor.dtype())) return {source(n, tensor), {}, true};
  const Inputs<T> one = reference_inputs<T>(std::span(&tensor, 1));
  if (is_floating(tensor.dtype())) return {one[0], {}, true};
  return {{}, one.integers(0), false};
}

}  // namespace

template <class T>
Array<T> replay_reference(const Var& root, const SourceArray<T>& source) {
  const Graph& g = *root.graph();
  std::vector<bool> needed(root.id() + 1, false);
  needed[root.id()] = true;
  for (NodeId n = root.id() + 1; n-- > 0;) {
    if (!needed[n]) continue;
    for (const NodeId input : g.inputs(n)) needed[input] = true;
  }
  std::vector<Value<T>> values(root.id() + 1);
  for (NodeId n = 0; n <= root.id(); ++n) {
    if (!needed[n]) continue;
    const Op* op = g.op(n);
    if (!op) {
      values[n] = source_value(g, n, source);
      continue;
    }
    Inputs<T> inputs;
    for (const NodeId input : g.inputs(n)) {
      if (values[input].is_floating)
        inputs.push_floating(values[input].floating);
      else
        inputs.push_integers(values[input].integers);
    }
    Array<T> y = op->info().reference(inputs, op->attributes());
    if (is_floating(g.type(n).dtype))
      values[n] = {std::move(y), {}, true};
    else
      values[n] = integer_value(y);
  }
  return values[root.id()].floating;
}
template Array<double> replay_reference(const Var&, const SourceArray<double>&);
template Array<Dual> replay_reference(const Var&, const SourceArray<Dual>&);
template Array<Dual2> replay_reference(const Var&, const SourceArray<Dual2>&);
template Array<Traced> replay_reference(const Var&, const SourceArray<Traced>&);
template Array<Bounded> replay_reference(const Var&, const SourceArray<Bounded>&);

}  // namespace weft
