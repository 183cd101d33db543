#include "kernels/strided.hpp"

#include <algorithm>

#include "kernels/nest.hpp"
#include "kernels/register_transpose.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

using Copy = Nest<2>;
constexpr std::size_t from_side = 0, to_side = 1;

constexpr std::int64_t block_side = 32;  // of what is transposed at once

// block[i, j] = from[j, i]
template <class T>
[[gnu::always_inline]] inline void transpose_block(const T* from, std::int64_t from_stride,
                                                   std::int64_t height, std::int64_t width,
                                                   T (&block)[block_side][block_side]) {
  if constexpr (sizeof(T) == 4) {
    if (height == block_side && width == block_side)
      return transpose(reinterpret_cast<const std::uint32_t*>(from), from_stride, block_side, block_side,
                       reinterpret_cast<std::uint32_t*>(block), block_side);
  }
  for (std::int64_t j = 0; j < width; ++j) {
    for (std::int64_t i = 0; i < height; ++i) block[i][j] = from[j * from_stride + i];
  }
}

// to[r, c] = from[c, r]. Blocks pass through a buffer, so that every cache line of either side is touched in
// one go, also where a large power of two as stride maps all of them to the same place in the cache.
template <class T>
WEFT_VECTOR_LOOP void transpose_tile(const T* from, T* to, std::int64_t rows, std::int64_t columns,
                                     std::int64_t column_from, std::int64_t row_to) {
  alignas(64) T block[block_side][block_side];
  for (std::int64_t r = 0; r < rows; r += block_side) {
    const std::int64_t height = std::min(block_side, rows - r);
    for (std::int64_t c = 0; c < columns; c += block_side) {
      const std::int64_t width = std::min(block_side, columns - c);
      transpose_block(from + c * column_from + r, column_from, height, width, block);
      for (std::int64_t i = 0; i < height; ++i) std::copy_n(block[i], width, to + (r + i) * row_to + c);
    }
  }
}

template <class T>
void copy_tile(const T* from, T* to, std::int64_t rows, std::int64_t columns, const Copy::Loop& row,
               const Copy::Loop& column) {
  const auto [column_from, column_to] = column.step;
  const auto [row_from, row_to] = row.step;
  if (row_from == 1 && column_from > 1 && column_to == 1)
    return transpose_tile(from, to, rows, columns, column_from, row_to);
  for (std::int64_t r = 0; r < rows; ++r, from += row_from, to += row_to) {
    if (column_from == 1 && column_to == 1) {
      std::copy_n(from, columns, to);
    } else if (column_from == 0 && column_to == 1) {
      std::fill_n(to, columns, *from);
    } else {
      for (std::int64_t c = 0; c < columns; ++c) to[c * column_to] = from[c * column_from];
    }
  }
}

template <class T>
void copy(const T* from, T* to, const Shape& shape, const Ints& from_strides, const Ints& to_strides) {
  Copy nest(shape, {from_strides, to_strides});
  if (nest.column().step[from_side] != 1) nest.make_rows_dense(from_side);
  nest.for_each_tile([&](const Copy::Positions& at, std::int64_t rows, std::int64_t columns) {
    copy_tile(from + at[from_side], to + at[to_side], rows, columns, nest.row(), nest.column());
  });
}

template <class T>
WEFT_VECTOR_LOOP void add_row(const T* __restrict from, T* __restrict to, std::int64_t columns) {
#pragma omp simd
  for (std::int64_t c = 0; c < columns; ++c) to[c] += from[c];
}

// `from` is dense.
template <class T>
void add_tile(const T* from, T* to, std::int64_t rows, std::int64_t columns, std::int64_t row_to,
              std::int64_t column_to) {
  for (std::int64_t r = 0; r < rows; ++r, from += columns, to += row_to) {
    if (column_to == 1) {
      add_row(from, to, columns);
    } else {
      for (std::int64_t c = 0; c < columns; ++c) to[c * column_to] += from[c];
    }
  }
}

}  // namespace

Tensor read_strided(const Tensor& x, const StridedView& view) {
  Tensor y(view.shape, x.dtype());
  if (y.elements() == 0) return y;
  visit_dtype(x.dtype(), [&]<class T>() {
    copy(x.values<T>().data() + view.offset, y.mutable_values<T>().data(), view.shape, view.strides,
         view.shape.strides());
  });
  return y;
}

void write_strided(Tensor& y, const StridedView& view, const Tensor& x) {
  if (x.elements() == 0) return;
  visit_dtype(x.dtype(), [&]<class T>() {
    copy(x.values<T>().data(), y.mutable_values<T>().data() + view.offset, view.shape, view.shape.strides(),
         view.strides);
  });
}

void add_strided(Tensor& y, const StridedView& view, const Tensor& x) {
  if (x.elements() == 0) return;
  const Copy nest(view.shape, {view.shape.strides(), view.strides});
  visit_floating(x.dtype(), [&]<class T>() {
    const T* from = x.values<T>().data();
    T* to = y.mutable_values<T>().data() + view.offset;
    nest.for_each_tile([&](const Copy::Positions& at, std::int64_t rows, std::int64_t columns) {
      add_tile(from + at[from_side], to + at[to_side], rows, columns, nest.row().step[to_side],
               nest.column().step[to_side]);
    });
  });
}

}  // namespace weft
