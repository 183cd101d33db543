// What the forward pass of a narrow convolution and the gradients of its parameters have in common: one line
// of outputs and the taps it reads, and blocks of output channels.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/convolution.hpp"
#include "kernels/lanes.hpp"
#include "kernels/vector_math.hpp"

namespace weft::narrow {

inline constexpr int tile = 12;  // taps whose sums stay in registers

// One line of outputs. `x` points to the first line of taps that lies within the image.
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

  // The taps of position j within the image's line are [first(j), last(j)).
  std::int64_t first(std::int64_t j) const { return std::clamp(margin - j * x_step, std::int64_t{0}, run); }
  std::int64_t last(std::int64_t j) const {
    return std::clamp(margin + extent - j * x_step, std::int64_t{0}, run);
  }
};

template <class T>
Line<T> line_of(const Convolution& c) {
  const WindowAxis& w = c.window.w;
  Line<T> line{};
  line.x_line = w.extent * c.in_channels;
  line.x_step = w.stride * c.in_channels;
  line.run = w.taps * c.in_channels;
  line.margin = w.before * c.in_channels;
  line.extent = w.extent * c.in_channels;
  line.positions = w.positions;
  line.out_channels = c.out_channels;
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

// How many lines from output line i of an image on, of at most `most`, read equally many lines of taps.
inline std::int64_t band_lines(const WindowAxis& h, std::int64_t i, std::int64_t most) {
  std::int64_t lines = 1;
  while (lines < most && h.first_tap(i + lines) == h.first_tap(i) && h.last_tap(i + lines) == h.last_tap(i))
    ++lines;
  return lines;
}

// A block is as many output channels as a register holds.
inline std::int64_t block_count(const Convolution& c, int lanes) {
  return (c.out_channels + lanes - 1) / lanes;
}

// Where it is, zeros times x add nothing.
template <class T>
WEFT_VECTOR_LOOP bool is_finite(const T* x, std::int64_t count) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += x[i] * T(0);
  return sum == T(0);
}

}  // namespace weft::narrow
