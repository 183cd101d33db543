#include "kernels/indexed.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/elementwise.hpp"

namespace weft {

namespace {

// [outer, extent, inner], of which slices of `inner` elements are moved.
struct Slices {
  std::int64_t outer = 1, extent = 1, inner = 1;
};

Slices slices_of(const Shape& shape, int axis) {
  Slices slices{.extent = shape[axis]};
  for (int i = 0; i < axis; ++i) slices.outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) slices.inner *= shape[i];
  return slices;
}

// Slices of x at `count` positions. Those whose positions follow one another are copied at once; for
// single elements the search costs more than it saves.
template <class T>
void gather_row(const T* x, const std::int64_t* positions, T* y, std::int64_t count, std::int64_t inner) {
  if (inner == 1) {
    for (std::int64_t i = 0; i < count; ++i) y[i] = x[positions[i]];
    return;
  }
  for (std::int64_t i = 0, run = 1; i < count; i += run, y += run * inner) {
    run = 1;
    while (i + run < count && positions[i + run] == positions[i] + run) ++run;
    std::copy_n(x + positions[i] * inner, run * inner, y);
  }
}

// Slices [begin, end) of all outer * count slices of y.
template <class T>
void gather_range(const T* x, const std::int64_t* positions, T* y, const Slices& from, std::int64_t count,
                  std::int64_t begin, std::int64_t end) {
  while (begin < end) {
    const std::int64_t outer = begin / count, first = begin % count;
    const std::int64_t length = std::min(count - first, end - begin);
    gather_row(x + outer * from.extent * from.inner, positions + first, y + begin * from.inner, length,
               from.inner);
    begin += length;
  }
}

template <class T>
WEFT_VECTOR_LOOP void add_slice(const T* __restrict x, T* __restrict y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] += x[i];
}

// Elements [begin, end) of every slice of one outer position. Whole slices whose positions follow one another
// are added at once.
template <class T>
void scatter_range(const T* gy, const std::int64_t* positions, T* y, std::int64_t count, std::int64_t inner,
                   std::int64_t begin, std::int64_t end) {
  if (inner == 1) {  // begin is 0 and end 1
    for (std::int64_t i = 0; i < count; ++i) y[positions[i]] += gy[i];
    return;
  }
  const bool whole = end - begin == inner;
  for (std::int64_t i = 0, run = 1; i < count; i += run) {
    run = 1;
    while (whole && i + run < count && positions[i + run] == positions[i] + run) ++run;
    const T* from = gy + i * inner + begin;
    T* to = y + positions[i] * inner + begin;
    const std::int64_t length = whole ? run * inner : end - begin;
    add_slice(from, to, length);
  }
}

}  // namespace

void require_indices(std::string_view op, NamedVar index, std::int64_t bound, SourceLocation at) {
  require_integer(op, index, at);
  visit_dtype(index.var.dtype(), [&]<class T>() {
    const auto values = index.var.value().values<T>();
    const auto outside = [&](T value) {
      return static_cast<std::int64_t>(value) < 0 || static_cast<std::int64_t>(value) >= bound;
    };
    const auto found = std::ranges::find_if(values, outside);
    if (found == values.end()) return;
    Ints position = Ints::filled(index.var.rank(), 0);
    std::int64_t left = found - values.begin();
    for (int axis = position.size() - 1; axis >= 0; --axis) {
      position[axis] = left % index.var.extent(axis);
      left /= index.var.extent(axis);
    }
    fail<Error>(op,
                fmt::format("{} {} at {} is outside [0, {})", index.name, *found, to_string(position), bound),
                {index}, at);
  });
}

Tensor gather_slices(const Tensor& x, const Tensor& index, int axis) {
  Ints extents;
  for (int i = 0; i < axis; ++i) extents.push_back(x.extent(i));
  for (const std::int64_t extent : index.shape()) extents.push_back(extent);
  for (int i = axis + 1; i < x.rank(); ++i) extents.push_back(x.extent(i));
  Tensor y(Shape(extents), x.dtype());
  if (y.elements() == 0) return y;
  const Slices from = slices_of(x.shape(), axis);
  const Tensor positions = index.to(DType::i64);
  const std::int64_t* position = positions.values<std::int64_t>().data();
  const std::int64_t count = index.elements();
  visit_dtype(x.dtype(), [&]<class T>() {
    const T* source = x.values<T>().data();
    T* target = y.mutable_values<T>().data();
    parallel_for(from.outer * count, std::max<std::int64_t>(1, elementwise_grain / from.inner),
                 [&](std::int64_t begin, std::int64_t end) {
                   gather_range(source, position, target, from, count, begin, end);
                 });
  });
  return y;
}

Tensor scatter_add_slices(const Tensor& gy, const Tensor& index, int axis, const Shape& shape) {
  Tensor y = Tensor::zeros(shape, gy.dtype());
  add_slices(y, gy, index, axis);
  return y;
}

void add_slices(Tensor& y, const Tensor& gy, const Tensor& index, int axis) {
  if (gy.elements() == 0) return;
  const Slices to = slices_of(y.shape(), axis);
  const Tensor positions = index.to(DType::i64);
  const std::int64_t* position = positions.values<std::int64_t>().data();
  const std::int64_t count = index.elements();
  visit_floating(gy.dtype(), [&]<class T>() {
    const T* source = gy.values<T>().data();
    T* target = y.mutable_values<T>().data();
    if (to.outer == 1) {
      parallel_for(to.inner, std::max<std::int64_t>(16, elementwise_grain / count),
                   [&](std::int64_t begin, std::int64_t end) {
                     scatter_range(source, position, target, count, to.inner, begin, end);
                   });
      return;
    }
    parallel_for(to.outer, std::max<std::int64_t>(1, elementwise_grain / (count * to.inner)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t o = begin; o < end; ++o) {
                     scatter_range(source + o * count * to.inner, position, target + o * to.extent * to.inner,
                                   count, to.inner, std::int64_t{0}, to.inner);
                   }
                 });
  });
}

}  // namespace weft
