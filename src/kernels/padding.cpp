#include "kernels/padding.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace weft {

namespace {

constexpr std::int64_t largest_padding = std::int64_t{1} << 48;

}  // namespace

PadOptions resolve_padding(std::string_view op, const Shape& shape, const PadOptions& options,
                           NamedVar argument, SourceLocation at) {
  const auto refuse = [&](const std::string& problem) { fail<ShapeError>(op, problem, {argument}, at); };
  const auto every_axis = [&](std::string_view name, Ints counts) {
    if (counts.size() > shape.rank()) {
      refuse(fmt::format("{} names {} axes but the shape {} has {}", name, counts.size(), to_string(shape),
                         shape.rank()));
    }
    for (int axis = 0; axis < counts.size(); ++axis) {
      if (counts[axis] < 0 || counts[axis] > largest_padding) {
        refuse(
            fmt::format("{} is {} along axis {}: it must be between 0 and 2^48", name, counts[axis], axis));
      }
    }
    while (counts.size() < shape.rank()) counts.push_back(0);
    return counts;
  };
  PadOptions resolved = options;
  resolved.before = every_axis("before", options.before);
  resolved.after = every_axis("after", options.after);
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t most = std::max(resolved.before[axis], resolved.after[axis]);
    if (options.mode == PadMode::reflect && most > 0 && shape[axis] <= most) {
      refuse(fmt::format("axis {} has {} elements but reflect needs more than its padding of {}", axis,
                         shape[axis], most));
    }
    if (options.mode == PadMode::replicate && most > 0 && shape[axis] == 0) {
      refuse(fmt::format("axis {} has no element to replicate", axis));
    }
  }
  return resolved;
}

Shape padded_shape(const Shape& shape, const PadOptions& resolved) {
  Ints extents = shape.extents();
  for (int axis = 0; axis < extents.size(); ++axis)
    extents[axis] += resolved.before[axis] + resolved.after[axis];
  return Shape(extents);
}

Tensor padding_sources(std::int64_t extent, const PadOptions& resolved, int axis) {
  const std::int64_t before = resolved.before[axis], last = extent - 1;
  Tensor sources({before + extent + resolved.after[axis]}, DType::i64);
  std::int64_t position = -before;
  for (std::int64_t& source : sources.mutable_values<std::int64_t>()) {
    const std::int64_t mirrored = position < 0 ? -position : position > last ? 2 * last - position : position;
    source = resolved.mode == PadMode::reflect ? mirrored : std::clamp<std::int64_t>(position, 0, last);
    ++position;
  }
  return sources;
}

}  // namespace weft
