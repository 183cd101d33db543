// Gradients of another shape than their operand's, and which finding explains the others.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "gradcheck/diagnosis.hpp"
#include "gradcheck/diagnosis_checks.hpp"
#include "weft/gradient.hpp"
#include "weft/op.hpp"

namespace weft {

namespace {

// What the rule sets for an operand, before the engine looks at it; nothing where it throws or sets none.
std::optional<Shape> shape_set_for(const OpCase& op, std::size_t operand) {
  std::optional<Shape> shape;
  const int i = static_cast<int>(operand);
  const OpInfo watched = with_gradients(op.info, [&](const Var&, const Var&, Gradients& gx) {
    if (gx.wants(i) && gx.result(i).defined()) shape = gx.result(i).shape();
  });
  try {
    const OpCase watching(watched, op.attributes, op.inputs, op.name, op.options);
    (void)Recorded(watching, op.inputs, std::span(&operand, 1)).gradients(op.gy);
  } catch (const Error&) {
    // It is the failure that is being explained.
  }
  return shape;
}

std::vector<std::int64_t> without_ones(const Shape& shape) {
  std::vector<std::int64_t> extents;
  std::ranges::copy_if(shape.extents(), std::back_inserter(extents), [](std::int64_t e) { return e != 1; });
  return extents;
}

// The axes of y that `shape` lacks, or has with extent 1, where it is y summed over some axes.
std::optional<Ints> summed_axes(const Shape& y, const Shape& shape) {
  for (std::uint32_t chosen = 0; chosen < 1u << y.rank(); ++chosen) {
    Ints axes, kept, dropped;
    for (int axis = 0; axis < y.rank(); ++axis) {
      const bool is_summed = (chosen >> axis & 1u) != 0;
      if (is_summed) axes.push_back(axis);
      kept.push_back(is_summed ? 1 : y[axis]);
      if (!is_summed) dropped.push_back(y[axis]);
    }
    if (shape == Shape(kept) || shape == Shape(dropped)) return axes;
  }
  return {};
}

// The op's permutation applied once more, in place of its inverse.
bool is_permuted_again(const OpCase& op, const Shape& found) {
  const AttributeValue* given = op.attributes.find("permutation");
  if (!given || !given->is<Ints>()) return false;
  const Ints permutation = given->as<Ints>();
  if (found.rank() != op.y_shape.rank() || permutation.size() != found.rank()) return false;
  for (int axis = 0; axis < found.rank(); ++axis) {
    const std::int64_t from = permutation[axis] < 0 ? permutation[axis] + found.rank() : permutation[axis];
    if (found[axis] != op.y_shape[static_cast<int>(from)]) return false;
  }
  return true;
}

std::string empty_axes(const OpCase& op, std::string_view x, const Shape& found, const Shape& needed) {
  if (found.rank() != needed.rank()) return {};
  const std::vector<std::string> names = axis_names(op.info, x, needed);
  std::vector<std::string> empty;
  for (int axis = 0; axis < found.rank(); ++axis) {
    if (found[axis] == 0 && needed[axis] > 0) empty.push_back(names[static_cast<std::size_t>(axis)]);
  }
  if (empty.empty()) return {};
  return fmt::format("empty along {}: a slice [p:-p] is empty where p is 0", fmt::join(empty, ", "));
}

}  // namespace

std::string diagnose_shape(const OpCase& op, std::size_t operand) {
  const std::optional<Shape> set = shape_set_for(op, operand);
  if (!set) return {};  // the rule itself throws: the error says more
  const Shape &found = *set, &needed = op.inputs[operand].shape(), &y = op.y_shape;
  const std::string x = op.operand_name(operand);
  if (found == needed) return {};

  std::string empty = empty_axes(op, op.argument(operand).name, found, needed);
  if (!empty.empty()) return empty;
  if (needed != y && broadcastable_to(needed, y)) {
    const std::optional<Ints> axes = summed_axes(y, found), right = summed_axes(y, needed);
    if (axes && right && *axes != *right && without_ones(found) != without_ones(needed)) {
      return fmt::format("summed over axes ({}) of y, not over ({})", fmt::join(*axes, ", "),
                         fmt::join(*right, ", "));
    }
  }
  if (without_ones(found) == without_ones(needed))
    return fmt::format("an axis of extent 1 of {} is lost: the sum has to keep its axes", x);
  for (std::size_t other = 0; other < op.inputs.size(); ++other) {
    if (other != operand && op.inputs[other].shape() == found)
      return fmt::format("this has the shape of {}: two gradients are exchanged", op.operand_name(other));
  }
  if (is_permuted_again(op, found)) return "the permutation is applied where its inverse belongs";
  if (std::ranges::is_permutation(found.extents(), needed.extents()))
    return fmt::format("the axes of {} are in another order: a transpose is missing or superfluous", x);
  return fmt::format("a gradient of shape {} was set for {}, which is {}", to_string(found), x,
                     to_string(needed));
}

void settle_likely(std::span<Finding> findings) {
  const auto explanation = [&](std::string_view check, std::string_view argument) {
    const auto found = std::ranges::find_if(findings, [&](const Finding& f) {
      return f.check == check && f.verdict == Verdict::disagree && !f.likely.empty() &&
             (argument.empty() || f.argument == argument);
    });
    return found == findings.end() ? std::string() : found->likely;
  };

  // Where the value is wrong, so is what is compared with it.
  const std::string value = explanation("P0", {});
  // What makes every gradient wrong, the most certain first.
  std::string cause;
  for (const std::string_view check : {"P2", "P5", "P3", "P7"}) {
    if (cause.empty()) cause = explanation(check, {});
  }
  const bool first_order_fails = std::ranges::any_of(
      findings, [](const Finding& f) { return f.check == "O1" && f.verdict == Verdict::disagree; });
  for (Finding& f : findings) {
    if (f.verdict == Verdict::agree || f.check == "P0") continue;
    if (!cause.empty()) {
      f.likely = cause;
    } else if (!value.empty() && f.blame != Blame::rule) {
      f.likely = value;
    } else if (f.check != "O1" && f.check != "O2" && f.check != "P1") {
      // A Jacobian says more than a property.
      const bool second_order = f.check == "O4";
      std::string jacobian = explanation("O1", f.argument);
      if (jacobian.empty() && second_order) jacobian = explanation("O1", {});
      if (!jacobian.empty() || (second_order && first_order_fails)) f.likely = jacobian;
    }
  }
}

}  // namespace weft
