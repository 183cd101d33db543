#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/elementwise.hpp"
#include "kernels/narrow_convolution.hpp"
#include "kernels/narrow_line.hpp"

namespace weft::narrow {

namespace {

constexpr std::int64_t most_gathered = 512;  // positions: what is gathered of them stays in the nearest cache

// Lines of outputs of one image that read equally many lines of taps, and a block of their channels. `y` is
// null where there is no relu. `readable` elements from gy on belong to the tensor.
template <class T>
struct Band {
  const T *gy, *y;
  std::int64_t lines;
  std::int64_t x_next, y_next;  // elements of x and of gy from one line's to the next
  std::int64_t width, readable;
  bool all;  // zeros too
};

// Positions of a band: where their taps begin, in elements of x from the first line's on, and g [count,
// lanes], their gradients.
template <class T>
struct Gathered {
  std::int64_t* at;
  T* g;
  std::int64_t count = 0;
};

// What a short block of channels has too much of is some other channel's; no sum of it is looked at.
template <class T>
[[gnu::always_inline]] inline typename Lanes<T>::Vector load_block(const Band<T>& band, const T* values,
                                                                   std::int64_t offset) {
  if (offset + Lanes<T>::count <= band.readable) return Lanes<T>::load(values + offset);
  T block[Lanes<T>::count] = {};
  for (std::int64_t l = 0; l < band.width; ++l) block[l] = values[offset + l];
  return Lanes<T>::load(block);
}

template <class T>
[[gnu::always_inline]] inline bool is_zero(const T* values, std::int64_t width) {
  if (width == Lanes<T>::count) {
    const auto bits = [&](int i) {
      std::uint64_t word;
      std::memcpy(&word, reinterpret_cast<const std::byte*>(values) + 8 * i, sizeof word);
      return word;
    };
    return (bits(0) | bits(1) | bits(2) | bits(3)) == 0;
  }
  bool zero = true;
  for (std::int64_t l = 0; l < width; ++l) zero &= values[l] == T(0);
  return zero;
}

// The columns [begin, end) of the band.
template <class T>
WEFT_VECTOR_LOOP void gather(const Line<T>& line, const Band<T>& band, std::int64_t begin, std::int64_t end,
                             Gathered<T>& gathered) {
  using Vector = typename Lanes<T>::Vector;
  // Copies: as far as the compiler knows, writing `at` may change what they are copies of.
  std::int64_t* at = gathered.at;
  const std::int64_t step = line.out_channels, width = band.width;
  const bool all = band.all;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < band.lines; ++i) {
    const T* gy = band.gy + i * band.y_next;
    const std::int64_t first = count;
    for (std::int64_t j = begin; j < end; ++j) {
      at[count] = j;
      count += all || !is_zero(gy + j * step, width);
    }
    for (std::int64_t n = first; n < count; ++n) {
      const std::int64_t offset = i * band.y_next + at[n] * step;
      Vector block = load_block(band, band.gy, offset);
      if (band.y) block = load_block(band, band.y, offset) <= 0 ? Vector{} : block;
      Lanes<T>::store(block, gathered.g + n * Lanes<T>::count);
      at[n] = i * band.x_next + at[n] * line.x_step;
    }
  }
  gathered.count = count;
}

// gw [lines, run, lanes] += x at the taps [t, t + width) of `height` lines from p on, times g.
template <int height, int width, class T>
[[gnu::always_inline]] inline void add_products(const Line<T>& line, std::int64_t p, std::int64_t t,
                                                const Gathered<T>& gathered, T* gw) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int lanes = Lanes<T>::count;
  Vector sums[height][width];
  T* to = gw + (p * line.run + t) * lanes;
  for (int r = 0; r < height; ++r) {
    for (int k = 0; k < width; ++k) sums[r][k] = Lanes<T>::load(to + (r * line.run + k) * lanes);
  }
  const T* x = line.x + p * line.x_line - line.margin + t;
  for (std::int64_t n = 0; n < gathered.count; ++n) {
    const Vector gradient = Lanes<T>::load(gathered.g + n * lanes);
    const T* taps = x + gathered.at[n];
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

// The same for as many of the taps [t, last) as go into blocks of `width`, of all lines, several lines at a
// time where registers allow it. Returns the first tap that is left.
template <int width, class T>
[[gnu::always_inline]] inline std::int64_t add_columns(const Line<T>& line, std::int64_t t, std::int64_t last,
                                                       const Gathered<T>& gathered, T* gw) {
  constexpr int height = tile / width;
  for (; t + width <= last; t += width) {
    std::int64_t p = 0;
    for (; p + height <= line.lines; p += height) add_products<height, width>(line, p, t, gathered, gw);
    for (; p < line.lines; ++p) add_products<1, width>(line, p, t, gathered, gw);
  }
  return t;
}

// The taps [first, last) of the gathered positions: gw [lines, run, lanes] and gb [lanes].
template <class T>
WEFT_VECTOR_LOOP void add_gathered(const Line<T>& line, const Gathered<T>& gathered, std::int64_t first,
                                   std::int64_t last, T* gw, T* gb) {
  constexpr int lanes = Lanes<T>::count;
  auto sum = Lanes<T>::load(gb);
  for (std::int64_t n = 0; n < gathered.count; ++n) sum += Lanes<T>::load(gathered.g + n * lanes);
  Lanes<T>::store(sum, gb);
  std::int64_t t = add_columns<12>(line, first, last, gathered, gw);
  t = add_columns<6>(line, t, last, gathered, gw);
  t = add_columns<5>(line, t, last, gathered, gw);
  t = add_columns<3>(line, t, last, gathered, gw);
  add_columns<1>(line, t, last, gathered, gw);
}

// Positions all of whose taps lie within the image's lines go together, of the others each column by itself.
template <class T>
void add_band(const Line<T>& line, const Band<T>& band, Gathered<T>& gathered, T* gw, T* gb) {
  const auto add = [&](std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t last) {
    gather(line, band, begin, end, gathered);
    if (gathered.count > 0) add_gathered(line, gathered, first, last, gw, gb);
  };
  const auto add_each = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t j = begin; j < end; ++j) add(j, j + 1, line.first(j), line.last(j));
  };
  add_each(0, line.inner_begin);
  add(line.inner_begin, line.inner_end, 0, line.run);
  add_each(line.inner_end, line.positions);
}

