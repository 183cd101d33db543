#include "kernels/narrow_convolution.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "kernels/elementwise.hpp"
#include "kernels/lanes.hpp"

namespace weft::narrow {

namespace {

constexpr std::int64_t most_channels = 4;
constexpr std::int64_t grain = 1 << 18;  // multiplications: fewer are not worth a second thread
constexpr int tile = 12;                 // positions or taps whose sums stay in registers

// One line of outputs. `x` and `w` point to the first line of taps that lies within the image.
template <class T>
struct Line {
  const T* x;
  std::int64_t x_line;  // elements from one line of taps to the next
  std::int64_t x_step;  // elements from one output position to the next
  std::int64_t run;     // taps of a line, all channels: neighbours in x
  std::int64_t lines;   // of taps, within the image
  std::int64_t margin;  // padding in front of the image's line, in elements
  std::int64_t extent;  // elements of the image's line
  std::int64_t positions, out_channels;
  std::int64_t inner_begin, inner_end;  // the positions all of whose taps lie within the image's line
  bool relu;

  // The taps of position j within the image's line are [first(j), last(j)).
  std::int64_t first(std::int64_t j) const { return std::clamp(margin - j * x_step, std::int64_t{0}, run); }
  std::int64_t last(std::int64_t j) const {
    return std::clamp(margin + extent - j * x_step, std::int64_t{0}, run);
  }
};

template <class T>
Line<T> line_of(const Convolution& c, bool relu) {
  const WindowAxis& w = c.window.w;
  Line<T> line{};
  line.x_line = w.extent * c.in_channels;
  line.x_step = w.stride * c.in_channels;
  line.run = w.taps * c.in_channels;
  line.margin = w.before * c.in_channels;
  line.extent = w.extent * c.in_channels;
  line.positions = w.positions;
  line.out_channels = c.out_channels;
  line.relu = relu;
  while (line.inner_begin < w.positions && line.first(line.inner_begin) > 0) ++line.inner_begin;
  line.inner_end = w.positions;
  while (line.inner_end > line.inner_begin && line.last(line.inner_end - 1) < line.run) --line.inner_end;
  return line;
}

// Sets the rest of `line` for output line i of an image; returns the first tap line within the image.
template <class T>
std::int64_t place(Line<T>& line, const Convolution& c, const T* image, std::int64_t i) {
  const WindowAxis& h = c.window.h;
  const std::int64_t first = h.first_tap(i);
  line.lines = h.last_tap(i) - first;
  line.x = image + h.source(i, first) * line.x_line;
  return first;
}

// ---- forward ----------------------------------------------------------------------------------------------

// What a short block of channels has too much of is the next positions', which are stored later.
template <class T>
[[gnu::always_inline]] inline void store_output(const Line<T>& line, std::int64_t j,
                                                typename Lanes<T>::Vector sum, T* y, std::int64_t width) {
  if (line.relu) sum = sum < 0 ? typename Lanes<T>::Vector{} : sum;
  T* to = y + j * line.out_channels;
  const bool fits = (line.positions - j) * line.out_channels >= Lanes<T>::count;
  if (width == Lanes<T>::count || (width == line.out_channels && fits)) return Lanes<T>::store(sum, to);
  for (std::int64_t l = 0; l < width; ++l) to[l] = sum[l];
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
  for (Vector& sum : sums) sum = Lanes<T>::load(b);
  const T* x = line.x + j * x_step - line.margin;
  for (std::int64_t p = 0; p < line.lines; ++p, x += line.x_line, w += line.run * lanes) {
    for (std::int64_t t = 0; t < line.run; ++t) {
      const Vector filter = Lanes<T>::load(w + t * lanes);
#pragma GCC unroll 12
      for (int k = 0; k < tile; ++k) sums[k] += filter * x[k * x_step + t];
    }
  }
  for (int k = 0; k < tile; ++k) store_output(line, j + k, sums[k], y, width);
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
  store_output(line, j, (sums[0] + sums[1]) + (sums[2] + sums[3]), y, width);
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

std::int64_t block_count(const Convolution& c, int lanes) { return (c.out_channels + lanes - 1) / lanes; }

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

// ---- gradients of the parameters --------------------------------------------------------------------------

// A block of channels of one line of gy, and of y where relu's gradient is to be taken. `readable` elements
// from gy on belong to the tensor.
template <class T>
struct GradientLine {
  const T *gy, *y;
  std::int64_t width, readable;
};

// What a short block of channels has too much of is some other channel's; no sum of it is looked at.
template <class T>
[[gnu::always_inline]] inline typename Lanes<T>::Vector load_block(const GradientLine<T>& from,
                                                                   const T* values, std::int64_t offset) {
  if (offset + Lanes<T>::count <= from.readable) return Lanes<T>::load(values + offset);
  T block[Lanes<T>::count] = {};
  for (std::int64_t l = 0; l < from.width; ++l) block[l] = values[offset + l];
  return Lanes<T>::load(block);
}

template <class T>
[[gnu::always_inline]] inline bool is_zero(const T* values, std::int64_t width) {
  if (width == Lanes<T>::count) {
    std::uint64_t bits[4];
    std::memcpy(bits, values, sizeof bits);
    return (bits[0] | bits[1] | bits[2] | bits[3]) == 0;
  }
  bool zero = true;
  for (std::int64_t l = 0; l < width; ++l) zero &= values[l] == T(0);
  return zero;
}

// The positions where the line is not zero (`all`: every one), its values there, and how many.
template <class T>
WEFT_VECTOR_LOOP std::int64_t gather_gradients(const Line<T>& line, const GradientLine<T>& from, bool all,
                                               std::int32_t* at, T* g) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int lanes = Lanes<T>::count;
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < line.positions; ++j) {
    at[count] = static_cast<std::int32_t>(j);
    count += all || !is_zero(from.gy + j * line.out_channels, from.width);
  }
  for (std::int64_t n = 0; n < count; ++n) {
    const std::int64_t offset = at[n] * line.out_channels;
    Vector block = load_block(from, from.gy, offset);
    if (from.y) block = load_block(from, from.y, offset) <= 0 ? Vector{} : block;
    Lanes<T>::store(block, g + n * lanes);
  }
  return count;
}

// gw [lines, run, lanes] += x at the taps [t, t + width) of `height` lines from p on, times g, over the
// gathered positions [begin, end).
template <int height, int width, class T>
[[gnu::always_inline]] inline void add_products(const Line<T>& line, std::int64_t p, std::int64_t t,
                                                const std::int32_t* at, const T* g, std::int64_t begin,
                                                std::int64_t end, T* gw) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int lanes = Lanes<T>::count;
  Vector sums[height][width];
  T* to = gw + (p * line.run + t) * lanes;
  for (int r = 0; r < height; ++r) {
    for (int k = 0; k < width; ++k) sums[r][k] = Lanes<T>::load(to + (r * line.run + k) * lanes);
  }
  const T* x = line.x + p * line.x_line - line.margin + t;
  for (std::int64_t n = begin; n < end; ++n) {
    const Vector gradient = Lanes<T>::load(g + n * lanes);
    const T* taps = x + at[n] * line.x_step;
#pragma GCC unroll 12
    for (int r = 0; r < height; ++r) {
#pragma GCC unroll 12
      for (int k = 0; k < width; ++k) sums[r][k] += gradient * taps[r * line.x_line + k];
    }
  }
  for (int r = 0; r < height; ++r) {
    for (int k = 0; k < width; ++k) Lanes<T>::store(sums[r][k], to + (r * line.run + k) * lanes);
  }
}

