#include "kernels/softmax.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/parallel.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

// Sixteen running maxima, which a compiler keeps in one vector: one running maximum is a chain that it must
// not reorder, for the sake of NaN.
template <class T>
WEFT_VECTOR_LOOP T row_largest(const T* x, std::int64_t count) {
  constexpr std::int64_t lanes = 16;
  T largest[lanes];
  std::fill_n(largest, lanes, -std::numeric_limits<T>::infinity());
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
#pragma omp simd
    for (std::int64_t k = 0; k < lanes; ++k) largest[k] = x[i + k] > largest[k] ? x[i + k] : largest[k];
  }
  for (; i < count; ++i) largest[0] = x[i] > largest[0] ? x[i] : largest[0];
  return *std::max_element(largest, largest + lanes);
}

template <class T>
WEFT_VECTOR_LOOP T sum_of_exp(const T* x, T largest, std::int64_t count) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += vector_math::exp(x[i] - largest);
  return sum;
}

template <class T>
WEFT_VECTOR_LOOP T store_exp(const T* __restrict x, T largest, T* __restrict y, std::int64_t count) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) {
    const T e = vector_math::exp(x[i] - largest);
    y[i] = e;
    sum += e;
  }
  return sum;
}

template <class T>
WEFT_VECTOR_LOOP void divide_row(T* y, T divisor, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] /= divisor;
}

template <class T>
WEFT_VECTOR_LOOP void log_softmax_row(const T* __restrict x, T largest, T log_sum, T* __restrict y,
                                      std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = (x[i] - largest) - log_sum;
}

// Columns of a slice [extent, inner] that are worked on together: their maxima and sums stay on the stack.
constexpr std::int64_t most_columns = 256;
template <class T>
struct Columns {
  T largest[most_columns], sum[most_columns];
};

template <class T>
WEFT_VECTOR_LOOP void column_sums(const T* x, std::int64_t extent, std::int64_t inner, std::int64_t columns,
                                  Columns<T>& c) {
  std::fill_n(c.largest, columns, -std::numeric_limits<T>::infinity());
  std::fill_n(c.sum, columns, T(0));
  for (std::int64_t r = 0; r < extent; ++r) {
#pragma omp simd
    for (std::int64_t k = 0; k < columns; ++k) {
      c.largest[k] = x[r * inner + k] > c.largest[k] ? x[r * inner + k] : c.largest[k];
    }
  }
  for (std::int64_t r = 0; r < extent; ++r) {
#pragma omp simd
    for (std::int64_t k = 0; k < columns; ++k) c.sum[k] += vector_math::exp(x[r * inner + k] - c.largest[k]);
  }
}

template <class T>
WEFT_VECTOR_LOOP void softmax_columns(const T* __restrict x, T* __restrict y, std::int64_t extent,
                                      std::int64_t inner, std::int64_t columns) {
  Columns<T> c;
  column_sums(x, extent, inner, columns, c);
  for (std::int64_t r = 0; r < extent; ++r) {
#pragma omp simd
    for (std::int64_t k = 0; k < columns; ++k) {
      y[r * inner + k] = vector_math::exp(x[r * inner + k] - c.largest[k]) / c.sum[k];
    }
  }
}

template <class T>
WEFT_VECTOR_LOOP void log_softmax_columns(const T* __restrict x, T* __restrict y, std::int64_t extent,
                                          std::int64_t inner, std::int64_t columns) {
  Columns<T> c;
  column_sums(x, extent, inner, columns, c);
#pragma omp simd
  for (std::int64_t k = 0; k < columns; ++k) c.sum[k] = vector_math::log(c.sum[k]);
  for (std::int64_t r = 0; r < extent; ++r) {
#pragma omp simd
    for (std::int64_t k = 0; k < columns; ++k) {
      y[r * inner + k] = (x[r * inner + k] - c.largest[k]) - c.sum[k];
    }
  }
}

// gx may be gy.
template <class T>
WEFT_VECTOR_LOOP void softmax_gradient_row(const T* y, const T* gy, T* gx, std::int64_t count) {
  T projection = 0;
#pragma omp simd reduction(+ : projection)
  for (std::int64_t i = 0; i < count; ++i) projection += gy[i] * y[i];
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) gx[i] = y[i] * (gy[i] - projection);
}

template <class T>
WEFT_VECTOR_LOOP void log_softmax_gradient_row(const T* y, const T* gy, T* gx, std::int64_t count) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += gy[i];
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) gx[i] = gy[i] - vector_math::exp(y[i]) * sum;
}

template <class T>
WEFT_VECTOR_LOOP void softmax_gradient_columns(const T* y, const T* gy, T* gx, std::int64_t extent,
                                               std::int64_t inner, std::int64_t columns) {
  T projection[most_columns];
  std::fill_n(projection, columns, T(0));
  for (std::int64_t r = 0; r < extent; ++r) {
#pragma omp simd
    for (std::int64_t k = 0; k < columns; ++k) projection[k] += gy[r * inner + k] * y[r * inner + k];
  }
  for (std::int64_t r = 0; r < extent; ++r) {
#pragma omp simd
    for (std::int64_t k = 0; k < columns; ++k)
      gx[r * inner + k] = y[r * inner + k] * (gy[r * inner + k] - projection[k]);
  }
}

