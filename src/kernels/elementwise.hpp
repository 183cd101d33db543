// Elementwise loops over a formula that an op writes once:
//   struct Square { template <class T> T operator()(T x) const { return x * x; } };
//   Tensor y = map(x, Square{});
#pragma once

#include <array>
#include <utility>

#include "kernels/parallel.hpp"
#include "kernels/vector_math.hpp"
#include "weft/tensor.hpp"

namespace weft {

inline constexpr std::int64_t elementwise_grain = 32768;  // elements: less is not worth a second thread

namespace detail {

// y may be x, a or b: element by element.
template <class T, class F>
WEFT_VECTOR_LOOP void map_loop(const T* x, T* y, std::int64_t count, F f) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = f(x[i]);
}

// One operand may be one number for the whole range: its step is 0.
template <class T, class F>
WEFT_VECTOR_LOOP void zip_loop(const T* a, const T* b, T* y, std::int64_t count, F f) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = f(a[i], b[i]);
}
template <class T, class F>
WEFT_VECTOR_LOOP void zip_first_fixed(T a, const T* b, T* __restrict y, std::int64_t count, F f) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = f(a, b[i]);
}
template <class T, class F>
WEFT_VECTOR_LOOP void zip_second_fixed(const T* a, T b, T* __restrict y, std::int64_t count, F f) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = f(a[i], b);
}

// The rows of N operands read through strides: calls row(offsets of the operands, offset of y) for each index
// of all axes but the last.
template <std::size_t N, class Row>
void for_each_row(const Shape& shape, const std::array<Ints, N>& strides, Row&& row) {
  const int outer = shape.rank() - 1;
  const std::int64_t length = shape[-1];
  std::int64_t rows = 1;
  for (int axis = 0; axis < outer; ++axis) rows *= shape[axis];
  Ints index = Ints::filled(outer, 0);
  std::array<std::int64_t, N> offsets{};
  for (std::int64_t r = 0; r < rows; ++r) {
    row(std::as_const(offsets), r * length);
    for (int axis = outer - 1; axis >= 0; --axis) {
      for (std::size_t i = 0; i < N; ++i) offsets[i] += strides[i][axis];
      if (++index[axis] < shape[axis]) break;
      for (std::size_t i = 0; i < N; ++i) offsets[i] -= strides[i][axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

template <class T, class F>
void zip_broadcast(const T* a, const Shape& a_shape, const T* b, const Shape& b_shape, T* y,
                   const Shape& y_shape, F f) {
  const std::array<Ints, 2> strides{broadcast_strides(a_shape, y_shape), broadcast_strides(b_shape, y_shape)};
  const int last = y_shape.rank() - 1;
  const std::int64_t length = y_shape[-1];
  const bool a_fixed = strides[0][last] == 0 && length != 1, b_fixed = strides[1][last] == 0 && length != 1;
  for_each_row(y_shape, strides, [&](const std::array<std::int64_t, 2>& offsets, std::int64_t k) {
    const auto [i, j] = offsets;
    if (a_fixed)
      zip_first_fixed(a[i], b + j, y + k, length, f);
    else if (b_fixed)
      zip_second_fixed(a + i, b[j], y + k, length, f);
    else
      zip_loop(a + i, b + j, y + k, length, f);
  });
}

}  // namespace detail

// y_i = f(x_i), f32 or f64.
template <class F>
Tensor map(const Tensor& x, F f) {
  Tensor y = Tensor::like(x);
  visit_floating(x.dtype(), [&]<class T>() {
    const T* from = x.values<T>().data();
    T* to = y.mutable_values<T>().data();
    parallel_for(x.elements(), elementwise_grain, [=](std::int64_t begin, std::int64_t end) {
      detail::map_loop(from + begin, to + begin, end - begin, f);
    });
  });
  return y;
}

// y_i = f(a_i, b_i), f32 or f64, both of one dtype, with NumPy's broadcasting.
template <class F>
Tensor zip(const Tensor& a, const Tensor& b, F f) {
  const bool alike = a.shape() == b.shape();
  Tensor y = alike ? Tensor::like(a) : Tensor(broadcast(a.shape(), b.shape()), a.dtype());
  if (y.elements() == 0) return y;
  visit_floating(a.dtype(), [&]<class T>() {
    const T *from_a = a.values<T>().data(), *from_b = b.values<T>().data();
    T* to = y.mutable_values<T>().data();
    const auto whole = [&](auto loop) {
      parallel_for(y.elements(), elementwise_grain,
                   [&](std::int64_t begin, std::int64_t end) { loop(begin, end - begin); });
    };
    if (alike) {
      whole([&](std::int64_t i, std::int64_t n) { detail::zip_loop(from_a + i, from_b + i, to + i, n, f); });
    } else if (a.elements() == 1) {
      whole([&](std::int64_t i, std::int64_t n) {
        detail::zip_first_fixed(*from_a, from_b + i, to + i, n, f);
      });
    } else if (b.elements() == 1) {
      whole([&](std::int64_t i, std::int64_t n) {
        detail::zip_second_fixed(from_a + i, *from_b, to + i, n, f);
      });
    } else {
      detail::zip_broadcast(from_a, a.shape(), from_b, b.shape(), to, y.shape(), f);
    }
  });
  return y;
}

// y_i = f(x_i), and y_i = f(a_i, b_i) for operands of one type: into x or b where nobody else holds it.
template <class F>
Tensor map_in_place(Tensor x, F f) {
  if (!x.is_unique()) return map(x, f);
  visit_floating(x.dtype(), [&]<class T>() {
    T* values = x.mutable_values<T>().data();
    parallel_for(x.elements(), elementwise_grain, [=](std::int64_t begin, std::int64_t end) {
      detail::map_loop(values + begin, values + begin, end - begin, f);
    });
  });
  return x;
}
template <class F>
Tensor zip_in_place(const Tensor& a, Tensor b, F f) {
  if (!b.is_unique() || a.shape() != b.shape()) return zip(a, b, f);
  visit_floating(b.dtype(), [&]<class T>() {
    const T* from = a.values<T>().data();
    T* values = b.mutable_values<T>().data();
    parallel_for(b.elements(), elementwise_grain, [=](std::int64_t begin, std::int64_t end) {
      detail::zip_loop(from + begin, values + begin, values + begin, end - begin, f);
    });
  });
  return b;
}

// sum += g, of one type; in place where nobody else holds `sum`.
void add_to(Tensor& sum, const Tensor& g);

}  // namespace weft
