// Planted defects: an op with one part replaced.
#include <deque>
#include <memory>

#include "weft/op.hpp"

namespace weft {

namespace {

struct Planted {
  OpInfo info;  // the one with the defect
  Call original;
  Rule rule;
  mutable std::deque<Attributes> attributes;  // of the ops recorded so far: an Op itself holds no memory
};

struct PlantedOp final : Op {
  const Planted* planted;
  const Attributes* own;
  PlantedOp(const Planted* planted, const Attributes* own) : planted(planted), own(own) {}

  void backward(const Var& y, const Var& gy, Gradients& gx) const override { planted->rule(y, gy, gx, *own); }
  const OpInfo& info() const override { return planted->info; }
  Attributes attributes() const override { return *own; }
};

Var call_planted(const Planted& planted, std::span<const Var> x, const Attributes& attributes) {
  std::vector<Var> constants;
  std::vector<VarRef> operands;
  Saved saved{.output = true};
  for (const Var& operand_var : x) {
    constants.emplace_back(operand_var.value());
    saved.operands |= operand(static_cast<int>(operands.size()));
    operands.emplace_back(operand_var);
  }
  Tensor y = planted.original(constants, attributes).value();
  const Attributes& own = planted.attributes.emplace_back(attributes);
  return record(PlantedOp(&planted, &own), std::move(y), operands, saved, SourceLocation::current());
}

}  // namespace

OpInfo with_rule(const OpInfo& info, Rule rule) {
  auto planted = std::make_shared<Planted>(Planted{info, info.call, std::move(rule), {}});
  planted->info.call = [self = planted.get()](std::span<const Var> x, const Attributes& attributes) {
    return call_planted(*self, x, attributes);
  };
  OpInfo copy = planted->info;
  copy.call = [planted](std::span<const Var> x, const Attributes& attributes) {
    return call_planted(*planted, x, attributes);
  };
  return copy;
}

OpInfo with_forward(const OpInfo& info, Kernel kernel) {
  OpInfo copy = info;
  copy.call = [original = info.call, kernel = std::move(kernel)](std::span<const Var> x,
                                                                 const Attributes& attributes) {
    std::vector<Tensor> values;
    for (const Var& operand_var : x) values.push_back(operand_var.value());
    Tensor y = kernel(values, attributes);
    try {
      return Recorder::revalued(original(x, attributes), y);
    } catch (const Error&) {  // the defect accepts what the op does not
      return Var(y);
    }
  };
  return copy;
}

}  // namespace weft