template <class T>
WEFT_VECTOR_LOOP void log_softmax_gradient_columns(const T* y, const T* gy, T* gx, std::int64_t extent,
                                                   std::int64_t inner, std::int64_t columns) {
  T sum[most_columns];
  std::fill_n(sum, columns, T(0));
  for (std::int64_t r = 0; r < extent; ++r) {
#pragma omp simd
    for (std::int64_t k = 0; k < columns; ++k) sum[k] += gy[r * inner + k];
  }
  for (std::int64_t r = 0; r < extent; ++r) {
#pragma omp simd
    for (std::int64_t k = 0; k < columns; ++k)
      gx[r * inner + k] = gy[r * inner + k] - vector_math::exp(y[r * inner + k]) * sum[k];
  }
}

// `shape` as [outer, extent, inner]: row(offset, extent) for each row where inner is 1, else
// block(offset, extent, inner, columns) for each block of columns; offset is that of the first element.
template <class Row, class Block>
void along_axis(const Shape& shape, int axis, Row row, Block block) {
  const std::int64_t extent = shape[axis];
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i < axis) outer *= shape[i];
    if (i > axis) inner *= shape[i];
  }
  if (inner == 1) {
    parallel_for(outer, softmax_row_grain(extent), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t o = begin; o < end; ++o) row(o * extent, extent);
    });
    return;
  }
  const std::int64_t blocks = (inner + most_columns - 1) / most_columns;
  const std::int64_t grain = softmax_row_grain(extent * std::min(inner, most_columns));
  parallel_for(outer * blocks, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = i % blocks * most_columns, offset = i / blocks * extent * inner + first;
      block(offset, extent, inner, std::min(most_columns, inner - first));
    }
  });
}

// row(x, y, extent) and block(x, y, extent, inner, columns)
template <class Row, class Block>
Tensor map_along(const Tensor& x, int axis, Row row, Block block) {
  Tensor y = Tensor::like(x);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* from = x.values<T>().data();
    T* to = y.mutable_values<T>().data();
    along_axis(
        x.shape(), axis,
        [&](std::int64_t offset, auto... extents) { row(from + offset, to + offset, extents...); },
        [&](std::int64_t offset, auto... extents) { block(from + offset, to + offset, extents...); });
  });
  return y;
}

// row(y, gy, gx, extent) and block(y, gy, gx, extent, inner, columns)
template <class Row, class Block>
Tensor zip_along(const Tensor& y, Tensor gy, int axis, Row row, Block block) {
  Tensor fresh = gy.is_unique() ? Tensor() : Tensor::like(gy);
  Tensor& gx = fresh.defined() ? fresh : gy;
  visit_floating(y.dtype(), [&]<class T>() {
    const T *of_y = y.values<T>().data(), *of_gy = gy.values<T>().data();
    T* to = gx.mutable_values<T>().data();
    along_axis(
        y.shape(), axis,
        [&](std::int64_t offset, auto... extents) {
          row(of_y + offset, of_gy + offset, to + offset, extents...);
        },
        [&](std::int64_t offset, auto... extents) {
          block(of_y + offset, of_gy + offset, to + offset, extents...);
        });
  });
  return std::move(gx);
}

}  // namespace

template <class T>
RowSum<T> row_exp_sum(const T* x, std::int64_t count) {
  const T largest = row_largest(x, count);
  return {largest, sum_of_exp(x, largest, count)};
}

template <class T>
void softmax_row(const T* x, T* y, std::int64_t count) {
  const T sum = store_exp(x, row_largest(x, count), y, count);
  divide_row(y, sum, count);
}

template RowSum<float> row_exp_sum(const float*, std::int64_t);
template RowSum<double> row_exp_sum(const double*, std::int64_t);
template void softmax_row(const float*, float*, std::int64_t);
template void softmax_row(const double*, double*, std::int64_t);

Tensor softmax_along(const Tensor& x, int axis) {
  return map_along(
      x, axis, [](auto... slice) { softmax_row(slice...); },
      [](auto... slice) { softmax_columns(slice...); });
}

Tensor log_softmax_along(const Tensor& x, int axis) {
  const auto row = []<class T>(const T* from, T* to, std::int64_t count) {
    const auto [largest, sum] = row_exp_sum(from, count);
    log_softmax_row(from, largest, vector_math::log(sum), to, count);
  };
  return map_along(x, axis, row, [](auto... slice) { log_softmax_columns(slice...); });
}

Tensor softmax_gradient_along(const Tensor& y, Tensor gy, int axis) {
  return zip_along(
      y, std::move(gy), axis, [](auto... slice) { softmax_gradient_row(slice...); },
      [](auto... slice) { softmax_gradient_columns(slice...); });
}

Tensor log_softmax_gradient_along(const Tensor& y, Tensor gy, int axis) {
  return zip_along(
      y, std::move(gy), axis, [](auto... slice) { log_softmax_gradient_row(slice...); },
      [](auto... slice) { log_softmax_gradient_columns(slice...); });
}

}  // namespace weft
