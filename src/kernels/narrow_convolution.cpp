#include "kernels/narrow_convolution.hpp"

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/narrow_line.hpp"
#include "kernels/narrow_row.hpp"
#include "kernels/onednn.hpp"
#include "kernels/parallel.hpp"

namespace weft::narrow {

namespace {

constexpr std::int64_t most_channels = 4;

// [rows, out_channels] as blocks [block, rows, lanes], the last one filled up with zeros.
template <class T>
Tensor in_blocks(const Convolution& c, std::int64_t rows, const T* from) {
  constexpr std::int64_t lanes = Lanes<T>::count;
  Tensor packed = Tensor::zeros({block_count(c, lanes), rows, lanes}, dtype_of<T>());
  T* to = packed.mutable_values<T>().data();
  for (std::int64_t first = 0; first < c.out_channels; first += lanes) {
    const std::int64_t width = std::min(lanes, c.out_channels - first);
    for (std::int64_t r = 0; r < rows; ++r, to += lanes)
      std::copy_n(from + r * c.out_channels + first, width, to);
  }
  return packed;
}

// Lines of `run` registers as ByPair takes them: [block and line, pair of taps, lanes, 2].
Tensor in_pairs(const Tensor& blocks, std::int64_t run) {
  constexpr std::int64_t lanes = Lanes<float>::count;
  const std::int64_t lines = blocks.elements() / (run * lanes), pairs = (run + 1) / 2;
  Tensor packed = Tensor::zeros({lines, pairs, lanes, 2}, DType::f32);
  const float* from = blocks.values<float>().data();
  float* to = packed.mutable_values<float>().data();
  for (std::int64_t line = 0; line < lines; ++line, to += pairs * lanes * 2) {
    for (std::int64_t t = 0; t < run; ++t, from += lanes) {
      for (std::int64_t l = 0; l < lanes; ++l) to[(t / 2 * lanes + l) * 2 + t % 2] = from[l];
    }
  }
  return packed;
}

template <class T>
using ConvolveRow = void (*)(const Row<T>&);

template <template <int step> class Order, class T>
ConvolveRow<T> convolve_row_of(std::int64_t x_step) {
  if (x_step == 1) return convolve_row<Order<1>, T>;
  return x_step == 3 ? convolve_row<Order<3>, T> : convolve_row<Order<0>, T>;
}

template <class T>
class Forward {
 public:
  Forward(const Convolution& c, const Tensor& w, const Tensor& b, bool relu, bool by_pairs)
      : c_(c),
        relu_(relu),
        taps_(in_blocks<T>(c, c.taps(), w.values<T>().data())),
        bias_(b.defined() ? in_blocks<T>(c, 1, b.values<T>().data())
                          : Tensor::zeros({block_count(c, lanes), lanes}, dtype_of<T>())) {
    const Line<T> line = line_of<T>(c);
    inner_ = convolve_row_of<ByTap, T>(line.x_step);
    if constexpr (std::is_same_v<T, float>) {
      if (!by_pairs) return;
      pairs_ = in_pairs(taps_, line.run);
      inner_ = convolve_row_of<ByPair, T>(line.x_step);
    }
  }

  // The lines [begin, end) of y, counted over all images. Those that read equally many lines of taps go
  // together.
  void convolve(const T* x, std::int64_t begin, std::int64_t end, T* y) const {
    const WindowAxis& h = c_.window.h;
    Line<T> line = line_of<T>(c_);
    for (std::int64_t n = begin, count = 0; n < end; n += count) {
      const std::int64_t image = n / h.positions, i = n % h.positions;
      count = band_lines(h, i, std::min(end - n, h.positions - i));
      const std::int64_t p = place(line, c_, x + image * h.extent * line.x_line, i);
      for (std::int64_t block = 0; block < block_count(c_, lanes); ++block)
        convolve_band({line, count, p, block, y + n * y_line() + block * lanes});
    }
  }

 private:
  static constexpr std::int64_t lanes = Lanes<T>::count;

