#include "gradcheck/engine_records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "gradcheck/reference_replay.hpp"
#include "weft/gradcheck.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"
#include "weft/random.hpp"

namespace weft {

namespace {

Tensor some_values(const Shape& shape, std::uint64_t seed, std::string_view name) {
  return Random(seed, name).uniform(shape, -1.5, 1.5, DType::f64);
}

// ---- ways to use a var

void add_uses(std::vector<EngineCase>& cases, const Tensor& values) {
  for (int uses = 1; uses <= 9; ++uses) {
    for (const bool is_source : {true, false}) {
      cases.push_back(
          {fmt::format("{} used {} times", is_source ? "an input" : "a result", uses), [=](Graph& g) {
             const Var x = g.input(values, "x"), h = is_source ? x : tanh(x);
             Var y = h * 1.5;
             for (int i = 1; i < uses; ++i) y = y + h * (i + 0.25);
             return EngineRecord{y, {x, h}};
           }});
    }
  }
}

// The first sample of an op whose first two operands can be the same var.
std::optional<Sample> twice_the_same(const OpInfo& info) {
  const auto is_differentiable = [&](std::size_t i) {
    return info.arguments[i].role == Role::differentiable;
  };
  if (info.arguments.size() < 2 || !is_differentiable(0) || !is_differentiable(1)) return {};
  for (const Sample& sample : info.samples.list()) {
    const bool usable = sample.throws.empty() && sample.pattern == Pattern::generic && sample.values.empty();
    if (usable && sample.shapes[0] == sample.shapes[1] && sample.shapes[0].elements() > 0) return sample;
  }
  return {};
}

void add_binary_ops(std::vector<EngineCase>& cases, std::uint64_t seed) {
  for (const OpInfo* info : all_ops()) {
    const std::optional<Sample> sample = twice_the_same(*info);
    if (!sample) continue;
    cases.push_back({fmt::format("x {} x", info->name), [=](Graph& g) {
                       std::vector<Var> operands;
                       for (const Tensor& tensor : sample_inputs(*info, *sample, seed, DType::f64))
                         operands.emplace_back(tensor);
                       operands[0] = operands[1] = g.input(operands[1].value(), "x");  // in b's domain
                       return EngineRecord{info->call(operands, sample->attributes), {operands[0]}};
                     }});
  }
  cases.push_back({"x concat x", [=](Graph& g) {
                     const Var x = g.input(some_values({2, 3}, seed, "x"), "x");
                     return EngineRecord{concat({x, x, tanh(x)}, 1), {x}};
                   }});
}

void add_paths(std::vector<EngineCase>& cases, const Tensor& values) {
  cases.push_back({"a diamond with unequal paths", [=](Graph& g) {
                     const Var x = g.input(values, "x");
                     return EngineRecord{(x * 3.0) * (tanh(x * x * x) + 1.0), {x}};
                   }});
  cases.push_back({"a diamond whose short path comes last", [=](Graph& g) {
                     const Var x = g.input(values, "x"), h = sigmoid(x), far = exp(tanh(h * 2.0));
                     return EngineRecord{far * (h + 1.0), {x, h}};
                   }});
  cases.push_back({"diamonds behind one another", [=](Graph& g) {
                     const Var x = g.input(values, "x");
                     Var h = x;
                     for (int i = 0; i < 6; ++i) h = tanh(h) + h * 0.5 * sigmoid(h);
                     return EngineRecord{h, {x}};
                   }});
  cases.push_back({"a chain of 50", [=](Graph& g) {
                     const Var x = g.input(values, "x");
                     Var h = x;
                     for (int i = 0; i < 25; ++i) h = tanh(h * 1.25);
                     return EngineRecord{h, {x}};
                   }});
  cases.push_back({"a branch that y does not depend on", [=](Graph& g) {
                     const Var x = g.input(values, "x"), h = tanh(x);
                     const Var unused = exp(h) * x;
                     return EngineRecord{sigmoid(h), {x, unused}};
                   }});
}

// ---- aliases, constants, what is asked for

void add_aliases(std::vector<EngineCase>& cases, const Tensor& values) {
  cases.push_back({"x + x", [=](Graph& g) {
                     const Var x = g.input(values, "x");
                     return EngineRecord{x + x, {x}};
                   }});
  cases.push_back({"two views of a result, added", [=](Graph& g) {
                     const Var x = g.input(values, "x"), h = tanh(x);
                     const Var y = reshape(h, {-1}) + reshape(h, {-1});
                     return EngineRecord{y + reshape(x, {-1}), {x, h}};
                   }});
  cases.push_back({"a gradient that two operands of a sum share", [=](Graph& g) {
                     const Var x = g.input(values, "x"), a = tanh(x), b = sigmoid(x);
                     const Var square = a * a, total = a + b;
                     return EngineRecord{square * total, {a, b, x}};
                   }});
  cases.push_back({"a gradient that a view and another use share", [=](Graph& g) {
                     const Var x = g.input(values, "x"), a = exp(x);
                     const Var other = a * x, view = reshape(a, a.shape().extents());
                     return EngineRecord{view + other, {a, x}};
                   }});
}

void add_constants(std::vector<EngineCase>& cases, const Tensor& values, std::uint64_t seed) {
  const Tensor constant = some_values(values.shape(), seed, "constant");
  cases.push_back({"constants", [=](Graph& g) {
                     const Var x = g.input(values, "x");
                     return EngineRecord{(x * constant + constant) * constant, {x}};
                   }});
  cases.push_back({"a constant that shares its elements with x", [=](Graph& g) {
                     const Var x = g.input(values, "x");
                     return EngineRecord{x * x.detach() + tanh(x), {x}};
                   }});
  cases.push_back({"a value computed in a pause", [=](Graph& g) {
                     const Var x = g.input(values, "x"), h = tanh(x);
                     Var frozen, view;
                     {
                       const Pause pause = g.pause();
                       frozen = sigmoid(h) * x;
                       view = reshape(x, x.shape().extents());
                     }
                     return EngineRecord{h * frozen + view * x, {x, h}};
                   }});
  cases.push_back({"integers in between", [=](Graph& g) {
                     const Var x = g.input(values, "x");
                     const Var index = argmax(x, 1), winners = one_hot(index, x.extent(1), DType::f64);
                     return EngineRecord{winners * x + gather(x, index, 0) * 0.5, {x}};
                   }});
  cases.push_back({"labels", [=](Graph& g) {
                     const Var x = g.input(values, "x");
                     return EngineRecord{softmax_crossentropy(tanh(x), argmax(x, 1)), {x}};
                   }});
}

void add_requests(std::vector<EngineCase>& cases, const Tensor& values, std::uint64_t seed) {
  cases.push_back({"several xs, one without influence, a result, y itself", [=](Graph& g) {
                     const Var x = g.input(values, "x"), other = g.input(values, "other");
                     const Var h = tanh(x), y = h * sigmoid(x);
                     const Var later = g.input(values, "later");
                     return EngineRecord{y, {x, other, h, y, later}};
                   }});
  cases.push_back({"a shared parameter", [=](Graph& g) {
                     const Parameter w("w", some_values({3, 3}, seed, "w"));
                     const Var x = g.input(some_values({2, 3}, seed, "x"), "x");
                     const Var h = tanh(matmul(x, g.use(w)));
                     return EngineRecord{matmul(h, g.use(w)) + sum(g.use(w)), {g.use(w), x}};
                   }});
  cases.push_back({"broadcasting", [=](Graph& g) {
                     const Var row = g.input(some_values({3}, seed, "row"), "row");
                     const Var column = g.input(some_values({2, 1}, seed, "column"), "column");
                     const Var number = g.input(some_values({}, seed, "number"), "number");
                     return EngineRecord{(row + column) * number + row * row, {row, column, number}};
                   }});
}

// ---- random graphs: matrices of at most 3 x 3

class RandomRecord {
 public:
  RandomRecord(Graph& g, std::uint64_t seed) : g_(g), random_(seed, "random record") {}

