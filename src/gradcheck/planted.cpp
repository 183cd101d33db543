// Planted defects: an op with one part replaced.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "weft/op.hpp"

namespace weft {

namespace {

// Of rule, kernel and change one is set.
struct Planted {
  OpInfo info;  // the one with the defect
  Rule rule = {};
  Kernel kernel = {};
  GradientChange change = {};
  Call original = {};
};
using PlantedPointer = std::shared_ptr<const Planted>;

// What a node needs of it. The graph holds it: an Op is never destructed.
struct PlantedCall {
  PlantedPointer planted;
  const Op* original;  // null: its rule is replaced
  Attributes attributes;
};

struct PlantedOp final : Op {
  const PlantedCall* call;
  explicit PlantedOp(const PlantedCall* call) : call(call) {}

  void backward(const Var& y, const Var& gy, Gradients& gx) const override {
    const Planted& planted = *call->planted;
    if (!call->original) return planted.rule(y, gy, gx, call->attributes);
    if (!planted.change) return call->original->backward(y, gy, gx);
    const Var kept = gy;  // a second handle, which gx.take() does not empty: `change` reads gy afterwards
    gx.keep_results_apart(true);
    call->original->backward(y, kept, gx);
    gx.keep_results_apart(false);
    planted.change(y, gy, gx);
  }
  const OpInfo& info() const override { return call->planted->info; }
  Attributes attributes() const override { return call->attributes; }
};

PlantedOp make_op(Graph& graph, PlantedCall call) {
  auto held = std::make_shared<const PlantedCall>(std::move(call));
  const PlantedOp op(held.get());
  Recorder::hold(graph, std::move(held));
  return op;
}

// The op computes its value unrecorded; its node is recorded here.
Var call_with_rule(const PlantedPointer& planted, std::span<const Var> x, const Attributes& attributes) {
  std::vector<Var> constants;
  std::vector<VarRef> operands;
  Saved saved{.output = true};
  for (const Var& operand_var : x) {
    constants.push_back(operand_var.detach());
    if (operands.size() < 32) saved.operands |= operand(static_cast<int>(operands.size()));
    operands.emplace_back(operand_var);
  }
  Tensor y = planted->original(constants, attributes).value();
  const Recorder::Place place = Recorder::place(std::span<const VarRef>(operands), {});
  if (!place.records) return Recorder::unrecorded(std::move(y), place.graph);
  return record(make_op(*place.graph, {planted, nullptr, attributes}), std::move(y), operands, saved, {});
}

// y's node, which the op has recorded, with a planted op around its own and with that value. Where y is no
// node of its own, as in a pause, there is nothing to amend.
Var amended(const PlantedPointer& planted, std::span<const Var> x, const Var& y, const Tensor& value) {
  const auto is_y = [&](const Var& v) { return v.is_recorded() && v.id() == y.id(); };
  if (!y.is_recorded() || std::ranges::any_of(x, is_y)) {
    return planted->kernel ? Recorder::unrecorded(value, y.graph()) : y;
  }
  Graph& graph = *y.graph();
  const auto is_operand = [](const Var& v, NodeId n) { return !v.is_recorded() || v.id() == n; };
  if (!std::ranges::equal(x, graph.inputs(y.id()), is_operand)) {
    throw Error(fmt::format("{}: a call records several nodes: plant the defect in one of their ops",
                            planted->info.name));
  }
  const Op* original = graph.op(y.id());
  const PlantedOp op = make_op(graph, {planted, original, original->attributes()});
  void* memory = Recorder::allocate(graph, sizeof(PlantedOp));
  return Recorder::amend(y, new (memory) PlantedOp(op), value);
}

Var call_with_forward(const PlantedPointer& planted, std::span<const Var> x, const Attributes& attributes) {
  std::vector<Tensor> values;
  for (const Var& operand_var : x) values.push_back(operand_var.value());
  const Tensor value = planted->kernel(values, attributes);
  Var y;
  try {
    y = planted->original(x, attributes);
  } catch (const Error&) {  // the defect accepts what the op does not
    return Var(value);
  }
  const bool fits = value.shape() == y.shape() && value.dtype() == y.dtype();
  return fits ? amended(planted, x, y, value) : Recorder::unrecorded(value, y.graph());
}

Var call_planted(const PlantedPointer& planted, std::span<const Var> x, const Attributes& attributes) {
  if (planted->rule) return call_with_rule(planted, x, attributes);
  if (planted->kernel) return call_with_forward(planted, x, attributes);
  const Var y = planted->original(x, attributes);
  return amended(planted, x, y, y.value());
}

OpInfo plant(Planted parts) {
  const auto planted = std::make_shared<Planted>(std::move(parts));
  planted->original = std::move(planted->info.call);
  planted->info.call = [self = std::weak_ptr<const Planted>(planted)](std::span<const Var> x,
                                                                      const Attributes& attributes) {
    const PlantedPointer found = self.lock();
    if (!found) throw GraphError("the info of a planted op was used after its graph had been cleared");
    return call_planted(found, x, attributes);
  };
  OpInfo copy = planted->info;
  copy.call = [planted](std::span<const Var> x, const Attributes& attributes) {
    return call_planted(planted, x, attributes);
  };
  return copy;
}

}  // namespace

OpInfo with_rule(const OpInfo& info, Rule rule) { return plant({.info = info, .rule = std::move(rule)}); }

OpInfo with_forward(const OpInfo& info, Kernel kernel) {
  return plant({.info = info, .kernel = std::move(kernel)});
}

OpInfo with_gradients(const OpInfo& info, GradientChange change) {
  return plant({.info = info, .change = std::move(change)});
}

}  // namespace weft