// The same for the taps [t, t + width) of all lines, several lines at a time where registers allow it.
template <int width, class T>
[[gnu::always_inline]] inline std::int64_t add_columns(const Line<T>& line, std::int64_t t,
                                                       const std::int32_t* at, const T* g, std::int64_t begin,
                                                       std::int64_t end, T* gw) {
  constexpr int height = tile / width;
  for (; t + width <= line.run; t += width) {
    std::int64_t p = 0;
    for (; p + height <= line.lines; p += height)
      add_products<height, width>(line, p, t, at, g, begin, end, gw);
    for (; p < line.lines; ++p) add_products<1, width>(line, p, t, at, g, begin, end, gw);
  }
  return t;
}

// Adds what one line of outputs gives to gw [lines, run, lanes] and gb [lanes].
template <class T>
WEFT_VECTOR_LOOP void add_line_gradients(const Line<T>& line, const std::int32_t* at, const T* g,
                                         std::int64_t count, T* gw, T* gb) {
  constexpr int lanes = Lanes<T>::count;
  auto sum = Lanes<T>::load(gb);
  for (std::int64_t n = 0; n < count; ++n) sum += Lanes<T>::load(g + n * lanes);
  Lanes<T>::store(sum, gb);
  std::int64_t begin = 0, end = count;
  while (begin < count && at[begin] < line.inner_begin) ++begin;
  while (end > begin && at[end - 1] >= line.inner_end) --end;
  std::int64_t t = add_columns<12>(line, 0, at, g, begin, end, gw);
  t = add_columns<6>(line, t, at, g, begin, end, gw);
  t = add_columns<5>(line, t, at, g, begin, end, gw);
  t = add_columns<3>(line, t, at, g, begin, end, gw);
  add_columns<1>(line, t, at, g, begin, end, gw);
  for (std::int64_t n = 0; n < count; ++n) {
    if (n >= begin && n < end) continue;  // done: an inner position
    for (std::int64_t p = 0; p < line.lines; ++p) {
      for (t = line.first(at[n]); t < line.last(at[n]); ++t)
        add_products<1, 1>(line, p, t, at, g, n, n + 1, gw);
    }
  }
}

