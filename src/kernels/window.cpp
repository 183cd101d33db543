#include "kernels/window.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace weft {

namespace {

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::string pair_text(Size2 size) { return fmt::format("({}, {})", size.h, size.w); }

WindowAxis make_axis(WindowAxis axis, bool keeps_size) {
  if (keeps_size) {
    axis.positions = ceil_divide(axis.extent, axis.stride);
    const std::int64_t padding =
        std::max<std::int64_t>((axis.positions - 1) * axis.stride + axis.reach() - axis.extent, 0);
    axis.before = axis.positions == 0 ? 0 : padding / 2;
    axis.after = axis.positions == 0 ? 0 : padding - axis.before;
  } else {
    axis.positions = (axis.extent + axis.before + axis.after - axis.reach()) / axis.stride + 1;
  }
  return axis;
}

std::string reach_problem(std::string_view what, std::int64_t taps, std::int64_t dilation,
                          std::int64_t extent, std::int64_t padded) {
  const std::int64_t reach = (taps - 1) * dilation + 1;
  if (reach <= padded) return "";
  return fmt::format("the window's {} {}{} is larger than the padded image's {} ({} + {})", what, reach,
                     dilation > 1 ? fmt::format(" ({} taps with dilation {})", taps, dilation) : "", padded,
                     extent, padded - extent);
}

}  // namespace

// Without a division where no tap reads padding, which is nearly everywhere.
std::int64_t WindowAxis::first_tap(std::int64_t position) const {
  const std::int64_t missing = -source(position, 0);
  return missing <= 0 ? 0 : std::min(ceil_divide(missing, dilation), taps);
}

std::int64_t WindowAxis::last_tap(std::int64_t position) const {
  const std::int64_t available = extent - source(position, 0);
  if (available >= reach()) return taps;
  return std::min(ceil_divide(std::max<std::int64_t>(available, 0), dilation), taps);
}

std::string window_problem(Size2 extent, const WindowOptions& o) {
  constexpr std::int64_t largest = std::numeric_limits<std::int32_t>::max();
  const auto outside = [](Size2 size) {
    return std::min(size.h, size.w) < 1 || std::max(size.h, size.w) > largest;
  };
  if (outside(o.taps)) return fmt::format("a window of {} must be between 1 and 2^31 - 1", pair_text(o.taps));
  if (outside(o.stride)) return fmt::format("stride {} must be between 1 and 2^31 - 1", pair_text(o.stride));
  if (outside(o.dilation))
    return fmt::format("dilation {} must be between 1 and 2^31 - 1", pair_text(o.dilation));
  if (o.padding.kind == Padding::Kind::same) return "";
  const auto [top, bottom, left, right] =
      std::array{o.padding.top, o.padding.bottom, o.padding.left, o.padding.right};
  if (std::min({top, bottom, left, right}) < 0 || std::max({top, bottom, left, right}) > largest) {
    return fmt::format("padding ({}, {}, {}, {}) must be between 0 and 2^31 - 1", top, bottom, left, right);
  }
  const std::string problem =
      reach_problem("height", o.taps.h, o.dilation.h, extent.h, extent.h + top + bottom);
  return problem.empty() ? reach_problem("width", o.taps.w, o.dilation.w, extent.w, extent.w + left + right)
                         : problem;
}

Window make_window(Size2 extent, const WindowOptions& o) {
  const bool keeps_size = o.padding.kind == Padding::Kind::same;
  const Padding& p = o.padding;
  return {make_axis({extent.h, o.taps.h, o.stride.h, o.dilation.h, p.top, p.bottom}, keeps_size),
          make_axis({extent.w, o.taps.w, o.stride.w, o.dilation.w, p.left, p.right}, keeps_size)};
}

}  // namespace weft
