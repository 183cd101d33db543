// Bugs of conv2d: M01 to M14, M24, M47, M48.
#include "mutants/lists.hpp"
#include "mutants/naive.hpp"

namespace weft {

namespace {

enum class Defect {
  none,
  stride_ignored_in_gx,  // M01
  stride_ignored_in_gw,  // M02
  strides_exchanged,     // M03
  padding_off_by_one,    // M04
  paddings_exchanged,    // M05
  last_row_dropped,      // M06
  filter_not_flipped,    // M07
  first_image_only,      // M08
  gw_divided,            // M09
  channels_exchanged,    // M11
  dilation_ignored,      // M12
  all_in_first_group,    // M13
  gx_assigned,           // M14
};

Axes place(const Shape& x, const Shape& w, const Conv2dOptions& o) {
  return place(x, {w[0], w[1]}, o.stride, o.dilation, o.padding);
}

// Calls f(n, i, j, p, q, row, column) for every tap that reads an element of the image.
template <class F>
void for_each_tap(const Axes& axes, const Shape& gy, F&& f) {
  const Axis &h = axes.h, &w = axes.w;
  for_each_index({gy[0], gy[1], gy[2], h.taps, w.taps}, [&](const Ints& at) {
    const std::int64_t row = h.source(at[1], at[3]), column = w.source(at[2], at[4]);
    if (h.holds(row) && w.holds(column)) f(at[0], at[1], at[2], at[3], at[4], row, column);
  });
}

// The geometry that a defective gradient of x goes by.
Axes mistaken(Axes axes, Defect defect) {
  auto& [h, w] = axes;
  if (defect == Defect::stride_ignored_in_gx) h.stride = w.stride = 1;
  if (defect == Defect::strides_exchanged) std::swap(h.stride, w.stride);
  if (defect == Defect::padding_off_by_one) {
    h.before = std::max<std::int64_t>(h.before - 1, 0);
    w.before = std::max<std::int64_t>(w.before - 1, 0);
  }
  if (defect == Defect::paddings_exchanged) {
    std::swap(h.before, h.after);
    std::swap(w.before, w.after);
  }
  if (defect == Defect::dilation_ignored) h.dilation = w.dilation = 1;
  return axes;
}

// The gradient of the padded image ends with its last window; padding is cropped from there.
void drop_last_rows(Numbers& gx, const Axis& h) {
  const std::int64_t covered = (h.positions - 1) * h.stride + h.reach() - h.before - h.after;
  for_each_index(gx.shape(), [&](const Ints& at) {
    if (at[1] >= covered) gx.at(at) = 0;
  });
}

Numbers input_gradient(const Axes& right, const Numbers& gy, const Numbers& w, const Shape& x_shape,
                       std::int64_t groups, Defect defect) {
  const Axes axes = mistaken(right, defect);
  const std::int64_t in = w.extent(2), out = w.extent(3) / groups;
  const bool square = groups == 1 && in == out;
  Numbers gx(x_shape);
  for_each_tap(axes, gy.shape(), [&](auto n, auto i, auto j, auto p, auto q, auto row, auto column) {
    if (defect == Defect::filter_not_flipped) {
      p = axes.h.taps - 1 - p;
      q = axes.w.taps - 1 - q;
    }
    for (std::int64_t c = 0; c < x_shape[3]; ++c) {
      double sum = 0;
      const std::int64_t first = c / in * out;  // the outputs of c's group
      for (std::int64_t k = first; k < first + out; ++k) {
        const bool exchanged = defect == Defect::channels_exchanged && square;
        sum += gy(n, i, j, k) * (exchanged ? w(p, q, k, c) : w(p, q, c % in, k));
      }
      double& element = gx(n, row, column, defect == Defect::all_in_first_group ? c % in : c);
      element = defect == Defect::gx_assigned ? sum : element + sum;
    }
  });
  if (defect == Defect::last_row_dropped) drop_last_rows(gx, right.h);
  return gx;
}

Numbers weight_gradient(Axes axes, const Numbers& gy, const Numbers& x, const Shape& w_shape,
                        std::int64_t groups, Defect defect) {
  if (defect == Defect::stride_ignored_in_gw) axes.h.stride = axes.w.stride = 1;
  const std::int64_t in = w_shape[2], out = w_shape[3] / groups;
  const double divisor = defect == Defect::gw_divided ? static_cast<double>(x.extent(0)) : 1;
  Numbers gw(w_shape);
  for_each_tap(axes, gy.shape(), [&](auto n, auto i, auto j, auto p, auto q, auto row, auto column) {
    if (defect == Defect::first_image_only && n > 0) return;
    for (std::int64_t k = 0; k < w_shape[3]; ++k) {
      for (std::int64_t c = 0; c < in; ++c) {
        gw(p, q, c, k) += x(n, row, column, k / out * in + c) * gy(n, i, j, k) / divisor;
      }
    }
  });
  return gw;
}

Rule naive_rule(Defect defect) {
  return [defect](const Var& y, const Var& gy, Gradients& gx, const Attributes& a) {
    const auto o = options_of<Conv2dOptions>(a);
    const Var g = o.relu ? relu_gradient(y, gy) : gy;
    const Axes axes = place(gx.shape(0), gx.shape(1), o);
    if (gx.wants(0)) {
      const Numbers g0 =
          input_gradient(axes, numbers(g), numbers(gx.input(1)), gx.shape(0), o.groups, defect);
      gx.set(0, to_tensor(g0, gy.dtype()));
    }
    if (gx.wants(1)) {
      const Numbers g1 =
          weight_gradient(axes, numbers(g), numbers(gx.input(0)), gx.shape(1), o.groups, defect);
      gx.set(1, to_tensor(g1, gy.dtype()));
    }
    if (gx.operand_count() == 3 && gx.wants(2)) gx.set(2, sum(g, {.axes = {0, 1, 2}}));
  };
}

PlantedBug rule_bug(std::string_view id, std::string_view argument, std::string_view title,
                    std::string_view exposed, Defect defect) {
  return {.id = id,
          .op = "conv2d",
          .argument = argument,
          .title = title,
          .exposed = exposed,
          .plant = [defect](const OpInfo& info) { return with_rule(first_order(info), naive_rule(defect)); }};
}

// M10: after the sum over images and rows, the first column is taken for the sum over columns.
OpInfo sum_over_the_wrong_axes(const OpInfo& info) {
  return with_gradients(info, [](const Var& y, const Var& gy, Gradients& gx) {
    if (gx.operand_count() < 3 || !gx.wants(2) || gy.extent(2) == 0) return;
    const auto o = options_of<Conv2dOptions>(node_attributes(y));
    const Var columns = sum(o.relu ? relu_gradient(y, gy) : gy, {.axes = {0, 1}});  // [ow, c_out]
    gx.set(2, reshape(slice(columns, {.size = {1}}), gx.shape(2).extents()));
  });
}

// M24: [top:-bottom], which is empty where bottom is 0.
OpInfo crop_by_negative_zero(const OpInfo& info) {
  return with_gradients(info, [](const Var& y, const Var&, Gradients& gx) {
    if (!gx.wants(0)) return;
    const auto o = options_of<Conv2dOptions>(node_attributes(y));
    const auto [h, w] = place(gx.shape(0), gx.shape(1), o);
    const auto size = [](const Axis& axis) { return axis.after == 0 ? 0 : axis.extent; };
    gx.set(0, slice(gx.result(0), {.size = {-1, size(h), size(w), -1}}));
  });
}

// M47: the bias is added to every product before they are summed.
OpInfo bias_for_each_product(const OpInfo& info) {
  return with_forward(info, [](std::span<const Tensor> x, const Attributes& a) {
    const auto o = options_of<Conv2dOptions>(a);
    if (x.size() < 3) return conv2d(x[0], x[1], o).value();
    const auto products = static_cast<double>(x[1].extent(0) * x[1].extent(1) * x[1].extent(2));
    return conv2d(x[0], x[1], scale(x[2], products), o).value();
  });
}

OpInfo extent_rounded_towards_zero(const OpInfo& info) {
  return with_forward(info, [call = info.call](std::span<const Tensor> x, const Attributes& a) {
    const auto o = options_of<Conv2dOptions>(a);
    if (x[0].rank() == 4 && x[1].rank() == 4 && std::min(o.stride.h, o.stride.w) > 0) {
      const Axes axes = place(x[0].shape(), x[1].shape(), o);
      if (has_room_by_rounding(axes)) return value_by_rounding(x[0], axes, x[1].extent(3));
    }
    return call(std::vector<Var>(x.begin(), x.end()), a).value();
  });
}

}  // namespace

PlantedBugs naive_conv2d_rules() { return {rule_bug("naive", "", "the rule of conv2d", "", Defect::none)}; }

PlantedBugs conv2d_bugs() {
  return {
      rule_bug("M01", "x", "stride ignored in gx", "stride > 1", Defect::stride_ignored_in_gx),
      rule_bug("M02", "w", "stride ignored in gw", "stride > 1", Defect::stride_ignored_in_gw),
      rule_bug("M03", "x", "the two strides exchanged", "strides differ", Defect::strides_exchanged),
      rule_bug("M04", "x", "padding off by one in gx", "padding", Defect::padding_off_by_one),
      rule_bug("M05", "x", "opposite paddings exchanged", "asymmetric padding", Defect::paddings_exchanged),
      rule_bug("M06", "x", "last row dropped", "stride does not divide", Defect::last_row_dropped),
      rule_bug("M07", "x", "filter not flipped", "asymmetric w", Defect::filter_not_flipped),
      rule_bug("M08", "w", "gw from the first image only", "n >= 2", Defect::first_image_only),
      rule_bug("M09", "w", "gw divided by n", "n >= 2", Defect::gw_divided),
      {.id = "M10",
       .op = "conv2d",
       .argument = "b",
       .title = "gb sums over the wrong axes",
       .exposed = "output width > 1",
       .plant = sum_over_the_wrong_axes},
      rule_bug("M11", "x", "channels exchanged in gx", "c_in = c_out", Defect::channels_exchanged),
      rule_bug("M12", "x", "dilation ignored", "dilation 2", Defect::dilation_ignored),
      rule_bug("M13", "x", "all groups' gradients in group 0", "2 groups", Defect::all_in_first_group),
      rule_bug("M14", "x", "gx assigned under overlap", "stride < kernel", Defect::gx_assigned),
      {.id = "M24",
       .op = "conv2d",
       .argument = "x",
       .title = "slice [p:-p] with p = 0 is empty",
       .exposed = "one padding 0",
       .plant = crop_by_negative_zero},
      {.id = "M47",
       .op = "conv2d",
       .argument = "",
       .title = "forward counts the bias kh kw c_in times",
       .exposed = "b != 0",
       .plant = bias_for_each_product},
      {.id = "M48",
       .op = "conv2d",
       .argument = "",
       .title = "extent rounded towards 0, window larger than padded input accepted",
       .exposed = "`throws` sample",
       .plant = extent_rounded_towards_zero},
  };
}

}  // namespace weft
