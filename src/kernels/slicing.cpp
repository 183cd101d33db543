#include "kernels/slicing.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace weft {

namespace {

std::int64_t entry_or(const Ints& values, int axis, std::int64_t otherwise) {
  return axis < values.size() ? values[axis] : otherwise;
}

}  // namespace

SliceOptions resolve_slice(std::string_view op, const Shape& shape, const SliceOptions& options,
                           NamedVar argument, SourceLocation at) {
  const auto refuse = [&](const std::string& problem) { fail<ShapeError>(op, problem, {argument}, at); };
  const int named = std::max({options.begin.size(), options.size.size(), options.step.size()});
  if (named > shape.rank()) {
    refuse(fmt::format("{} axes are named but the shape {} has {}", named, to_string(shape), shape.rank()));
  }
  SliceOptions resolved;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t extent = shape[axis], step = entry_or(options.step, axis, 1);
    const std::int64_t given = entry_or(options.begin, axis, 0), begin = given < 0 ? given + extent : given;
    std::int64_t size = entry_or(options.size, axis, -1);
    if (step < 1) refuse(fmt::format("step {} along axis {}: steps are at least 1", step, axis));
    if (size < -1)
      refuse(fmt::format("size {} along axis {}: sizes are at least 0, -1 is up to the end", size, axis));
    if (begin < 0 || begin > extent) {
      refuse(fmt::format("begin {} lies outside axis {}, which has {} elements", given, axis, extent));
    }
    const std::int64_t available = begin < extent ? (extent - begin - 1) / step + 1 : 0;
    if (size > available) {
      refuse(fmt::format("begin {}, size {} and step {} reach outside axis {}, which has {} elements", given,
                         size, step, axis, extent));
    }
    resolved.begin.push_back(begin);
    resolved.size.push_back(size == -1 ? available : size);
    resolved.step.push_back(step);
  }
  return resolved;
}

StridedView view_of_slice(const Shape& shape, const SliceOptions& resolved) {
  StridedView view{Shape(resolved.size), shape.strides()};
  for (int axis = 0; axis < shape.rank(); ++axis) {
    view.offset += resolved.begin[axis] * view.strides[axis];
    if (resolved.size[axis] > 1) view.strides[axis] *= resolved.step[axis];
  }
  return view;
}

}  // namespace weft