  // Lines of outputs of one block of channels.
  struct Band {
    const Line<T>& line;  // the first one
    std::int64_t lines;
    std::int64_t p, block;  // the filter's first line of taps within the image, and its block
    T* y;                   // the first output
  };

  std::int64_t x_next(const Line<T>& line) const { return c_.window.h.stride * line.x_line; }
  std::int64_t y_line() const { return c_.window.w.positions * c_.out_channels; }

  // Positions whose taps reach beyond a line read the same ones in each: they go column by column.
  void convolve_band(const Band& band) const {
    const Line<T>& line = band.line;
    for (std::int64_t j = 0; j < line.inner_begin; ++j) convolve_column(band, j);
    Row<T> row = row_from(band, line.inner_begin);
    row.x_step = line.x_step;
    row.y_step = c_.out_channels;
    row.count = line.inner_end - line.inner_begin;
    if (pairs_.defined()) {
      row.w_line = pairs_.extent(1) * lanes * 2;
      row.w = pairs_.values<T>().data() + (band.block * c_.window.h.taps + band.p) * row.w_line;
    }
    for (std::int64_t i = 0; i < band.lines; ++i, row.x += x_next(line), row.y += y_line()) inner_(row);
    for (std::int64_t j = line.inner_end; j < line.positions; ++j) convolve_column(band, j);
  }

  void convolve_column(const Band& band, std::int64_t j) const {
    Row<T> row = row_from(band, j);
    row.x_step = x_next(band.line);
    row.y_step = y_line();
    row.count = band.lines;
    row.whole = row.whole > 0 ? row.count : 0;
    convolve_row<ByTap<0>>(row);
  }

  // What a row along the line and one down the column have in common, from position j of the first line on.
  Row<T> row_from(const Band& band, std::int64_t j) const {
    const Line<T>& line = band.line;
    const std::int64_t first = line.first(j), channel = band.block * lanes;
    const std::int64_t width = std::min(lanes, c_.out_channels - channel);
    Row<T> row{};
    row.x = line.x + j * line.x_step - line.margin + first;
    row.x_line = line.x_line;
    row.lines = line.lines;
    row.taps = line.last(j) - first;
    row.w_line = line.run * lanes;
    row.w = taps_.values<T>().data() + (band.block * c_.window.h.taps + band.p) * row.w_line + first * lanes;
    row.b = bias_.values<T>().data() + channel;
    row.y = band.y + j * c_.out_channels;
    row.width = width;
    // Where a block is all channels, what a register has too much of belongs to the line's next positions.
    if (width == lanes)
      row.whole = line.positions;
    else if (width == c_.out_channels)
      row.whole = line.positions - j - (lanes - 1) / c_.out_channels;
    row.relu = relu_;
    return row;
  }

  const Convolution& c_;
  bool relu_;
  Tensor taps_;   // [block, taps, lanes]
  Tensor pairs_;  // the same as ByPair takes it, or undefined
  Tensor bias_;   // [block, lanes]
  ConvolveRow<T> inner_;
};

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
  if (dtype != DType::f32) return fits(c);
  return fits(c) && !onednn::has_avx512() && c.out_channels < lanes && c.out_channels != lanes / 2;
}

bool prefers_pairs(const Convolution& c) {
  const std::int64_t run = c.window.w.taps * c.in_channels;
  return has_vector_loops() && onednn::has_avx512() && (run % 2 == 0 || run > 8);
}

Tensor convolution(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& b, bool relu,
                   bool by_pairs) {
  Tensor y(c.y_shape(), x.dtype());
  visit_floating(x.dtype(), [&]<class T>() {
    const T* from = x.values<T>().data();
    T* to = y.mutable_values<T>().data();
    const std::int64_t lines = c.images * c.window.h.positions;
    parallel_for(lines, std::max<std::int64_t>(1, convolution_grain * lines / c.products()),
                 [&](std::int64_t begin, std::int64_t end) {
                   // Each thread packs for itself: sooner done than fetched from another's cache.
                   const Forward<T> forward(c, w, b, relu, by_pairs);
                   forward.convolve(from, begin, end, to);
                 });
  });
  return y;
}

}  // namespace weft::narrow
