// Outputs of a narrow convolution at positions in a row, along a line or down a column, that read equally
// many taps: several at a time, whose sums stay in registers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/lanes.hpp"
#include "kernels/vector_math.hpp"

namespace weft::narrow {

template <class T>
using Vector = typename Lanes<T>::Vector;

// One block of output channels.
template <class T>
struct Row {
  const T* x;           // the first tap of the first position
  std::int64_t x_step;  // elements from one position to the next
  std::int64_t x_line;  // elements from one line of taps to the next
  std::int64_t lines;   // of taps
  std::int64_t taps;    // of a line: neighbours in x
  const T* w;           // the filter as its order has it
  std::int64_t w_line;  // elements from one line of it to the next
  const T* b;           // [lanes]
  T* y;                 // the output at the first position
  std::int64_t y_step;  // elements from one output to the next
  std::int64_t count;   // of positions
  std::int64_t width;   // channels
  std::int64_t whole;   // so many have room for a register, whose rest is stored later
  bool relu;
};

template <class Register>
[[gnu::always_inline]] inline Register relu(const Register& x) {
  return x < 0 ? Register{} : x;
}

template <int count, class T>
[[gnu::always_inline]] inline void store_outputs(const Row<T>& row, std::int64_t i,
                                                 const Vector<T> (&outputs)[count]) {
  T* to = row.y + i * row.y_step;
  if (i + count <= row.whole) {
#pragma GCC unroll 16
    for (int k = 0; k < count; ++k) Lanes<T>::store(outputs[k], to + k * row.y_step);
    return;
  }
  T values[count][Lanes<T>::count];
#pragma GCC unroll 16
  for (int k = 0; k < count; ++k) Lanes<T>::store(outputs[k], values[k]);
  for (int k = 0; k < count; ++k) std::copy_n(values[k], row.width, to + k * row.y_step);
}

// The filter is [lines, taps, lanes]. `step` is x_step where it is known beforehand: addresses need fewer
// registers then.
template <int step>
struct ByTap {
  static constexpr int most = 12;  // positions at a time

  // Outputs at `count` positions from i on.
  template <int count, class T>
  [[gnu::always_inline]] static void convolve(const Row<T>& row, std::int64_t i) {
    const std::int64_t x_step = step > 0 ? step : row.x_step;
    Vector<T> sums[count];
    const Vector<T> start = Lanes<T>::load(row.b);
#pragma GCC unroll 16
    for (Vector<T>& sum : sums) sum = start;
    const T *x = row.x + i * x_step, *w = row.w;
    for (std::int64_t p = 0; p < row.lines; ++p, x += row.x_line, w += row.w_line) {
      for (std::int64_t t = 0; t < row.taps; ++t) {
        const Vector<T> filter = Lanes<T>::load(w + t * Lanes<T>::count);
#pragma GCC unroll 16
        for (int k = 0; k < count; ++k) sums[k] += filter * x[k * x_step + t];
      }
    }
    if (row.relu) {
#pragma GCC unroll 16
      for (Vector<T>& sum : sums) sum = relu(sum);
    }
    store_outputs(row, i, sums);
  }
};

// Two taps at a time, for registers of 16: a sum of the taps with even numbers and one of the others for each
// of 8 channels. The filter is [lines, pairs of taps, 8, 2], zero where a last tap has no other.
template <int step>
struct ByPair {
  static constexpr int most = 16;
  typedef float Pairs __attribute__((vector_size(64)));

  template <int count>
  [[gnu::always_inline]] static void convolve(const Row<float>& row, std::int64_t i) {
    const std::int64_t x_step = step > 0 ? step : row.x_step;
    Pairs sums[count];
    const Vector<float> b = Lanes<float>::load(row.b), none{};
    const Pairs start =
        __builtin_shufflevector(b, none, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
#pragma GCC unroll 16
    for (Pairs& sum : sums) sum = start;
    const float *x = row.x + i * x_step, *w = row.w;
    for (std::int64_t p = 0; p < row.lines; ++p, x += row.x_line, w += row.w_line) {
      for (std::int64_t t = 0; t + 1 < row.taps; t += 2) add<2>(w + t * 8, x + t, x_step, sums);
      if (const std::int64_t t = row.taps - 1; t % 2 == 0) add<1>(w + t * 8, x + t, x_step, sums);
    }
    Vector<float> outputs[count];
#pragma GCC unroll 16
    for (int k = 0; k < count; k += 2) {  // two positions to a register
      const Pairs &one = sums[k], &other = sums[std::min(k + 1, count - 1)];
      const Pairs even =
          __builtin_shufflevector(one, other, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
      const Pairs odd =
          __builtin_shufflevector(one, other, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
      const Pairs both = row.relu ? relu(even + odd) : even + odd;
      outputs[k] = __builtin_shufflevector(both, both, 0, 1, 2, 3, 4, 5, 6, 7);
      if (k + 1 < count) outputs[k + 1] = __builtin_shufflevector(both, both, 8, 9, 10, 11, 12, 13, 14, 15);
    }
    store_outputs(row, i, outputs);
  }

 private:
  // The products of a pair, of which x has the first `taps`.
  template <int taps, int count>
  [[gnu::always_inline]] static void add(const float* w, const float* x, std::int64_t x_step,
                                         Pairs (&sums)[count]) {
    Pairs filter;
    std::memcpy(&filter, w, sizeof filter);
#pragma GCC unroll 16
    for (int k = 0; k < count; ++k) {
      float two[2] = {};
      std::memcpy(two, x + k * x_step, taps * sizeof(float));
      sums[k] += filter * repeat(two);
    }
  }
  [[gnu::always_inline]] static Pairs repeat(const float (&two)[2]) {
    typedef double Doubles __attribute__((vector_size(64)));
    double bits;
    std::memcpy(&bits, two, sizeof bits);
    const Doubles repeated = {bits, bits, bits, bits, bits, bits, bits, bits};
    return (Pairs)repeated;
  }
};

// Tiles of `count` positions from i on, and where a rest of more than `enough` is left one more that reaches
// back. Returns the first position that is left.
template <class Order, int count, int enough, class T>
[[gnu::always_inline]] inline std::int64_t convolve_tiles(const Row<T>& row, std::int64_t i) {
  for (; i + count <= row.count; i += count) Order::template convolve<count>(row, i);
  if (row.count - i <= enough || row.count < count) return i;
  Order::template convolve<count>(row, row.count - count);
  return row.count;
}

template <class Order, class T>
WEFT_VECTOR_LOOP void convolve_row(const Row<T>& row) {
  std::int64_t i = convolve_tiles<Order, Order::most, 8>(row, 0);
  i = convolve_tiles<Order, 8, 4>(row, i);
  i = convolve_tiles<Order, 4, 0>(row, i);
  convolve_tiles<Order, 1, 0>(row, i);
}

}  // namespace weft::narrow
