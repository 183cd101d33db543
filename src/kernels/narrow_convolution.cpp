#include "kernels/narrow_convolution.hpp"

#include <algorithm>
#include <cstdint>

#include "kernels/narrow_line.hpp"
#include "kernels/parallel.hpp"
#include "kernels/vector_math.hpp"

namespace weft::narrow {

namespace {

constexpr std::int64_t most_channels = 4;

// The outputs of one block of channels at `count` positions from j on.
template <int count, class T>
[[gnu::always_inline]] inline void store_outputs(const Line<T>& line, std::int64_t j,
                                                 typename Lanes<T>::Vector (&sums)[count], T* y,
                                                 std::int64_t width) {
  constexpr int lanes = Lanes<T>::count;
  const std::int64_t step = line.out_channels;
  T* to = y + j * step;
  if (line.relu) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = sum < 0 ? typename Lanes<T>::Vector{} : sum;
  }
  // What a short block has too much of is the next positions', which are stored later.
  const bool fits = (line.positions - (j + count - 1)) * step >= lanes;
  if (width == lanes || (width == step && fits)) {
#pragma GCC unroll 12
    for (int k = 0; k < count; ++k) Lanes<T>::store(sums[k], to + k * step);
    return;
  }
  T values[count][lanes];
#pragma GCC unroll 12
  for (int k = 0; k < count; ++k) Lanes<T>::store(sums[k], values[k]);
  for (int k = 0; k < count; ++k) std::copy_n(values[k], width, to + k * step);
}

// Outputs at `tile` inner positions from j on, of one block of channels, whose filter is w [lines, run,
// lanes]. `step` is x_step where it is known beforehand: addresses need fewer registers then.
template <int step, class T>
[[gnu::always_inline]] inline void convolve_tile(const Line<T>& line, std::int64_t j, const T* w, const T* b,
                                                 T* y, std::int64_t width) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int lanes = Lanes<T>::count;
  const std::int64_t x_step = step > 0 ? step : line.x_step;
  Vector sums[tile];
  const Vector start = Lanes<T>::load(b);
#pragma GCC unroll 12
  for (Vector& sum : sums) sum = start;
  const T* x = line.x + j * x_step - line.margin;
  for (std::int64_t p = 0; p < line.lines; ++p, x += line.x_line, w += line.run * lanes) {
    for (std::int64_t t = 0; t < line.run; ++t) {
      const Vector filter = Lanes<T>::load(w + t * lanes);
#pragma GCC unroll 12
      for (int k = 0; k < tile; ++k) sums[k] += filter * x[k * x_step + t];
    }
  }
  store_outputs(line, j, sums, y, width);
}

// The output at position j, of the taps within the image. Four sums at a time: one would wait for itself.
template <class T>
[[gnu::always_inline]] inline void convolve_position(const Line<T>& line, std::int64_t j, const T* w,
                                                     const T* b, T* y, std::int64_t width) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int lanes = Lanes<T>::count;
  Vector sums[4] = {Lanes<T>::load(b)};
  const std::int64_t first = line.first(j), last = line.last(j);
  const T* x = line.x + j * line.x_step - line.margin;
  for (std::int64_t p = 0; p < line.lines; ++p, x += line.x_line, w += line.run * lanes) {
    std::int64_t t = first;
    for (; t + 4 <= last; t += 4) {
      for (int k = 0; k < 4; ++k) sums[k] += Lanes<T>::load(w + (t + k) * lanes) * x[t + k];
    }
    for (; t < last; ++t) sums[0] += Lanes<T>::load(w + t * lanes) * x[t];
  }
  Vector total[1] = {(sums[0] + sums[1]) + (sums[2] + sums[3])};
  store_outputs(line, j, total, y, width);
}

template <int step, class T>
WEFT_VECTOR_LOOP void convolve_line(const Line<T>& line, const T* w, const T* b, T* y, std::int64_t width) {
  std::int64_t j = 0;
  for (; j < line.inner_begin; ++j) convolve_position(line, j, w, b, y, width);
  for (; j + tile <= line.inner_end; j += tile) convolve_tile<step>(line, j, w, b, y, width);
  for (; j < line.positions; ++j) convolve_position(line, j, w, b, y, width);
}

template <class T>
auto convolve_line_of(std::int64_t x_step) {
  return x_step == 1 ? convolve_line<1, T> : x_step == 3 ? convolve_line<3, T> : convolve_line<0, T>;
}

// `rows` rows of out_channels elements as blocks [block, rows, lanes], the last one filled up with zeros.
template <class T>
Tensor in_blocks(const Convolution& c, std::int64_t rows, const T* from) {
  constexpr int lanes = Lanes<T>::count;
  const std::int64_t blocks = block_count(c, lanes);
  Tensor packed = Tensor::zeros({blocks, rows, lanes}, dtype_of<T>());
  T* to = packed.mutable_values<T>().data();
  for (std::int64_t r = 0; from && r < rows; ++r) {
    for (std::int64_t k = 0; k < c.out_channels; ++k)
      to[(k / lanes * rows + r) * lanes + k % lanes] = from[r * c.out_channels + k];
  }
  return packed;
}

}  // namespace

bool fits(const Convolution& c) {
  return c.in_channels <= most_channels && c.groups == 1 && c.window.w.dilation == 1 &&
         c.window.h.dilation == 1 && c.has_products();
}

bool is_faster(const Convolution& c, DType dtype) {
  return fits(c) && (dtype != DType::f32 || c.out_channels <= Lanes<float>::count);
}

bool has_faster_gradients(const Convolution& c, DType dtype) {
  constexpr std::int64_t lanes = Lanes<float>::count;
  return fits(c) && (dtype != DType::f32 || (c.out_channels < lanes && c.out_channels != lanes / 2));
}

Tensor convolution(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& b, bool relu) {
  Tensor y(c.y_shape(), x.dtype());
  visit_floating(x.dtype(), [&]<class T>() {
    constexpr int lanes = Lanes<T>::count;
    const Tensor packed_w = in_blocks<T>(c, c.taps(), w.values<T>().data());
    const Tensor packed_b = in_blocks<T>(c, 1, b.defined() ? b.values<T>().data() : nullptr);
    const T *from = x.values<T>().data(), *filter = packed_w.values<T>().data(),
            *start = packed_b.values<T>().data();
    T* to = y.mutable_values<T>().data();
    const std::int64_t y_line = c.window.w.positions * c.out_channels;
    const std::int64_t lines = std::max<std::int64_t>(1, grain / (y_line * c.taps()));
    parallel_for(c.images * c.window.h.positions, lines, [&](std::int64_t begin, std::int64_t end) {
      Line<T> line = line_of<T>(c, relu);
      const auto convolve = convolve_line_of<T>(line.x_step);
      for (std::int64_t n = begin; n < end; ++n) {
        const T* image = from + n / c.window.h.positions * c.window.h.extent * line.x_line;
        const std::int64_t p = place(line, c, image, n % c.window.h.positions);
        for (std::int64_t block = 0; block * lanes < c.out_channels; ++block) {
          convolve(line, filter + (block * c.taps() + p * line.run) * lanes, start + block * lanes,
                   to + n * y_line + block * lanes,
                   std::min<std::int64_t>(lanes, c.out_channels - block * lanes));
        }
      }
    });
  });
  return y;
}

}  // namespace weft::narrow
