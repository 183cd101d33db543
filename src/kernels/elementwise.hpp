// Elementwise loops over a formula that an op writes once:
//   struct Square { template <class T> T operator()(T x) const { return x * x; } };
//   Tensor y = map(x, Square{});
#pragma once

#include "core/new_tensor.hpp"
#include "kernels/nest.hpp"
#include "kernels/parallel.hpp"
#include "kernels/vector_math.hpp"
#include "weft/tensor.hpp"

namespace weft {

namespace detail {

// y may be x, a or b: element by element.
template <class T, class F>
WEFT_VECTOR_LOOP void map_loop(const T* x, T* y, std::int64_t count, F f) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = f(x[i]);
}

template <class T, class F>
WEFT_VECTOR_LOOP void zip_loop(const T* a, const T* b, T* y, std::int64_t count, F f) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = f(a[i], b[i]);
}

// The same over several threads where it is much. Little is a call of the loop: what another thread would
// read is not even put into memory.
template <class T, class F>
[[gnu::noinline]] void map_on_threads(const T* x, T* y, std::int64_t count, F f) {
  parallel_for(count, elementwise_grain,
               [=](std::int64_t begin, std::int64_t end) { map_loop(x + begin, y + begin, end - begin, f); });
}
template <class T, class F>
[[gnu::always_inline]] inline void map_all(const T* x, T* y, std::int64_t count, F f) {
  if (runs_here(count, elementwise_grain)) return map_loop(x, y, count, f);
  map_on_threads(x, y, count, f);
}
template <class T, class F>
[[gnu::noinline]] void zip_on_threads(const T* a, const T* b, T* y, std::int64_t count, F f) {
  parallel_for(count, elementwise_grain, [=](std::int64_t begin, std::int64_t end) {
    zip_loop(a + begin, b + begin, y + begin, end - begin, f);
  });
}
template <class T, class F>
[[gnu::always_inline]] inline void zip_all(const T* a, const T* b, T* y, std::int64_t count, F f) {
  if (runs_here(count, elementwise_grain)) return zip_loop(a, b, y, count, f);
  zip_on_threads(a, b, y, count, f);
}

// Rows of y, and of operands that are read through strides; in the columns an operand goes on or stays.
struct ZipTile {
  std::int64_t rows, columns, a_row = 0, b_row = 0, y_row = 0;
};
template <class T, class F>
WEFT_VECTOR_LOOP void zip_rows(const T* a, const T* b, T* __restrict y, ZipTile t, F f) {
  for (std::int64_t r = 0; r < t.rows; ++r, a += t.a_row, b += t.b_row, y += t.y_row) {
#pragma omp simd
    for (std::int64_t i = 0; i < t.columns; ++i) y[i] = f(a[i], b[i]);
  }
}
template <class T, class F>
WEFT_VECTOR_LOOP void zip_rows_first_fixed(const T* a, const T* b, T* __restrict y, ZipTile t, F f) {
  for (std::int64_t r = 0; r < t.rows; ++r, a += t.a_row, b += t.b_row, y += t.y_row) {
    const T fixed = *a;
#pragma omp simd
    for (std::int64_t i = 0; i < t.columns; ++i) y[i] = f(fixed, b[i]);
  }
}
template <class T, class F>
WEFT_VECTOR_LOOP void zip_rows_second_fixed(const T* a, const T* b, T* __restrict y, ZipTile t, F f) {
  for (std::int64_t r = 0; r < t.rows; ++r, a += t.a_row, b += t.b_row, y += t.y_row) {
    const T fixed = *b;
#pragma omp simd
    for (std::int64_t i = 0; i < t.columns; ++i) y[i] = f(a[i], fixed);
  }
}

template <class T, class F>
void zip_broadcast(const T* a, const Shape& a_shape, const T* b, const Shape& b_shape, T* y,
                   const Shape& y_shape, F f) {
  const Nest<3> nest(
      y_shape, {broadcast_strides(a_shape, y_shape), broadcast_strides(b_shape, y_shape), y_shape.strides()});
  const Nest<3>::Positions row = nest.row().step;
  const bool a_fixed = nest.column().step[0] == 0, b_fixed = nest.column().step[1] == 0;
  nest.for_each_tile([=](const Nest<3>::Positions& at, std::int64_t rows, std::int64_t columns) {
    const ZipTile tile{rows, columns, row[0], row[1], row[2]};
    if (a_fixed)
      zip_rows_first_fixed(a + at[0], b + at[1], y + at[2], tile, f);
    else if (b_fixed)
      zip_rows_second_fixed(a + at[0], b + at[1], y + at[2], tile, f);
    else
      zip_rows(a + at[0], b + at[1], y + at[2], tile, f);
  });
}

}  // namespace detail

// y_i = f(x_i), f32 or f64.
template <class F>
[[gnu::always_inline]] inline Tensor map(const Tensor& x, F f) {
  Tensor y = detail::NewTensor::like(x);
  visit_floating(x.dtype(), [&]<class T>() {
    detail::map_all(x.values<T>().data(), static_cast<T*>(y.mutable_data()), x.elements(), f);
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
      detail::zip_all(from_a, from_b, to, y.elements(), f);
    } else if (a.elements() == 1) {
      whole([&](std::int64_t i, std::int64_t n) {
        detail::zip_rows_first_fixed(from_a, from_b + i, to + i, {.rows = 1, .columns = n}, f);
      });
    } else if (b.elements() == 1) {
      whole([&](std::int64_t i, std::int64_t n) {
        detail::zip_rows_second_fixed(from_a + i, from_b, to + i, {.rows = 1, .columns = n}, f);
      });
    } else {
      detail::zip_broadcast(from_a, a.shape(), from_b, b.shape(), to, y.shape(), f);
    }
  });
  return y;
}

namespace detail {
// Not inlined: their many registers are not saved where they are not called.
template <class F>
[[gnu::noinline]] Tensor map_apart(const Tensor& x, F f) {
  return map(x, f);
}
template <class F>
[[gnu::noinline]] Tensor zip_apart(const Tensor& a, const Tensor& b, F f) {
  return zip(a, b, f);
}
}  // namespace detail

// y_i = f(x_i), and y_i = f(a_i, b_i) for operands of one type: into x or b where nobody else holds it.
template <class F>
Tensor map_in_place(Tensor x, F f) {
  if (!x.is_unique()) [[unlikely]]
    return detail::map_apart(x, f);
  visit_floating(x.dtype(), [&]<class T>() {
    T* values = static_cast<T*>(x.mutable_data());
    detail::map_all(values, values, x.elements(), f);
  });
  return x;
}
template <class F>
Tensor zip_in_place(const Tensor& a, Tensor b, F f) {
  if (!b.is_unique() || &a.type() != &b.type()) [[unlikely]]
    return detail::zip_apart(a, b, f);
  visit_floating(b.dtype(), [&]<class T>() {
    T* values = static_cast<T*>(b.mutable_data());
    detail::zip_all(static_cast<const T*>(a.data()), values, values, b.elements(), f);
  });
  return b;
}

// sum += g, of one type; in place where nobody else holds `sum`.
void add_to(Tensor& sum, const Tensor& g);

}  // namespace weft
