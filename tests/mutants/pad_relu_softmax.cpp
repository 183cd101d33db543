// Bugs of pad, relu, leaky_relu and softmax: M24 to M30.
#include "mutants/lists.hpp"
#include "mutants/naive.hpp"

namespace weft {

namespace {

std::int64_t entry(const Ints& of, int axis) { return axis < of.size() ? of[axis] : 0; }

// M24: [p:-p], which is empty where p is 0.
OpInfo crop_by_negative_zero(const OpInfo& info) {
  return with_rule(info, [](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    const auto o = options_of<PadOptions>(a);
    SliceOptions inner;
    for (int axis = 0; axis < gy.rank(); ++axis) {
      inner.begin.push_back(entry(o.before, axis));
      inner.size.push_back(entry(o.after, axis) == 0 ? 0 : gx.shape(0)[axis]);
    }
    gx.set(0, slice(gy, inner));
  });
}

// M25
OpInfo crop_from_the_bottom_padding(const OpInfo& info) {
  return with_rule(info, [](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    auto o = options_of<PadOptions>(a);
    std::swap(o.before, o.after);
    gx.set(0, unpad(gy, gx.shape(0), o));
  });
}

// M26
OpInfo mask_from_gy(const OpInfo& info) {
  return with_rule(info, [](const Var&, const Var& gy, Gradients& gx, const Attributes&) {
    gx.set(0, relu_gradient(gy, gy));
  });
}

// M27
OpInfo with_slope_at_zero(const OpInfo& info, double slope) {
  return with_rule(info, [slope](const Var&, const Var& gy, Gradients& gx, const Attributes&) {
    const auto derivative = [slope](double x) { return x > 0 ? 1 : x == 0 ? slope : 0; };
    gx.set(0, multiply(gy, map_numbers(gx.input(0).value(), derivative)));
  });
}

// M28
OpInfo without_slope_below_zero(const OpInfo& info) {
  return with_rule(info, [](const Var&, const Var& gy, Gradients& gx, const Attributes&) {
    const auto derivative = [](double x) { return x > 0 ? 1.0 : 0.0; };
    gx.set(0, multiply(gy, map_numbers(gx.input(0).value(), derivative)));
  });
}

// M29
OpInfo without_projection(const OpInfo& info) {
  return with_rule(info,
                   [](const Var& y, const Var& gy, Gradients& gx, const Attributes&) { gx.set(0, y * gy); });
}

// M30: the sum of gy y runs along the last axis whatever the axis is.
OpInfo along_the_last_axis(const OpInfo& info) {
  return with_gradients(info, [](const Var& y, const Var& gy, Gradients& gx) {
    gx.set(0, y * (gy - sum(gy * y, {.axes = {-1}, .keep_axes = true})));
  });
}

}  // namespace

PlantedBugs pad_relu_softmax_bugs() {
  return {
      {.id = "M24",
       .op = "pad",
       .argument = "x",
       .title = "slice [p:-p] with p = 0 is empty",
       .exposed = "one padding 0",
       .plant = crop_by_negative_zero},
      {.id = "M25",
       .op = "pad",
       .argument = "x",
       .title = "crop starts at the bottom padding",
       .exposed = "asymmetric",
       .plant = crop_from_the_bottom_padding},
      {.id = "M26",
       .op = "relu",
       .argument = "x",
       .title = "mask from gy, not x",
       .exposed = "gy of both signs",
       .plant = mask_from_gy},
      {.id = "M27",
       .op = "relu",
       .argument = "x",
       .title = "1 at 0",
       .exposed = "at_kink",
       .plant = [](const OpInfo& info) { return with_slope_at_zero(info, 1); }},
      {.id = "M27",
       .op = "relu",
       .argument = "x",
       .title = "1/2 at 0",
       .exposed = "at_kink",
       .plant = [](const OpInfo& info) { return with_slope_at_zero(info, 0.5); }},
      {.id = "M28",
       .op = "leaky_relu",
       .argument = "x",
       .title = "slope missing for x < 0",
       .exposed = "negatives",
       .plant = without_slope_below_zero},
      {.id = "M29",
       .op = "softmax",
       .argument = "x",
       .title = "term -y <y, gy> forgotten",
       .exposed = "gy not constant",
       .plant = without_projection},
      {.id = "M30",
       .op = "softmax",
       .argument = "x",
       .title = "wrong axis",
       .exposed = "axis not last",
       .plant = along_the_last_axis},
  };
}

}  // namespace weft
