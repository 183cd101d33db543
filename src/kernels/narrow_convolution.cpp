#include "kernels/narrow_convolution.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

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

// Outputs at `count` positions from j on, of one block of channels, whose filter is w [lines, run, lanes].
template <int count, class T>
[[gnu::always_inline]] inline void convolve_tile(const Line<T>& line, std::int64_t j, std::int64_t first,
                                                 std::int64_t last, const T* w, const T* b, T* y,
                                                 std::int64_t width) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int lanes = Lanes<T>::count;
  Vector sums[count];
  const Vector start = Lanes<T>::load(b);
  for (int k = 0; k < count; ++k) sums[k] = start;
  const T* x = line.x + j * line.x_step - line.margin;
  for (std::int64_t p = 0; p < line.lines; ++p, x += line.x_line, w += line.run * lanes) {
    for (std::int64_t t = first; t < last; ++t) {
      const Vector filter = Lanes<T>::load(w + t * lanes);
#pragma GCC unroll 12
      for (int k = 0; k < count; ++k) sums[k] += filter * x[k * line.x_step + t];
    }
  }
  for (int k = 0; k < count; ++k, y += line.out_channels) {
    if (line.relu) sums[k] = sums[k] < 0 ? Vector{} : sums[k];
    if (width == lanes)
      Lanes<T>::store(sums[k], y);
    else
      for (std::int64_t l = 0; l < width; ++l) y[l] = sums[k][l];
  }
}

template <class T>
WEFT_VECTOR_LOOP void convolve_line(const Line<T>& line, const T* w, const T* b, T* y, std::int64_t width) {
  const auto edge = [&](std::int64_t j) {
    convolve_tile<1>(line, j, line.first(j), line.last(j), w, b, y + j * line.out_channels, width);
  };
  std::int64_t j = 0;
  for (; j < line.inner_begin; ++j) edge(j);
  for (; j + tile <= line.inner_end; j += tile)
    convolve_tile<tile>(line, j, 0, line.run, w, b, y + j * line.out_channels, width);
  for (; j < line.inner_end; ++j)
    convolve_tile<1>(line, j, 0, line.run, w, b, y + j * line.out_channels, width);
  for (; j < line.positions; ++j) edge(j);
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

// Of a block of a line of gy: the positions where it is not zero, its values there, and how many. relu's
// gradient is taken on the way where `y` is given.
template <class T>
WEFT_VECTOR_LOOP std::int64_t gather_gradients(const Line<T>& line, const T* gy, const T* y, bool all,
                                               std::int64_t width, std::int32_t* at, T* g) {
  constexpr int lanes = Lanes<T>::count;
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < line.positions; ++j) {
    const T* from = gy + j * line.out_channels;
    bool zero = true;
    if (width == lanes) {
      std::uint64_t bits[4];
      std::memcpy(bits, from, sizeof bits);
      zero = (bits[0] | bits[1] | bits[2] | bits[3]) == 0;
    } else {
      for (std::int64_t l = 0; l < width; ++l) zero &= from[l] == T(0);
    }
    if (zero && !all) continue;
    T* to = g + count * lanes;
    const T* output = y ? y + j * line.out_channels : nullptr;
    for (std::int64_t l = 0; l < width; ++l) to[l] = output && output[l] <= T(0) ? T(0) : from[l];
    for (std::int64_t l = width; l < lanes; ++l) to[l] = T(0);
    at[count++] = static_cast<std::int32_t>(j);
  }
  return count;
}

// gw [run, lanes] += x at the taps [t, t + count) of one line, times g, over the gathered positions [begin,
// end).
template <int count, class T>
[[gnu::always_inline]] inline void add_products(const Line<T>& line, const T* x, std::int64_t t,
                                                const std::int32_t* at, const T* g, std::int64_t begin,
                                                std::int64_t end, T* gw) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int lanes = Lanes<T>::count;
  Vector sums[count];
  std::memcpy(sums, gw + t * lanes, sizeof sums);
  for (std::int64_t n = begin; n < end; ++n) {
    const Vector gradient = Lanes<T>::load(g + n * lanes);
    const T* taps = x + at[n] * line.x_step - line.margin + t;
#pragma GCC unroll 12
    for (int k = 0; k < count; ++k) sums[k] += gradient * taps[k];
  }
  std::memcpy(gw + t * lanes, sums, sizeof sums);
}