  EngineRecord run(int nodes) {
    EngineRecord record;
    for (const char* name : {"x0", "x1"}) {
      record.xs.push_back(g_.input(random_.uniform(shape(), -1.5, 1.5, DType::f64), name));
      values_.push_back(record.xs.back());
    }
    values_.emplace_back(random_.uniform(shape(), -1.5, 1.5, DType::f64));
    const int asked_for = static_cast<int>(random_.below(nodes));
    for (int i = 0; i < nodes; ++i) {
      values_.push_back(next(i));
      if (i == asked_for && is_differentiable(values_.back())) record.xs.push_back(values_.back());
    }
    // y hangs on both sources and on the last results.
    record.y = (mean(values_[0]) + mean(values_[1])) * values_.back() + mean(values_[values_.size() - 2]);
    return record;
  }

 private:
  Shape shape() { return {1 + random_.below(3), 1 + random_.below(3)}; }
  // A value of before, the last ones more often.
  const Var& pick() {
    const auto count = static_cast<std::int64_t>(values_.size());
    const std::int64_t first = random_.below(2) == 0 ? std::max<std::int64_t>(count - 4, 0) : 0;
    return values_[static_cast<std::size_t>(first + random_.below(count - first))];
  }

  // Every other op keeps values within [-1, 1], so that they do not grow.
  Var next(int i) { return i % 2 == 0 ? combined() : bounded(pick()); }

