#include "mutants/automatic.hpp"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>

#include "mutants/naive.hpp"
#include "weft/gradient.hpp"
#include "weft/random.hpp"

namespace weft {

namespace {

// The damage done to one gradient, by ordinary ops, so that the damaged gradient can be differentiated.
struct Mutation {
  std::string name;
  std::function<Var(const Var& g)> apply;
  bool is_control = false;
};

// ---- mutations

// g times a constant: f(index) where that is not 1.
template <class F>
Var masked(const Var& g, F&& f) {
  Numbers mask(g.shape(), 1);
  for_each_index(g.shape(), [&](const Ints& at) { mask.at(at) = f(at); });
  return multiply(g, to_tensor(mask, g.dtype()));
}

Mutation one_element(std::string name, double factor, bool is_control = false) {
  const auto apply = [factor](const Var& g) {
    std::int64_t left = g.shape().elements() / 2;  // the one in the middle
    return masked(g, [&](const Ints&) { return left-- == 0 ? factor : 1; });
  };
  return {std::move(name), apply, is_control};
}

// The last slice along an axis zeroed: of an image's [n, h, w, c] image and row.
Mutation last_slice(std::string name, int axis_of_images) {
  return {std::move(name), [axis_of_images](const Var& g) {
            const int axis = g.rank() == 4 ? axis_of_images : std::min(axis_of_images, g.rank() - 1);
            if (axis < 0) return g;
            return masked(g, [&](const Ints& at) { return at[axis] == g.extent(axis) - 1 ? 0 : 1; });
          }};
}

// g read at source(i) along an axis of extent n.
template <class Source>
Mutation reordered(std::string name, int axis, Source source) {
  return {std::move(name), [axis, source](const Var& g) {
            if (axis >= g.rank() || g.extent(axis) < 2) return g;
            Tensor index({g.extent(axis)}, DType::i64);
            for (std::int64_t i = 0; i < g.extent(axis); ++i)
              index.mutable_values<std::int64_t>()[static_cast<std::size_t>(i)] = source(i, g.extent(axis));
            return gather(g, index, axis);
          }};
}

Mutation transposed(int first, int second) {
  return {fmt::format("axes {} and {} transposed", first, second), [first, second](const Var& g) {
            if (second >= g.rank() || g.extent(first) != g.extent(second)) return g;
            Ints permutation;
            for (int axis = 0; axis < g.rank(); ++axis) permutation.push_back(axis);
            std::swap(permutation[first], permutation[second]);
            return transpose(g, permutation);
          }};
}

Mutation noise() {
  const auto calls = std::make_shared<std::uint64_t>(0);
  return {"noise of 1e-3 with a fresh seed", [calls](const Var& g) {
            Random random(++*calls);
            return masked(g, [&](const Ints&) { return 1 + 1e-3 * random.normal(); });
          }};
}

std::vector<Mutation> mutations(int rank) {
  std::vector<Mutation> all{
      one_element("one element times 1 + 1e-6", 1 + 1e-6),
      one_element("one element times 1 + 1e-13", 1 + 1e-13, true),
      {"sign flipped", [](const Var& g) { return -g; }},
      one_element("one element zeroed", 0),
      last_slice("last image zeroed", 0),
      last_slice("last row zeroed", 1),
      one_element("one NaN", std::numeric_limits<double>::quiet_NaN()),
      noise(),
  };
  for (int axis = 0; axis < rank; ++axis) {
    const auto next = [](std::int64_t i, std::int64_t n) { return (i + 1) % n; };
    const auto last = [](std::int64_t i, std::int64_t n) { return (i + n - 1) % n; };
    const auto mirrored = [](std::int64_t i, std::int64_t n) { return n - 1 - i; };
    all.push_back(reordered(fmt::format("rolled by -1 along axis {}", axis), axis, next));
    all.push_back(reordered(fmt::format("rolled by 1 along axis {}", axis), axis, last));
    all.push_back(reordered(fmt::format("reversed along axis {}", axis), axis, mirrored));
    for (int other = axis + 1; other < rank; ++other) all.push_back(transposed(axis, other));
  }
  return all;
}

// ---- whether a mutation changes anything

bool differ(const Tensor& a, const Tensor& b, double least) {
  const Numbers x = numbers(a), y = numbers(b);
  double largest = 0;
  for (std::int64_t i = 0; i < x.elements(); ++i) largest = std::max(largest, std::fabs(x[i]));
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    if (std::isnan(x[i])) continue;
    const double scale = std::max(std::fabs(x[i]), 1e-3 * largest);
    if (!(std::fabs(x[i] - y[i]) <= least * scale)) return true;
  }
  return false;
}

// ---- planting

// A gradient as it arrives at its operand: what was broadcast in the forward is summed.
Var summed_to(const Var& g, const Shape& shape) {
  Ints axes;
  const int added = g.rank() - shape.rank();
  for (int axis = 0; axis < g.rank(); ++axis) {
    if (axis < added || shape[axis - added] != g.extent(axis)) axes.push_back(axis);
  }
  return axes.empty() ? g : reshape(sum(g, {.axes = axes}), shape.extents());
}

AutomaticMutant mutant_of(const OpInfo& healthy, int operand, const Mutation& mutation) {
  const auto changed = std::make_shared<bool>(false);
  const std::string_view argument = healthy.arguments[static_cast<std::size_t>(operand)].name;
  const double least = mutation.is_control ? 0 : 0.5e-6;
  const auto change = [=, apply = mutation.apply](const Var&, const Var&, Gradients& gx) {
    if (operand >= gx.operand_count() || !gx.wants(operand)) return;
    const Var g = summed_to(gx.result(operand), gx.shape(operand)), damaged = apply(g);
    if (differ(g.value(), damaged.value(), least)) *changed = true;
    gx.set(operand, damaged);
  };
  return {fmt::format("gradient of {}: {}", argument, mutation.name), argument,
          with_gradients(healthy, change), changed, mutation.is_control};
}

bool has_gradient(const OpInfo& info, std::size_t operand) {
  const Role role = info.arguments[std::min(operand, info.arguments.size() - 1)].role;
  return role == Role::differentiable || role == Role::optional;
}

// The healthy gradients of all operands at other operands or with another gy; empty for those without.
std::vector<Var> gradients_at(const OpInfo& info, std::span<const Var> x, const Attributes& a,
                              const Tensor& gy) {
  Graph g;
  std::vector<Var> operands, targets;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool is_target = has_gradient(info, i) && is_floating(x[i].dtype());
    operands.push_back(is_target ? g.input(x[i].value()) : Var(x[i].value()));
    if (is_target) targets.push_back(operands.back());
  }
  const std::vector<Var> found = gradient(info.call(operands, a), targets, {.gy = gy});
  std::vector<Var> gradients;
  for (std::size_t i = 0, next = 0; i < x.size(); ++i) {
    gradients.push_back(operands[i].is_recorded() ? Var(found[next++].value()) : Var());
  }
  return gradients;
}