// Of one range of output lines: gw [block, taps, lanes], then gb [block, lanes].
template <class T>
struct Sums {
  T *w, *b;
};

template <class T>
struct Operands {
  const T *x, *y, *gy;  // y: null without relu
};

template <class T>
void add_lines(const Convolution& c, const Operands<T>& from, std::int64_t begin, std::int64_t end,
               Sums<T> sums) {
  constexpr int lanes = Lanes<T>::count;
  const WindowAxis& h = c.window.h;
  Line<T> line = line_of<T>(c);
  const std::int64_t x_image = h.extent * line.x_line;
  const std::int64_t most = std::max<std::int64_t>(1, most_gathered / line.positions);
  Tensor at({most * line.positions + 1}, DType::i64), g({most * line.positions, lanes}, dtype_of<T>());
  Gathered<T> gathered{at.mutable_values<std::int64_t>().data(), g.mutable_values<T>().data()};
  const std::int64_t y_line = line.positions * c.out_channels;
  bool all = false;
  for (std::int64_t n = begin, count = 0; n < end; n += count) {
    const std::int64_t image = n / h.positions, i = n % h.positions;
    const T* x = from.x + image * x_image;
    if (n == begin || i == 0) all = !is_finite(x, x_image);
    count = band_lines(h, i, std::min({most, end - n, h.positions - i}));
    const std::int64_t p = place(line, c, x, i);
    const std::int64_t first = n * y_line, elements = c.images * h.positions * y_line;
    for (std::int64_t block = 0; block * lanes < c.out_channels; ++block) {
      const std::int64_t channel = block * lanes;
      const Band<T> band{.gy = from.gy + first + channel,
                         .y = from.y ? from.y + first + channel : nullptr,
                         .lines = count,
                         .x_next = h.stride * line.x_line,
                         .y_next = y_line,
                         .width = std::min<std::int64_t>(lanes, c.out_channels - channel),
                         .readable = elements - first - channel,
                         .all = all};
      add_band(line, band, gathered, sums.w + (block * c.taps() + p * line.run) * lanes, sums.b + channel);
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

template <class T>
ParameterGradients gradients_of(const Convolution& c, const Operands<T>& from) {
  constexpr int lanes = Lanes<T>::count;
  const std::int64_t blocks = block_count(c, lanes), lines = c.images * c.window.h.positions;
  // As many partial sums as threads, in an order that does not depend on which thread is first.
  const std::int64_t parts = std::clamp<std::int64_t>(c.products() / convolution_grain, 1,
                                                      std::min<std::int64_t>(thread_count(), lines));
  const std::int64_t w_size = blocks * c.taps() * lanes, size = w_size + blocks * lanes;
  Tensor memory = Tensor::zeros({parts, size}, dtype_of<T>());
  T* sums = memory.mutable_values<T>().data();
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      add_lines(c, from, lines * part / parts, lines * (part + 1) / parts,
                Sums<T>{sums + part * size, sums + part * size + w_size});
    }
  });
  for (std::int64_t part = 1; part < parts; ++part) {
    for (std::int64_t i = 0; i < size; ++i) sums[i] += sums[part * size + i];
  }
  return {from_blocks(c, c.w_shape(), c.taps(), sums), from_blocks(c, {c.out_channels}, 1, sums + w_size)};
}

}  // namespace

ParameterGradients parameter_gradients(const Convolution& c, const Tensor& x, const Tensor& y,
                                       const Tensor& gy) {
  return visit_floating(x.dtype(), [&]<class T>() {
    const Operands<T> from{.x = x.values<T>().data(),
                           .y = y.defined() ? y.values<T>().data() : nullptr,
                           .gy = gy.values<T>().data()};
    return gradients_of(c, from);
  });
}

}  // namespace weft::narrow
