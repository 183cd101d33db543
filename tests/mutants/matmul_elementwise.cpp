// Bugs of matmul, of the elementwise ops and of the reductions: M36 to M41, M43.
#include "mutants/lists.hpp"
#include "mutants/naive.hpp"

namespace weft {

namespace {

// ---- matmul

MatmulOptions flags(const Attributes& a) { return options_of<MatmulOptions>(a); }

Var gradient_of_a(const Var& gy, const Var& b, MatmulOptions o) {
  return o.transpose_a ? matmul(b, gy, {.transpose_a = o.transpose_b, .transpose_b = true})
                       : matmul(gy, b, {.transpose_b = !o.transpose_b});
}
Var gradient_of_b(const Var& gy, const Var& a, MatmulOptions o) {
  return o.transpose_b ? matmul(gy, a, {.transpose_a = true, .transpose_b = o.transpose_a})
                       : matmul(a, gy, {.transpose_a = !o.transpose_a});
}

// M36: gy b for gy b^T.
OpInfo without_transpose(const OpInfo& info) {
  return with_rule(info, [](const Var&, const Var& gy, Gradients& gx, const Attributes& attributes) {
    const MatmulOptions o = flags(attributes);
    const Var a = gx.input(0), b = gx.input(1);
    if (gx.wants(0)) {
      gx.set(0, o.transpose_a ? gradient_of_a(gy, b, o) : matmul(gy, b, {.transpose_b = o.transpose_b}));
    }
    if (gx.wants(1)) gx.set(1, gradient_of_b(gy, a, o));
  });
}

// M37: of the products of a matrix that stands for a whole batch, the first one alone counts.
Var first_of_batch(const Var& g, const Shape& shape) {
  SliceOptions first{.size = g.shape().extents()};
  const int added = g.rank() - shape.rank();
  for (int axis = 0; axis < g.rank() - 2; ++axis) {
    const bool stretched = axis < added || shape[axis - added] != g.extent(axis);
    if (stretched && g.extent(axis) > 0) first.size[axis] = 1;
  }
  return slice(g, first);
}
OpInfo without_sum_over_batch(const OpInfo& info) {
  return with_gradients(info, [](const Var&, const Var&, Gradients& gx) {
    if (gx.wants(0)) gx.set(0, first_of_batch(gx.result(0), gx.shape(0)));
  });
}

// M38
OpInfo exchanged(const OpInfo& info) {
  return with_rule(info, [](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    if (gx.wants(0)) gx.set(0, gradient_of_b(gy, gx.input(0), flags(a)));
    if (gx.wants(1)) gx.set(1, gradient_of_a(gy, gx.input(1), flags(a)));
  });
}

// ---- add, multiply: rules that undo the broadcasting themselves

using Reduce = Var (*)(const Var& g, const Shape& shape);

PlantedBug broadcasting_bug(std::string_view id, std::string_view op, std::string_view title,
                            std::string_view exposed, Reduce reduce) {
  const bool product = op == "multiply";
  return {.id = id,
          .op = op,
          .argument = "a",
          .title = title,
          .exposed = exposed,
          .plant = [=](const OpInfo& info) {
            return with_rule(info, [=](const Var&, const Var& gy, Gradients& gx, const Attributes&) {
              for (const int i : {0, 1}) {
                if (gx.wants(i)) gx.set(i, reduce(product ? gy * gx.input(1 - i) : gy, gx.shape(i)));
              }
            });
          }};
}

// Axes of g along which an operand of this shape, of the same rank, was stretched.
Ints stretched_axes(const Var& g, const Shape& shape) {
  Ints axes;
  for (int axis = 0; axis < g.rank(); ++axis) {
    if (shape[axis] != g.extent(axis)) axes.push_back(axis);
  }
  return axes;
}

// M39: a column's gradient sums over the rows, a row's over the columns.
Var over_the_wrong_axis(const Var& g, const Shape& shape) {
  if (g.rank() != 2 || shape.rank() != 2) return g;
  const Ints axes = stretched_axes(g, shape);
  if (axes.size() != 1) return g;
  const Var summed = sum(g, {.axes = {1 - axes[0]}});
  return summed.shape().elements() == shape.elements() ? reshape(summed, shape.extents()) : summed;
}

// M40: the first element of gy is taken for the gradient of a scalar.
Var scalar_not_summed(const Var& g, const Shape& shape) {
  if (shape.rank() > 0 || g.rank() == 0 || g.shape().elements() == 0) return g;
  return reshape(slice(reshape(g, {-1}), {.size = {1}}), {});
}

// M40: summed without keeping the axis.
Var extent_one_lost(const Var& g, const Shape& shape) {
  if (g.rank() != shape.rank()) return g;
  const Ints axes = stretched_axes(g, shape);
  return axes.empty() ? g : sum(g, {.axes = axes});
}

// ---- sum, mean

// M41: divided by the number of outputs; in mean instead of by the number of elements summed.
OpInfo sum_divided_by_outputs(const OpInfo& info) {
  return with_gradients(info, [](const Var&, const Var& gy, Gradients& gx) {
    const auto outputs = static_cast<double>(gy.shape().elements());
    if (outputs > 0) gx.set(0, scale(gx.result(0), 1 / outputs));
  });
}
OpInfo mean_divided_by_outputs(const OpInfo& info) {
  return with_gradients(info, [](const Var&, const Var& gy, Gradients& gx) {
    const auto outputs = static_cast<double>(gy.shape().elements());
    const auto summed = static_cast<double>(gx.shape(0).elements()) / outputs;
    if (outputs > 0) gx.set(0, scale(gx.result(0), summed / outputs));
  });
}

// ---- divide, pow, sqrt

// M43
OpInfo sign_of_gb(const OpInfo& info) {
  return with_gradients(info, [](const Var&, const Var&, Gradients& gx) {
    if (gx.wants(1)) gx.set(1, -gx.result(1));
  });
}
OpInfo exponent_p(const OpInfo& info) {
  return with_rule(info, [](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    const double p = a.find("exponent")->as<double>();
    gx.set(0, gy * scale(pow(gx.input(0), p), p));
  });
}
OpInfo root_for_its_inverse(const OpInfo& info) {
  return with_rule(
      info, [](const Var& y, const Var& gy, Gradients& gx, const Attributes&) { gx.set(0, gy * y * 0.5); });
}

}  // namespace

PlantedBugs matmul_elementwise_bugs() {
  PlantedBugs bugs{
      {.id = "M36",
       .op = "matmul",
       .argument = "a",
       .title = "transpose missing, ga = gy b",
       .exposed = "square; not square",
       .plant = without_transpose},
      {.id = "M37",
       .op = "matmul",
       .argument = "a",
       .title = "broadcast batch not summed",
       .exposed = "[1,m,k] by [b,k,n]",
       .plant = without_sum_over_batch},
      {.id = "M38",
       .op = "matmul",
       .argument = "a",
       .title = "ga and gb exchanged",
       .exposed = "square",
       .plant = exchanged},
      {.id = "M41",
       .op = "sum",
       .argument = "x",
       .title = "divided by the output's size",
       .exposed = "partial axes",
       .plant = sum_divided_by_outputs},
      {.id = "M41",
       .op = "mean",
       .argument = "x",
       .title = "divided by the output's size",
       .exposed = "partial axes",
       .plant = mean_divided_by_outputs},
      {.id = "M43",
       .op = "divide",
       .argument = "b",
       .title = "sign of gb",
       .exposed = "b != +-1",
       .plant = sign_of_gb},
      {.id = "M43",
       .op = "pow",
       .argument = "x",
       .title = "exponent p",
       .exposed = "p = 3",
       .plant = exponent_p},
      {.id = "M43",
       .op = "sqrt",
       .argument = "x",
       .title = "exponent p",
       .exposed = "x != 1",
       .plant = root_for_its_inverse},
  };
  for (const std::string_view op : {"add", "multiply"}) {
    bugs.push_back(
        broadcasting_bug("M39", op, "summed over the wrong axis", "[n,1] and [1,n]", over_the_wrong_axis));
    bugs.push_back(broadcasting_bug("M40", op, "scalar not summed", "scalar operand", scalar_not_summed));
    bugs.push_back(broadcasting_bug("M40", op, "extent 1 lost", "scalar operand", extent_one_lost));
  }
  return bugs;
}

}  // namespace weft
