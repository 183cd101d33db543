#include "core/replay.hpp"

#include <algorithm>

#include "weft/op.hpp"

namespace weft {

namespace {

Tensor in_f64(const Tensor& value) { return is_floating(value.dtype()) ? value.to(DType::f64) : value; }

// An op that was told to make f32 is told to make f64.
Attributes in_f64(Attributes attributes) {
  const AttributeValue* dtype = attributes.find("dtype");
  if (dtype && *dtype == AttributeValue("f32")) attributes.set("dtype", "f64");
  return attributes;
}

}  // namespace

Replay::Replay(const Graph& g, const Var& root) : g_(g), root_(root.id()) {
  if (!g.contains(root)) throw GraphError("the var is no node of this graph, or the graph was cleared since");
  std::vector<bool> needed(root_ + 1, false);
  needed[root_] = true;
  for (NodeId n = root_ + 1; n-- > 0;) {
    if (!needed[n]) continue;
    nodes_.push_back(n);
    for (const NodeId input : g.inputs(n)) needed[input] = true;
  }
  std::ranges::reverse(nodes_);
  for (const NodeId n : nodes_) {
    if (!g.op(n) && g.is_differentiable(n)) sources_.push_back(n);
  }
}

std::vector<Tensor> Replay::source_values() const {
  std::vector<Tensor> values;
  for (const NodeId n : sources_) values.push_back(in_f64(g_.source_value(n)));
  return values;
}

std::vector<Var> Replay::run_all(Graph& target, std::span<const Var> values) const {
  target.set_training(g_.is_training());
  std::vector<Var> results(root_ + 1);
  std::size_t next_source = 0;
  for (const NodeId n : nodes_) {
    const Op* op = g_.op(n);
    if (!op) {
      results[n] = g_.is_differentiable(n) ? values[next_source++] : Var(in_f64(g_.source_value(n)));
      continue;
    }
    std::vector<Var> operands;
    for (const NodeId input : g_.inputs(n)) operands.push_back(results[input]);
    results[n] = op->info().call(operands, in_f64(op->attributes()));
  }
  return results;
}

}  // namespace weft