// A rule made of healthy gradients: damaged(x, gy, healthy) are those it returns.
using Damage = std::function<std::vector<Var>(std::span<const Var> x, const Attributes& a, const Tensor& gy,
                                              const std::vector<Var>& healthy)>;
AutomaticMutant mutant_of(const OpInfo& info, std::string_view argument, const std::string& name,
                          const Damage& damage) {
  const auto changed = std::make_shared<bool>(false);
  const auto rule = [=](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    std::vector<Var> x;
    for (int i = 0; i < gx.operand_count(); ++i) x.push_back(gx.input(i).detach());
    const std::vector<Var> healthy = gradients_at(info, x, a, gy.value()),
                           damaged = damage(x, a, gy.value(), healthy);
    for (int i = 0; i < gx.operand_count(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      if (!gx.wants(i)) continue;
      if (!healthy[k].defined()) {  // a constant
        gx.set(i, Tensor::zeros(gx.shape(i), gy.dtype()));
        continue;
      }
      if (differ(healthy[k].value(), damaged[k].value(), 0.5e-6)) *changed = true;
      gx.set(i, damaged[k]);
    }
  };
  return {fmt::format("gradient of {}: {}", argument, name), argument, with_rule(first_order(info), rule),
          changed};
}

// Operand i alone with the gradient of a call with other operands or another gy.
Damage of_another_call(const OpInfo& info, std::size_t operand, bool other_gy) {
  return [=](std::span<const Var> x, const Attributes& a, const Tensor& gy, const std::vector<Var>& healthy) {
    std::vector<Var> others(x.begin(), x.end());
    for (std::size_t i = 0; i < x.size(); ++i) {  // the same numbers, rolled by one
      if (other_gy || !healthy[i].defined() || x[i].shape().elements() < 2) continue;
      const Numbers values = numbers(x[i]);
      Numbers rolled(values.shape());
      for (std::int64_t k = 0; k < values.elements(); ++k) rolled[k] = values[(k + 1) % values.elements()];
      others[i] = to_tensor(rolled, x[i].dtype());
    }
    std::vector<Var> damaged = healthy;
    if (operand < x.size()) {
      damaged[operand] =
          gradients_at(info, others, a, other_gy ? Tensor::full(gy.shape(), 1, gy.dtype()) : gy)[operand];
    }
    return damaged;
  };
}

Damage exchange(std::size_t i, std::size_t j) {
  return [=](std::span<const Var> x, const Attributes&, const Tensor&, const std::vector<Var>& healthy) {
    std::vector<Var> damaged = healthy;
    if (j < x.size() && healthy[i].defined() && healthy[j].defined() && x[i].shape() == x[j].shape())
      std::swap(damaged[i], damaged[j]);
    return damaged;
  };
}

int largest_rank(const OpInfo& info, std::size_t operand) {
  int rank = 0;
  for (const Sample& sample : info.samples.list()) {
    if (operand < sample.shapes.size()) rank = std::max(rank, sample.shapes[operand].rank());
  }
  return rank;
}

}  // namespace

std::vector<AutomaticMutant> automatic_mutants(const OpInfo& healthy) {
  std::vector<AutomaticMutant> mutants;
  for (std::size_t i = 0; i < healthy.arguments.size(); ++i) {
    if (!has_gradient(healthy, i)) continue;
    const std::string_view argument = healthy.arguments[i].name;
    for (const Mutation& mutation : mutations(largest_rank(healthy, i)))
      mutants.push_back(mutant_of(healthy, static_cast<int>(i), mutation));
    mutants.push_back(mutant_of(healthy, argument, "gy replaced by ones", of_another_call(healthy, i, true)));
    mutants.push_back(
        mutant_of(healthy, argument, "x of the previous call", of_another_call(healthy, i, false)));
    for (std::size_t j = i + 1; j < healthy.arguments.size() + (healthy.variadic ? 1 : 0); ++j) {
      if (has_gradient(healthy, j))
        mutants.push_back(
            mutant_of(healthy, argument, fmt::format("exchanged with operand {}", j), exchange(i, j)));
    }
  }
  return mutants;
}

}  // namespace weft