// Adds what one line of outputs gives to gw [lines, run, lanes] and gb [lanes].
template <class T>
WEFT_VECTOR_LOOP void add_line_gradients(const Line<T>& line, const std::int32_t* at, const T* g,
                                         std::int64_t count, T* gw, T* gb) {
  constexpr int lanes = Lanes<T>::count;
  for (std::int64_t n = 0; n < count; ++n) {
    for (int l = 0; l < lanes; ++l) gb[l] += g[n * lanes + l];
  }
  const std::int64_t begin = std::lower_bound(at, at + count, line.inner_begin) - at;
  const std::int64_t end = std::lower_bound(at, at + count, line.inner_end) - at;
  for (std::int64_t p = 0; p < line.lines; ++p, gw += line.run * lanes) {
    const T* x = line.x + p * line.x_line;
    std::int64_t t = 0;
    for (; t + tile <= line.run; t += tile) add_products<tile>(line, x, t, at, g, begin, end, gw);
    for (; t + 4 <= line.run; t += 4) add_products<4>(line, x, t, at, g, begin, end, gw);
    for (; t < line.run; ++t) add_products<1>(line, x, t, at, g, begin, end, gw);
    const auto edge = [&](std::int64_t n) {
      for (t = line.first(at[n]); t < line.last(at[n]); ++t) add_products<1>(line, x, t, at, g, n, n + 1, gw);
    };
    for (std::int64_t n = 0; n < begin; ++n) edge(n);
    for (std::int64_t n = end; n < count; ++n) edge(n);
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

// The sums of one range of output lines: gw [block, taps, lanes], gb [block, lanes].
template <class T>
struct PartialSums {
  Tensor w, b;
  PartialSums(const Convolution& c, std::int64_t blocks)
      : w(Tensor::zeros({blocks, c.taps(), Lanes<T>::count}, dtype_of<T>())),
        b(Tensor::zeros({blocks, Lanes<T>::count}, dtype_of<T>())) {}
};

template <class T>
void add_lines(const Convolution& c, const T* x, const T* y, const T* gy, bool all, std::int64_t begin,
               std::int64_t end, PartialSums<T>& sums) {
  constexpr int lanes = Lanes<T>::count;
  Line<T> line = line_of<T>(c, false);
  Tensor positions({line.positions}, DType::i32), gradients({line.positions, lanes}, dtype_of<T>());
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
      const std::int64_t count = gather_gradients(line, gy + from, y ? y + from : nullptr, all, width, at, g);
      add_line_gradients(
          line, at, g, count,
          sums.w.template mutable_values<T>().data() + (block * c.taps() + p * line.run) * lanes,
          sums.b.template mutable_values<T>().data() + block * lanes);
    }
  }
}

template <class T>
Tensor from_blocks(const Convolution& c, const Shape& shape, std::int64_t rows, const Tensor& blocks) {
  constexpr int lanes = Lanes<T>::count;
  Tensor result(shape, dtype_of<T>());
  const T* from = blocks.values<T>().data();
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
      for (std::int64_t n = begin; n < end; ++n) {
        const T* image = from + n / c.window.h.positions * c.window.h.extent * line.x_line;
        const std::int64_t p = place(line, c, image, n % c.window.h.positions);
        for (std::int64_t block = 0; block * lanes < c.out_channels; ++block) {
          convolve_line(line, filter + (block * c.taps() + p * line.run) * lanes, start + block * lanes,
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
    std::vector<PartialSums<T>> sums;
    for (std::int64_t part = 0; part < parts; ++part) sums.emplace_back(c, blocks);
    parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end; ++part) {
        add_lines(c, from, output, gradient, all, lines * part / parts, lines * (part + 1) / parts,
                  sums[static_cast<std::size_t>(part)]);
      }
    });
    for (std::size_t part = 1; part < sums.size(); ++part) {
      add_to(sums[0].w, sums[part].w);
      add_to(sums[0].b, sums[part].b);
    }
    return ParameterGradients{from_blocks<T>(c, c.w_shape(), c.taps(), sums[0].w),
                              from_blocks<T>(c, {c.out_channels}, 1, sums[0].b)};
  });
}

}  // namespace weft::narrow