template <class T>
WEFT_VECTOR_LOOP bool is_finite(const T* x, std::int64_t count) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += x[i] * T(0);
  return sum == T(0);
}

template <class T>
bool all_finite(const Tensor& x) {
  std::atomic<bool> finite = true;
  const T* values = x.values<T>().data();
  parallel_for(x.elements(), elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
    if (!is_finite(values + begin, end - begin)) finite = false;
  });
  return finite;
}

// Of one range of output lines: gw [block, taps, lanes], then gb [block, lanes].
template <class T>
struct Sums {
  T *w, *b;
};

template <class T>
void add_lines(const Convolution& c, const T* x, const T* y, const T* gy, bool all, std::int64_t begin,
               std::int64_t end, Sums<T> sums) {
  constexpr int lanes = Lanes<T>::count;
  Line<T> line = line_of<T>(c, false);
  Tensor positions({line.positions + 1}, DType::i32), gradients({line.positions, lanes}, dtype_of<T>());
  auto* at = positions.mutable_values<std::int32_t>().data();
  T* g = gradients.mutable_values<T>().data();
  const std::int64_t y_line = line.positions * c.out_channels;
  for (std::int64_t n = begin; n < end; ++n) {
    const std::int64_t image = n / c.window.h.positions;
    const std::int64_t p =
        place(line, c, x + image * c.window.h.extent * line.x_line, n % c.window.h.positions);
    for (std::int64_t block = 0; block * lanes < c.out_channels; ++block) {
      const std::int64_t from = n * y_line + block * lanes;
      const std::int64_t width = std::min<std::int64_t>(lanes, c.out_channels - block * lanes);
      const GradientLine<T> gradient{gy + from, y ? y + from : nullptr, width, c.y_shape().elements() - from};
      const std::int64_t count = gather_gradients(line, gradient, all, at, g);
      add_line_gradients(line, at, g, count, sums.w + (block * c.taps() + p * line.run) * lanes,
                         sums.b + block * lanes);
    }
  }
}

template <class T>
Tensor from_blocks(const Convolution& c, const Shape& shape, std::int64_t rows, const T* from) {
  constexpr int lanes = Lanes<T>::count;
  Tensor result(shape, dtype_of<T>());
  T* to = result.mutable_values<T>().data();
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t k = 0; k < c.out_channels; ++k)
      to[r * c.out_channels + k] = from[(k / lanes * rows + r) * lanes + k % lanes];
  }
  return result;
}

}  // namespace

bool fits(const Convolution& c) {
  return c.in_channels <= most_channels && c.groups == 1 && c.window.w.dilation == 1 &&
         c.window.h.dilation == 1 && c.has_products();
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

ParameterGradients parameter_gradients(const Convolution& c, const Tensor& x, const Tensor& y,
                                       const Tensor& gy) {
  return visit_floating(x.dtype(), [&]<class T>() {
    constexpr int lanes = Lanes<T>::count;
    const std::int64_t blocks = block_count(c, lanes), lines = c.images * c.window.h.positions;
    const T *from = x.values<T>().data(), *gradient = gy.values<T>().data();
    const T* output = y.defined() ? y.values<T>().data() : nullptr;
    const bool all = !all_finite<T>(x);
    // As many partial sums as threads, in an order that does not depend on which thread is first.
    const std::int64_t parts = std::clamp<std::int64_t>(c.positions() * c.taps() * c.out_channels / grain, 1,
                                                        std::min<std::int64_t>(thread_count(), lines));
    const std::int64_t w_size = blocks * c.taps() * lanes, size = w_size + blocks * lanes;
    Tensor memory = Tensor::zeros({parts, size}, dtype_of<T>());
    T* sums = memory.mutable_values<T>().data();
    parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end; ++part) {
        add_lines(c, from, output, gradient, all, lines * part / parts, lines * (part + 1) / parts,
                  Sums<T>{sums + part * size, sums + part * size + w_size});
      }
    });
    for (std::int64_t part = 1; part < parts; ++part) {
      for (std::int64_t i = 0; i < size; ++i) sums[i] += sums[part * size + i];
    }
    return ParameterGradients{from_blocks(c, c.w_shape(), c.taps(), sums),
                              from_blocks(c, {c.out_channels}, 1, sums + w_size)};
  });
}

}  // namespace weft::narrow
