#include "weft/shape.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace weft {

Ints::Ints(std::span<const std::int64_t> values) {
  for (const std::int64_t value : values) push_back(value);
}

Ints Ints::filled(int count, std::int64_t value) {
  Ints ints;
  for (int i = 0; i < count; ++i) ints.push_back(value);
  return ints;
}

void Ints::push_back(std::int64_t value) {
  if (size_ == capacity)
    throw ShapeError(fmt::format("more than {} axes: tensors have at most {}", capacity, capacity));
  values_[size_++] = value;
}

bool Ints::contains(std::int64_t value) const { return std::find(begin(), end(), value) != end(); }

Shape::Shape(const Ints& extents) : extents_(extents) {
  constexpr std::int64_t limit = std::int64_t{1} << 62;
  std::int64_t count = 1;
  bool overflows = false;
  for (const std::int64_t extent : extents) {
    if (extent < 0) throw ShapeError(fmt::format("shape {} has a negative extent", to_string(*this)));
    overflows = overflows || (extent > 0 && count > limit / extent);
    count *= overflows ? 1 : std::max<std::int64_t>(extent, 1);
  }
  if (overflows) throw ShapeError(fmt::format("shape {} has more than 2^62 elements", to_string(*this)));
}

Shape Shape::with(int axis, std::int64_t extent) const {
  Ints extents = extents_;
  extents[axis < 0 ? axis + rank() : axis] = extent;
  return Shape(extents);
}

Shape Shape::without(int axis) const {
  const int removed = axis < 0 ? axis + rank() : axis;
  Ints extents;
  for (int i = 0; i < rank(); ++i) {
    if (i != removed) extents.push_back(extents_[i]);
  }
  return Shape(extents);
}

Ints Shape::strides() const {
  Ints strides = Ints::filled(rank(), 1);
  for (int axis = rank() - 2; axis >= 0; --axis) strides[axis] = strides[axis + 1] * extents_[axis + 1];
  return strides;
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::string to_string(const Ints& values) { return fmt::format("({})", fmt::join(values, ", ")); }

int normalize_axis(std::string_view who, std::int64_t axis, int rank) {
  if (axis >= -rank && axis < rank) return static_cast<int>(axis < 0 ? axis + rank : axis);
  if (rank == 0) throw ShapeError(fmt::format("{}: axis {} of a scalar, which has none", who, axis));
  throw ShapeError(fmt::format("{}: axis {} is outside [{}, {}]", who, axis, -rank, rank - 1));
}

Ints normalize_axes(std::string_view who, const Ints& axes, int rank) {
  Ints result;
  for (int axis = 0; axes.empty() && axis < rank; ++axis) result.push_back(axis);
  for (const std::int64_t axis : axes) {
    const int normal = normalize_axis(who, axis, rank);
    if (result.contains(normal)) throw ShapeError(fmt::format("{}: axis {} is given twice", who, axis));
    result.push_back(normal);
  }
  if (!result.empty()) std::sort(&result[0], &result[0] + result.size());
  return result;
}

bool broadcastable(const Shape& a, const Shape& b) {
  for (int i = 1; i <= std::min(a.rank(), b.rank()); ++i) {
    if (a[-i] != b[-i] && a[-i] != 1 && b[-i] != 1) return false;
  }
  return true;
}

Shape broadcast(const Shape& a, const Shape& b) {
  if (!broadcastable(a, b)) {
    throw ShapeError(
        fmt::format("shapes {} and {} do not broadcast: extents must agree or be 1, from the last axis on",
                    to_string(a), to_string(b)));
  }
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Ints extents = longer.extents();
  for (int i = 1; i <= shorter.rank(); ++i) {
    if (longer[-i] == 1) extents[longer.rank() - i] = shorter[-i];
  }
  return Shape(extents);
}

bool broadcastable_to(const Shape& from, const Shape& to) {
  if (from.rank() > to.rank()) return false;
  for (int i = 1; i <= from.rank(); ++i) {
    if (from[-i] != to[-i] && from[-i] != 1) return false;
  }
  return true;
}

Ints broadcast_strides(const Shape& from, const Shape& to) {
  const Ints dense = from.strides();
  Ints strides = Ints::filled(to.rank(), 0);
  for (int i = 1; i <= from.rank(); ++i) {
    if (from[-i] != 1) strides[to.rank() - i] = dense[from.rank() - i];
  }
  return strides;
}

Shape reduced_shape(const Shape& shape, const Ints& axes, bool keep_axes) {
  Ints extents;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool reduced = axes.contains(axis);
    if (!reduced) extents.push_back(shape[axis]);
    if (reduced && keep_axes) extents.push_back(1);
  }
  return Shape(extents);
}

}  // namespace weft
