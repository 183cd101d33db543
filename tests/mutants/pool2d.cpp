// Bugs of pool2d: M15 to M23, M48.
#include <cmath>
#include <utility>

#include "mutants/lists.hpp"
#include "mutants/naive.hpp"

namespace weft {

namespace {

enum class Defect {
  none,
  all_ties,                // M15
  last_tie,                // M16
  first_tie_for_each,      // M16
  max_stride_ignored,      // M17
  overlaps_overwrite,      // M18
  padding_competes,        // M19
  relative_index,          // M20
  near_ties,               // M21
  padding_counted,         // M22
  padding_not_counted,     // M22
  average_stride_ignored,  // M23
};

using Position = std::pair<std::int64_t, std::int64_t>;

Axes place(const Shape& x, const Pool2dOptions& o) {
  return place(x, o.window, o.stride.value_or(o.window), 1, o.padding);
}

// The elements of the window at (i, j), row by row.
std::vector<Position> taps_of(const Axes& axes, std::int64_t i, std::int64_t j) {
  std::vector<Position> taps;
  for_each_index({axes.h.taps, axes.w.taps}, [&](const Ints& tap) {
    const std::int64_t row = axes.h.source(i, tap[0]), column = axes.w.source(j, tap[1]);
    if (axes.h.holds(row) && axes.w.holds(column)) taps.emplace_back(row, column);
  });
  return taps;
}

bool beats(double value, double best) { return value > best || (std::isnan(value) && !std::isnan(best)); }

// The first largest element, and what ties with it.
struct Winners {
  double largest = 0;
  std::vector<Position> positions;
};
Winners winners_of(const Numbers& x, std::int64_t n, std::int64_t c, const std::vector<Position>& taps,
                   double gap) {
  Winners winners;
  for (std::size_t t = 0; t < taps.size(); ++t) {
    const double value = x(n, taps[t].first, taps[t].second, c);
    if (t == 0 || beats(value, winners.largest)) winners = {value, {taps[t]}};
  }
  const Position first = winners.positions[0];
  for (const Position& tap : taps) {
    const bool ties = std::fabs(x(n, tap.first, tap.second, c) - winners.largest) <= gap;
    if (ties && tap != first) winners.positions.push_back(tap);
  }
  return winners;
}

void add_max(Numbers& gx, const Axes& axes, const Numbers& x, const Numbers& gy, Defect defect) {
  const std::int64_t width = x.extent(2), window_width = axes.w.taps;
  for_each_index(gy.shape(), [&](const Ints& o) {
    const std::vector<Position> taps = taps_of(axes, o[1], o[2]);
    if (taps.empty()) return;
    Winners winners = winners_of(x, o[0], o[3], taps, defect == Defect::near_ties ? 0.01 : 0);
    std::vector<Position>& to = winners.positions;
    const bool is_padded = static_cast<std::int64_t>(taps.size()) < axes.h.taps * axes.w.taps;
    if (defect == Defect::padding_competes && is_padded && winners.largest < 0) return;
    if (defect == Defect::last_tie) to = {*std::ranges::max_element(to)};
    if (defect == Defect::first_tie_for_each) to.assign(to.size(), to[0]);
    if (defect == Defect::relative_index) {
      const std::int64_t row = to[0].first - axes.h.source(o[1], 0),
                         column = to[0].second - axes.w.source(o[2], 0);
      const std::int64_t index = row * window_width + column;  // within the window, read within the image
      to = {{index / width, index % width}};
    }
    const bool several =
        defect == Defect::all_ties || defect == Defect::first_tie_for_each || defect == Defect::near_ties;
    if (!several) to.resize(1);
    for (const auto& [row, column] : to) {
      if (!axes.h.holds(row)) continue;
      double& element = gx(o[0], row, column, o[3]);
      element = defect == Defect::overlaps_overwrite ? gy.at(o) : element + gy.at(o);
    }
  });
}

void add_average(Numbers& gx, const Axes& axes, const Numbers& gy, bool include_padding) {
  for_each_index(gy.shape(), [&](const Ints& o) {
    const std::vector<Position> taps = taps_of(axes, o[1], o[2]);
    const auto divisor = static_cast<double>(include_padding ? axes.h.taps * axes.w.taps
                                                             : static_cast<std::int64_t>(taps.size()));
    for (const auto& [row, column] : taps) gx(o[0], row, column, o[3]) += gy.at(o) / divisor;
  });
}

Rule naive_rule(Defect defect) {
  return [defect](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
    const auto o = options_of<Pool2dOptions>(a);
    const bool is_max = o.kind == PoolKind::max;
    Axes axes = place(gx.shape(0), o);
    if (defect == (is_max ? Defect::max_stride_ignored : Defect::average_stride_ignored))
      axes.h.stride = axes.w.stride = 1;
    const bool include_padding =
        (o.include_padding || defect == Defect::padding_counted) && defect != Defect::padding_not_counted;
    Numbers g(gx.shape(0));
    if (is_max)
      add_max(g, axes, numbers(gx.input(0)), numbers(gy), defect);
    else
      add_average(g, axes, numbers(gy), include_padding);
    gx.set(0, to_tensor(g, gy.dtype()));
  };
}

PlantedBug rule_bug(std::string_view id, std::string_view title, std::string_view exposed, Defect defect) {
  return {.id = id,
          .op = "pool2d",
          .argument = "x",
          .title = title,
          .exposed = exposed,
          .plant = [defect](const OpInfo& info) { return with_rule(first_order(info), naive_rule(defect)); }};
}

// M19: the image is padded with 0, and then each window's maximum is taken.
OpInfo padding_beats_negatives(const OpInfo& info) {
  const OpInfo forward =
      with_forward(first_order(info), [call = info.call](std::span<const Tensor> x, const Attributes& a) {
        const auto o = options_of<Pool2dOptions>(a);
        const Tensor y = call(std::vector<Var>(x.begin(), x.end()), a).value();
        if (o.kind == PoolKind::average) return y;
        const Axes axes = place(x[0].shape(), o);
        Numbers values = numbers(y);
        for_each_index(values.shape(), [&](const Ints& at) {
          const auto elements = static_cast<std::int64_t>(taps_of(axes, at[1], at[2]).size());
          if (elements < axes.h.taps * axes.w.taps && values.at(at) < 0) values.at(at) = 0;
        });
        return to_tensor(values, y.dtype());
      });
  return with_rule(forward, naive_rule(Defect::padding_competes));
}

OpInfo extent_rounded_towards_zero(const OpInfo& info) {
  return with_forward(info, [call = info.call](std::span<const Tensor> x, const Attributes& a) {
    const auto o = options_of<Pool2dOptions>(a);
    const Size2 stride = o.stride.value_or(o.window);
    if (x[0].rank() == 4 && std::min(stride.h, stride.w) > 0) {
      const Axes axes = place(x[0].shape(), o);
      if (has_room_by_rounding(axes)) return value_by_rounding(x[0], axes, x[0].extent(3));
    }
    return call(std::vector<Var>(x.begin(), x.end()), a).value();
  });
}

}  // namespace

PlantedBugs naive_pool2d_rules() { return {rule_bug("naive", "the rule of pool2d", "", Defect::none)}; }

PlantedBugs pool2d_bugs() {
  return {
      rule_bug("M15", "max pool: gradient to all ties", "ties", Defect::all_ties),
      rule_bug("M16", "max pool: gradient to the last tie", "ties", Defect::last_tie),
      rule_bug("M16", "max pool: each tie's gradient to the first", "ties", Defect::first_tie_for_each),
      rule_bug("M17", "max pool: stride ignored", "stride != kernel", Defect::max_stride_ignored),
      rule_bug("M18", "max pool: overlaps overwrite", "stride < kernel", Defect::overlaps_overwrite),
      {.id = "M19",
       .op = "pool2d",
       .argument = "",
       .title = "max pool: padding is 0, beats negatives",
       .exposed = "negative, padded",
       .plant = padding_beats_negatives},
      rule_bug("M20", "max pool: index relative to window", "several windows", Defect::relative_index),
      rule_bug("M21", "max pool: mask abs(x - max) < 1e-2", "gaps < 1e-2", Defect::near_ties),
      rule_bug("M22", "mean pool: divisor counts padding", "padding, both modes", Defect::padding_counted),
      rule_bug("M22", "mean pool: divisor does not count padding", "padding, both modes",
               Defect::padding_not_counted),
      rule_bug("M23", "mean pool: stride ignored", "stride > 1", Defect::average_stride_ignored),
      {.id = "M48",
       .op = "pool2d",
       .argument = "",
       .title = "extent rounded towards 0, window larger than padded input accepted",
       .exposed = "`throws` sample",
       .plant = extent_rounded_towards_zero},
  };
}

}  // namespace weft
