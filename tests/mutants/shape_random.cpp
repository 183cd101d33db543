// Bugs of transpose, slice, concat, gather and dropout: M44 to M46.
#include "mutants/lists.hpp"
#include "mutants/naive.hpp"

namespace weft {

namespace {

// M44
OpInfo permutation_not_inverted(const OpInfo& info) {
  return with_rule(info, [](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    const AttributeValue* permutation = a.find("permutation");
    gx.set(0, transpose(gy, permutation ? permutation->as<Ints>() : Ints{}));
  });
}

// M45: gy is put one position further along the first axis that is cut, where there is room.
OpInfo slice_offset_by_one(const OpInfo& info) {
  return with_gradients(info, [](const Var& y, const Var& gy, Gradients& gx) {
    auto o = options_of<SliceOptions>(node_attributes(y));  // resolved: every axis
    for (int axis = 0; axis < gy.rank(); ++axis) {
      const std::int64_t last = o.begin[axis] + 1 + (gy.extent(axis) - 1) * o.step[axis];
      if (gy.extent(axis) == 0 || gy.extent(axis) == gx.shape(0)[axis] || last >= gx.shape(0)[axis]) continue;
      ++o.begin[axis];
      return gx.set(0, unslice(gy, gx.shape(0), o));
    }
  });
}

// M45: each part but the first begins one position early.
OpInfo concat_offset_by_one(const OpInfo& info) {
  return with_rule(info, [](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    const int axis = normalize_axis("concat", a.find("axis")->as<std::int64_t>(), gy.rank());
    Ints begin = Ints::filled(axis + 1, 0);
    for (int i = 0; i < gx.operand_count(); ++i) {
      const Shape part = gx.shape(i);
      Ints from = begin;
      from[axis] = std::max<std::int64_t>(from[axis] - 1, 0);
      if (gx.wants(i)) gx.set(i, slice(gy, {.begin = from, .size = part.extents()}));
      begin[axis] += part[axis];
    }
  });
}

// M45: gx[index] = gy, as arrays in Python do it, where += is needed.
OpInfo repeated_index_assigned(const OpInfo& info) {
  return with_rule(first_order(info), [](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    const Shape& shape = gx.shape(0);
    const AttributeValue* given = a.find("axis");
    const int axis = normalize_axis("gather", given ? given->as<std::int64_t>() : 0, shape.rank());
    const Numbers g = numbers(gy), index = numbers(gx.input(1));
    Numbers result(shape);
    std::int64_t inner = 1;
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
    for (std::int64_t k = 0; k < g.elements(); ++k) {
      const std::int64_t row = k / inner, outer = row / index.elements();
      const auto position = static_cast<std::int64_t>(index[row % index.elements()]);
      result[(outer * shape[axis] + position) * inner + k % inner] = g[k];
    }
    gx.set(0, to_tensor(result, gy.dtype()));
  });
}

// M46: the mask is drawn anew in the backward pass.
OpInfo fresh_mask(const OpInfo& info) {
  return with_rule(info, [call = info.call](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    Attributes next = a;
    const AttributeValue* stream = a.find("stream");
    next.set("stream", (stream ? stream->as<std::int64_t>() : 0) + 1);
    gx.set(0, call(std::vector<Var>{gy}, next));
  });
}

// M46: 1 / (1 - p) missing.
OpInfo scale_missing(const OpInfo& info) {
  return with_gradients(info, [](const Var& y, const Var&, Gradients& gx) {
    const double p = node_attributes(y).find("p")->as<double>();
    gx.set(0, scale(gx.result(0), 1 - p));
  });
}

}  // namespace

PlantedBugs shape_random_bugs() {
  return {
      {.id = "M44",
       .op = "transpose",
       .argument = "x",
       .title = "permutation, not its inverse",
       .exposed = "3-cycle (1, 2, 0)",
       .plant = permutation_not_inverted},
      {.id = "M45",
       .op = "slice",
       .argument = "x",
       .title = "offset by one",
       .exposed = "begin != 0",
       .plant = slice_offset_by_one},
      {.id = "M45",
       .op = "concat",
       .argument = "parts",
       .title = "offset by one",
       .exposed = "two parts",
       .plant = concat_offset_by_one},
      {.id = "M45",
       .op = "gather",
       .argument = "x",
       .title = "repeated index assigned",
       .exposed = "repeated index",
       .plant = repeated_index_assigned},
      {.id = "M46",
       .op = "dropout",
       .argument = "x",
       .title = "fresh mask",
       .exposed = "p = 0.25",
       .plant = fresh_mask},
      {.id = "M46",
       .op = "dropout",
       .argument = "x",
       .title = "1/(1-p) missing",
       .exposed = "p = 0.25",
       .plant = scale_missing},
  };
}

}  // namespace weft