  Var bounded(const Var& x) {
    switch (random_.below(5)) {
      case 0:
        return sigmoid(x);
      case 1:
        return softmax(x, static_cast<int>(random_.below(2)));
      case 2:
        return exp(-(x * x));
      default:
        return tanh(x);
    }
  }

  Var combined() {
    const Var a = pick(), b = pick();
    if (random_.below(3) == 0) return reshaped(a);
    if (a.extent(1) == b.extent(0) && random_.below(2) == 0) return matmul(a, b);
    if (!broadcastable(a.shape(), b.shape())) return matmul(a, matmul(transpose(a), a));
    switch (random_.below(5)) {
      case 0:
        return a - b;
      case 1:
        return a * b;
      case 2:
        return a / (b * b + 1.0);
      default:
        return a + b;
    }
  }

  Var reshaped(const Var& x) {
    switch (random_.below(7)) {
      case 0:
        return transpose(x);
      case 1:
        return reshape(x, {x.extent(1), x.extent(0)});
      case 2:
        return slice(x, {.begin = {x.extent(0) - 1, 0}});
      case 3:
        return slice(pad(x, {.before = {1, 0}, .after = {0, 1}}), {.size = {x.extent(0), x.extent(1)}});
      case 4:
        return sum(x, {.axes = {random_.below(2)}, .keep_axes = true});
      case 5:
        return mean(concat({x, x * 0.5}, 0), {.axes = {0}, .keep_axes = true});
      default:
        return broadcast_to(sum(x, {.axes = {0}, .keep_axes = true}), x.shape());
    }
  }

  Graph& g_;
  Random random_;
  std::vector<Var> values_;
};

}  // namespace

EngineRecord random_record(Graph& g, std::uint64_t seed, int nodes) {
  return RandomRecord(g, seed).run(nodes);
}

std::vector<EngineCase> engine_cases(std::uint64_t seed) {
  std::vector<EngineCase> cases;
  const Tensor values = some_values({3, 3}, seed, "values");
  add_uses(cases, values);
  add_binary_ops(cases, seed);
  add_paths(cases, values);
  add_aliases(cases, values);
  add_constants(cases, values, seed);
  add_requests(cases, values, seed);
  for (std::uint64_t i = 0; i < 200; ++i) {
    cases.push_back({fmt::format("random graph {}", i),
                     [=](Graph& g) { return random_record(g, seed + i, 5 + static_cast<int>(i % 16)); }});
  }
  return cases;
}

Tensor dual_gradient(const Graph& g, const Var& y, const Var& x, const Tensor& gy) {
  Array<double> gx(x.shape());
  if (x.id() > y.id()) return to_tensor(gx, DType::f64);
  const Array<double> values = to_array<double>(x.value()), weights = to_array<double>(gy);
  for (std::int64_t first = 0; first < gx.elements(); first += Dual::width) {
    const std::int64_t width = std::min<std::int64_t>(Dual::width, gx.elements() - first);
    Array<Dual> seeded(x.shape());
    for (std::int64_t i = 0; i < values.elements(); ++i) {
      const std::int64_t direction = i - first;
      seeded[i] = direction >= 0 && direction < width ? Dual::variable(values[i], static_cast<int>(direction))
                                                      : Dual(values[i]);
    }
    const Array<Dual> root = replay_references<Dual>(g, y.id(), {{x.id(), seeded}})[y.id()];
    for (std::int64_t o = 0; o < root.elements(); ++o) {
      for (std::int64_t d = 0; d < width; ++d) {
        gx[first + d] += weights[o] * root[o].derivative(static_cast<int>(d));
      }
    }
  }
  return to_tensor(gx, DType::f64);
}

}  // namespace weft
