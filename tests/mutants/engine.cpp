// A second engine, naive and independent of the first one: it reads the record, computes every value by the
// ops' references and every J^T gy by dual numbers, and calls no rule. G01 to G06 are planted in it.
#include <deque>
#include <memory>

#include "gradcheck/reference_replay.hpp"
#include "mutants/lists.hpp"
#include "weft/op.hpp"

namespace weft {

namespace {

enum class Defect {
  none,
  second_use_overwrites,  // G01
  adds_in_place,          // G02
  unrolled_sum,           // G03
  breadth_first,          // G04
  keeps_gradients,        // G05
  reaches_constants,      // G06
};

void add_into(Tensor& sum, const Tensor& g) {
  if (sum.shape() != g.shape()) throw ShapeError("gradients of two shapes meet");
  const auto to = sum.mutable_values<double>();
  const auto from = g.values<double>();
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

Tensor total_of(std::span<const Tensor> arrived, Defect defect) {
  if (arrived.size() == 1) return arrived[0];
  Tensor total = Tensor::zeros(arrived[0].shape(), DType::f64);
  std::size_t next = 0;
  if (defect == Defect::unrolled_sum && arrived.size() > 4) {  // by four; the rest as if it were by eight
    for (; next + 4 <= arrived.size(); next += 4) {
      for (std::size_t i = next; i < next + 4; ++i) add_into(total, arrived[i]);
    }
    next = arrived.size() / 8 * 8;
  }
  for (; next < arrived.size(); ++next) add_into(total, arrived[next]);
  return total;
}

class NaiveEngine {
 public:
  explicit NaiveEngine(Defect defect) : defect_(defect) {}

  std::vector<Tensor> operator()(const Var& y, std::span<const Var> xs, const Tensor& gy) {
    g_ = y.graph();
    values_ = replay_references<double>(*g_, y.id(), {});
    const bool again = last_y_.defined() && last_y_.shares_storage(y.value());
    if (!again || defect_ != Defect::keeps_gradients) arrived_.assign(y.id() + 1, {});
    last_y_ = y.value();
    arrived_[y.id()].push_back(gy);
    if (defect_ == Defect::breadth_first)
      walk_breadth_first(y.id());
    else
      for (NodeId n = y.id() + 1; n-- > 0;) visit(n);
    std::vector<Tensor> gradients;
    for (const Var& x : xs) gradients.push_back(gradient_of(x));
    return gradients;
  }

 private:
  void visit(NodeId n) {
    if (!g_->op(n) || arrived_[n].empty()) return;
    const Tensor gy = total_of(arrived_[n], defect_);
    const std::span<const NodeId> inputs = g_->inputs(n);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const bool wanted = g_->is_differentiable(inputs[i]) ||
                          (defect_ == Defect::reaches_constants && is_floating(g_->type(inputs[i]).dtype));
      if (wanted && is_floating(g_->type(n).dtype)) arrive(inputs[i], product(n, i, gy));
    }
  }

  // Visits a node when the first gradient has reached it.
  void walk_breadth_first(NodeId root) {
    std::vector<bool> seen(root + 1, false);
    std::deque<NodeId> queue{root};
    for (; !queue.empty(); queue.pop_front()) {
      if (seen[queue.front()]) continue;
      seen[queue.front()] = true;
      visit(queue.front());
      for (const NodeId input : g_->inputs(queue.front())) queue.push_back(input);
    }
  }

  void arrive(NodeId n, const Tensor& g) {
    if (defect_ == Defect::second_use_overwrites) arrived_[n].clear();
    if (defect_ == Defect::adds_in_place && !arrived_[n].empty())
      add_into(arrived_[n][0], g);
    else
      arrived_[n].push_back(g);
  }

  // J^T gy of node n with respect to its operand i. Sums and views pass gy on as it is.
  Tensor product(NodeId n, std::size_t i, const Tensor& gy) const {
    const NodeId input = g_->inputs(n)[i];
    const Shape& shape = g_->type(input).shape;
    const std::string_view name = g_->op(n)->info().name;
    if (name == "reshape" || name == "flatten") return gy.reshape(shape.extents());
    if (name == "add" && shape == gy.shape()) return gy;
    Array<double> gx(shape);
    for (std::int64_t first = 0; first < gx.elements(); first += Dual::width) {
      const Array<Dual> y =
          g_->op(n)->info().reference(seeded_operands(n, i, first), g_->op(n)->attributes());
      for (std::int64_t d = 0; d < Dual::width && first + d < gx.elements(); ++d) {
        for (std::int64_t o = 0; o < y.elements(); ++o) {
          gx[first + d] +=
              gy.values<double>()[static_cast<std::size_t>(o)] * y[o].derivative(static_cast<int>(d));
        }
      }
    }
    return to_tensor(gx, DType::f64);
  }

  // The operands of node n, with the elements of operand i from `first` on as variables.
  Inputs<Dual> seeded_operands(NodeId n, std::size_t i, std::int64_t first) const {
    Inputs<Dual> operands;
    for (std::size_t k = 0; k < g_->inputs(n).size(); ++k) {
      const NodeId input = g_->inputs(n)[k];
      const Tensor values = to_tensor(values_[input], DType::f64);
      if (!is_floating(g_->type(input).dtype)) {
        operands.push_integers(to_array<std::int64_t>(values));
        continue;
      }
      Array<Dual> operand = to_array<Dual>(values);
      for (std::int64_t e = first; k == i && e < operand.elements() && e < first + Dual::width; ++e)
        operand[e] = Dual::variable(operand[e].value(), static_cast<int>(e - first));
      operands.push_floating(std::move(operand));
    }
    return operands;
  }

  Tensor gradient_of(const Var& x) const {
    std::vector<Tensor> parts;
    for (NodeId n = 0; n < arrived_.size(); ++n) {
      // The defect knows a var by where its elements lie.
      const bool is_x = n == x.id() || (defect_ == Defect::reaches_constants && !g_->op(n) &&
                                        g_->source_value(n).shares_storage(x.value()));
      if (is_x && !arrived_[n].empty()) parts.push_back(total_of(arrived_[n], defect_));
    }
    return parts.empty() ? Tensor::zeros(x.shape(), DType::f64) : total_of(parts, Defect::none);
  }

  const Defect defect_;
  const Graph* g_ = nullptr;
  Tensor last_y_;                             // of the last call
  std::vector<Array<double>> values_;         // by node
  std::vector<std::vector<Tensor>> arrived_;  // gradients, by node
};

GradientFunction engine_with(Defect defect) {
  const auto engine = std::make_shared<NaiveEngine>(defect);
  return [engine](const Var& y, std::span<const Var> xs, const Tensor& gy) { return (*engine)(y, xs, gy); };
}

}  // namespace

GradientFunction naive_engine() { return engine_with(Defect::none); }

PlantedBugs engine_bugs() {
  const auto bug = [](std::string_view id, std::string_view title, std::string_view exposed, Defect defect) {
    return PlantedBug{.id = id,
                      .op = "engine",
                      .argument = "",
                      .title = title,
                      .exposed = exposed,
                      .engine = engine_with(defect)};
  };
  return {
      bug("G01", "the second use of a var overwrites", "x * x", Defect::second_use_overwrites),
      bug("G02", "adds in place into a gradient returned twice", "x + x, reshape", Defect::adds_in_place),
      bug("G03", "wrong for 5 to 7 uses", "1 to 9 uses", Defect::unrolled_sum),
      bug("G04", "a node is visited before all its consumers", "a diamond with unequal paths",
          Defect::breadth_first),
      bug("G05", "a second call adds to the gradients of the first", "two calls", Defect::keeps_gradients),
      bug("G06", "gradient into a constant", "constants, a pause", Defect::reaches_constants),
  };
}

}  // namespace weft
