#include "kernels/strided.hpp"

#include <algorithm>

#include "kernels/elementwise.hpp"

namespace weft {

namespace {

// One loop of a copy, with its step on either side.
struct Loop {
  std::int64_t extent = 1, from = 1, to = 1;
};

// A copy as nested loops: `outer` ones, outermost first, around a tile of rows and columns.
struct Nest {
  std::array<Loop, Shape::max_rank> outer;
  int outer_count = 0;
  Loop row, column;
};

// Loops that both sides walk as one are merged. The columns are the last axis; the rows, where the columns do
// not lie side by side on the `from` side, those that do.
Nest nest_of(const Shape& shape, const Ints& from, const Ints& to) {
  Nest nest;
  int count = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const Loop loop{shape[axis], from[axis], to[axis]};
    if (loop.extent == 1) continue;
    Loop* before = count > 0 ? &nest.outer[static_cast<std::size_t>(count - 1)] : nullptr;
    if (before && before->from == loop.from * loop.extent && before->to == loop.to * loop.extent) {
      *before = {before->extent * loop.extent, loop.from, loop.to};
    } else {
      nest.outer[static_cast<std::size_t>(count++)] = loop;
    }
  }
  if (count > 0) nest.column = nest.outer[static_cast<std::size_t>(--count)];
  const auto begin = nest.outer.begin(), end = begin + count;
  if (nest.column.from != 1) {
    const auto dense = std::find_if(begin, end, [](const Loop& loop) { return loop.from == 1; });
    if (dense != end) std::rotate(dense, dense + 1, end);
  }
  if (count > 0) nest.row = nest.outer[static_cast<std::size_t>(--count)];
  nest.outer_count = count;
  return nest;
}

// to[r, c] = from[c, r]. Blocks pass through a buffer, so that every cache line of either side is touched in
// one go, also where a large power of two as stride maps all of them to the same place in the cache.
template <class T>
void transpose_tile(const T* from, T* to, std::int64_t rows, std::int64_t columns, std::int64_t column_from,
                    std::int64_t row_to) {
  constexpr std::int64_t side = 16;
  T block[side][side];
  for (std::int64_t r = 0; r < rows; r += side) {
    const std::int64_t height = std::min(side, rows - r);
    for (std::int64_t c = 0; c < columns; c += side) {
      const std::int64_t width = std::min(side, columns - c);
      for (std::int64_t j = 0; j < width; ++j) {
        const T* line = from + (c + j) * column_from + r;
        for (std::int64_t i = 0; i < height; ++i) block[i][j] = line[i];
      }
      for (std::int64_t i = 0; i < height; ++i) std::copy_n(block[i], width, to + (r + i) * row_to + c);
    }
  }
}

template <class T>
void copy_tile(const T* from, T* to, std::int64_t rows, const Loop& row, const Loop& column) {
  if (row.from == 1 && column.from > 1 && column.to == 1) {
    return transpose_tile(from, to, rows, column.extent, column.from, row.to);
  }
  for (std::int64_t r = 0; r < rows; ++r, from += row.from, to += row.to) {
    if (column.from == 1 && column.to == 1) {
      std::copy_n(from, column.extent, to);
    } else if (column.from == 0 && column.to == 1) {
      std::fill_n(to, column.extent, *from);
    } else {
      for (std::int64_t c = 0; c < column.extent; ++c) to[c * column.to] = from[c * column.from];
    }
  }
}

template <class T>
void copy_nest(const T* from, T* to, const Nest& nest) {
  std::int64_t rows = nest.row.extent;
  for (int axis = 0; axis < nest.outer_count; ++axis)
    rows *= nest.outer[static_cast<std::size_t>(axis)].extent;
  const std::int64_t grain = std::max<std::int64_t>(1, elementwise_grain / nest.column.extent);
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t first = begin % nest.row.extent,
                         count = std::min(nest.row.extent - first, end - begin);
      const T* source = from + first * nest.row.from;
      T* target = to + first * nest.row.to;
      std::int64_t left = begin / nest.row.extent;
      for (int axis = nest.outer_count - 1; axis >= 0; --axis) {
        const Loop& loop = nest.outer[static_cast<std::size_t>(axis)];
        source += left % loop.extent * loop.from;
        target += left % loop.extent * loop.to;
        left /= loop.extent;
      }
      copy_tile(source, target, count, nest.row, nest.column);
      begin += count;
    }
  });
}

}  // namespace

Tensor read_strided(const Tensor& x, const StridedView& view) {
  Tensor y(view.shape, x.dtype());
  if (y.elements() == 0) return y;
  const Nest nest = nest_of(view.shape, view.strides, view.shape.strides());
  visit_dtype(x.dtype(), [&]<class T>() {
    copy_nest(x.values<T>().data() + view.offset, y.mutable_values<T>().data(), nest);
  });
  return y;
}

void write_strided(Tensor& y, const StridedView& view, const Tensor& x) {
  if (x.elements() == 0) return;
  const Nest nest = nest_of(view.shape, view.shape.strides(), view.strides);
  visit_dtype(x.dtype(), [&]<class T>() {
    copy_nest(x.values<T>().data(), y.mutable_values<T>().data() + view.offset, nest);
  });
}

}  // namespace weft
