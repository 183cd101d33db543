#include "kernels/winograd.hpp"

#include <algorithm>
#include <atomic>

#include "kernels/elementwise.hpp"
#include "kernels/gemm.hpp"
#include "kernels/lanes.hpp"
#include "kernels/onednn.hpp"

namespace weft::winograd {

namespace {

using Vector = Lanes<float>::Vector;
constexpr int lanes = Lanes<float>::count;
constexpr std::int64_t fewest_channels = 32;  // fewer cost more to transform than they save
// With AVX-512, where products cost less and transforms as much, as many pairs of channels: 48 by 48.
constexpr std::int64_t fewest_pairs = 2304;
constexpr std::int64_t block_elements = 1
                                        << 21;  // of transformed tiles at a time: 8 MB, which stay in a cache
constexpr std::int64_t tile_grain = 16, row_grain = 8;  // fewer are not worth a second thread
constexpr int frequencies = 16;

// Elements from one frequency's rows to the next one's: five lines of the cache more than they have, as
// powers of two would put all sixteen into the same sets of it, by which 64 channels took a fifth longer.
std::int64_t frequency_stride(std::int64_t rows, std::int64_t channels) { return rows * channels + 80; }

// The 2 x 2 outputs of every tile of a convolution by 3 x 3 filters, and the images they are computed from.
struct Tiles {
  std::int64_t images, rows, columns;              // of tiles in an image
  std::int64_t height, width, before_h, before_w;  // of the image read, and the padding in front
  std::int64_t out_height, out_width;

  std::int64_t count() const { return images * rows * columns; }
};

Tiles tiles_of(std::int64_t images, const WindowAxis& h, const WindowAxis& w) {
  return {images,
          (h.positions + 1) / 2,
          (w.positions + 1) / 2,
          h.extent,
          w.extent,
          h.before,
          w.before,
          h.positions,
          w.positions};
}

// The convolution of gy that gives gx: padding is what the filter reaches beyond.
Tiles gradient_tiles(std::int64_t images, const WindowAxis& h, const WindowAxis& w) {
  const auto turned = [](const WindowAxis& axis) {
    WindowAxis gradient = axis;
    gradient.extent = axis.positions;
    gradient.positions = axis.extent;
    gradient.before = 2 - axis.before;
    return gradient;
  };
  return tiles_of(images, turned(h), turned(w));
}

// Where the elements of a tile of `size` x `size` lie, whose first is at (row, column) of `image`; `outside`
// where it reaches beyond.
template <int size, class T>
void locate(T* image, std::int64_t height, std::int64_t width, std::int64_t channels, std::int64_t row,
            std::int64_t column, T* outside, T* (&at)[size * size]) {
  for (int r = 0; r < size; ++r) {
    for (int s = 0; s < size; ++s) {
      const std::int64_t y = row + r, x = column + s;
      const bool inside = y >= 0 && y < height && x >= 0 && x < width;
      at[r * size + s] = inside ? image + (y * width + x) * channels : outside;
    }
  }
}

// B^T d B of a tile of all channels; frequencies lie `stride` apart in v.
WEFT_VECTOR_LOOP void transform_input(const float* const (&d)[16], std::int64_t channels, float* v,
                                      std::int64_t stride) {
  for (std::int64_t c = 0; c < channels; c += lanes) {
    Vector rows[16];
    for (int s = 0; s < 4; ++s) {
      const Vector d0 = Lanes<float>::load(d[s] + c), d1 = Lanes<float>::load(d[4 + s] + c),
                   d2 = Lanes<float>::load(d[8 + s] + c), d3 = Lanes<float>::load(d[12 + s] + c);
      rows[s] = d0 - d2;
      rows[4 + s] = d1 + d2;
      rows[8 + s] = d2 - d1;
      rows[12 + s] = d1 - d3;
    }
    for (int r = 0; r < 4; ++r) {
      const Vector* t = rows + 4 * r;
      float* to = v + 4 * r * stride + c;
      Lanes<float>::store(t[0] - t[2], to);
      Lanes<float>::store(t[1] + t[2], to + stride);
      Lanes<float>::store(t[2] - t[1], to + 2 * stride);
      Lanes<float>::store(t[1] - t[3], to + 3 * stride);
    }
  }
}

// A^T m A + b of a tile of all channels.
WEFT_VECTOR_LOOP void transform_output(const float* m, std::int64_t stride, std::int64_t channels,
                                       const float* b, bool relu, float* const (&y)[4]) {
  for (std::int64_t c = 0; c < channels; c += lanes) {
    Vector rows[8];
    for (int s = 0; s < 4; ++s) {
      const float* from = m + s * stride + c;
      const Vector m0 = Lanes<float>::load(from), m1 = Lanes<float>::load(from + 4 * stride),
                   m2 = Lanes<float>::load(from + 8 * stride), m3 = Lanes<float>::load(from + 12 * stride);
      rows[s] = m0 + m1 + m2;
      rows[4 + s] = m1 - m2 - m3;
    }
    const Vector start = b ? Lanes<float>::load(b + c) : Vector{};
    for (int r = 0; r < 2; ++r) {
      const Vector* t = rows + 4 * r;
      Vector left = t[0] + t[1] + t[2] + start, right = t[1] - t[2] - t[3] + start;
      if (relu) {
        left = left < 0 ? Vector{} : left;
        right = right < 0 ? Vector{} : right;
      }
      Lanes<float>::store(left, y[2 * r] + c);
      Lanes<float>::store(right, y[2 * r + 1] + c);
    }
  }
}

// A g A^T of a tile of all channels.
WEFT_VECTOR_LOOP void transform_gradient(const float* const (&g)[4], std::int64_t channels, float* m,
                                         std::int64_t stride) {
  for (std::int64_t c = 0; c < channels; c += lanes) {
    Vector rows[8];
    for (int s = 0; s < 2; ++s) {
      const Vector g0 = Lanes<float>::load(g[s] + c), g1 = Lanes<float>::load(g[2 + s] + c);
      rows[s] = g0;
      rows[2 + s] = g0 + g1;
      rows[4 + s] = g0 - g1;
      rows[6 + s] = -g1;
    }
    for (int r = 0; r < 4; ++r) {
      const Vector left = rows[2 * r], right = rows[2 * r + 1];
      float* to = m + 4 * r * stride + c;
      Lanes<float>::store(left, to);
      Lanes<float>::store(left + right, to + stride);
      Lanes<float>::store(left - right, to + 2 * stride);
      Lanes<float>::store(-right, to + 3 * stride);
    }
  }
}

// G w G^T for one row of out_channels; taps lie w_stride and frequencies u_stride apart. `turned` takes the
// taps from the last to the first.
WEFT_VECTOR_LOOP void transform_filter_row(const float* w, std::int64_t w_stride, std::int64_t channels,
                                           bool turned, float* u, std::int64_t u_stride) {
  for (std::int64_t k = 0; k < channels; k += lanes) {
    Vector taps[9], rows[12];
    for (int t = 0; t < 9; ++t) taps[t] = Lanes<float>::load(w + (turned ? 8 - t : t) * w_stride + k);
    for (int s = 0; s < 3; ++s) {
      const Vector ends = taps[s] + taps[6 + s];
      rows[s] = taps[s];
      rows[3 + s] = 0.5f * (ends + taps[3 + s]);
      rows[6 + s] = 0.5f * (ends - taps[3 + s]);
      rows[9 + s] = taps[6 + s];
    }
    for (int r = 0; r < 4; ++r) {
      const Vector* t = rows + 3 * r;
      const Vector ends = t[0] + t[2];
      float* to = u + 4 * r * u_stride + k;
      Lanes<float>::store(t[0], to);
      Lanes<float>::store(0.5f * (ends + t[1]), to + u_stride);
      Lanes<float>::store(0.5f * (ends - t[1]), to + 2 * u_stride);
      Lanes<float>::store(t[2], to + 3 * u_stride);
    }
  }
}

// G^T gU G for one row of out_channels.
WEFT_VECTOR_LOOP void transform_filter_gradient_row(const float* gu, std::int64_t u_stride,
                                                    std::int64_t channels, float* gw, std::int64_t w_stride) {
  for (std::int64_t k = 0; k < channels; k += lanes) {
    Vector rows[12];
    for (int s = 0; s < 4; ++s) {
      const float* from = gu + s * u_stride + k;
      const Vector u0 = Lanes<float>::load(from), u1 = Lanes<float>::load(from + 4 * u_stride),
                   u2 = Lanes<float>::load(from + 8 * u_stride),
                   u3 = Lanes<float>::load(from + 12 * u_stride);
      rows[s] = u0 + 0.5f * (u1 + u2);
      rows[4 + s] = 0.5f * (u1 - u2);
      rows[8 + s] = 0.5f * (u1 + u2) + u3;
    }
    for (int r = 0; r < 3; ++r) {
      const Vector* t = rows + 4 * r;
      float* to = gw + 3 * r * w_stride + k;
      Lanes<float>::store(t[0] + 0.5f * (t[1] + t[2]), to);
      Lanes<float>::store(0.5f * (t[1] - t[2]), to + w_stride);
      Lanes<float>::store(0.5f * (t[1] + t[2]) + t[3], to + 2 * w_stride);
    }
  }
}

// [in_channels, out_channels] for every frequency.
Tensor transform_filter(const Convolution& c, const Tensor& w, bool turned) {
  const std::int64_t w_stride = c.in_channels * c.out_channels;
  const std::int64_t u_stride = frequency_stride(c.in_channels, c.out_channels);
  Tensor u({frequencies, u_stride});
  const float* from = w.values<float>().data();
  float* to = u.mutable_values<float>().data();
  parallel_for(c.in_channels, row_grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin * c.out_channels; row < end * c.out_channels; row += c.out_channels)
      transform_filter_row(from + row, w_stride, c.out_channels, turned, to + row, u_stride);
  });
  return u;
}

// Calls f(tile, image, row, column of its first output, spare) for the tiles [begin, end), on several
// threads; `spare` stands for `channels` elements outside the image: zeros, until f writes there.
template <class F>
void for_each_tile(const Tiles& tiles, std::int64_t begin, std::int64_t end, std::int64_t channels, F&& f) {
  parallel_for(end - begin, tile_grain, [&](std::int64_t from, std::int64_t to) {
    Tensor spare = Tensor::zeros({channels});
    for (std::int64_t tile = begin + from; tile < begin + to; ++tile) {
      const std::int64_t in_image = tile % (tiles.rows * tiles.columns);
      f(tile - begin, tile / (tiles.rows * tiles.columns), in_image / tiles.columns * 2,
        in_image % tiles.columns * 2, spare.mutable_values<float>().data());
    }
  });
}

void transform_inputs(const Tiles& tiles, const Tensor& x, std::int64_t begin, std::int64_t end, float* v) {
  const std::int64_t channels = x.extent(3), image = tiles.height * tiles.width * channels;
  const float* from = x.values<float>().data();
  for_each_tile(tiles, begin, end, channels,
                [&](std::int64_t tile, std::int64_t n, std::int64_t row, std::int64_t column, float* spare) {
                  const float* d[16];
                  locate<4, const float>(from + n * image, tiles.height, tiles.width, channels,
                                         row - tiles.before_h, column - tiles.before_w, spare, d);
                  transform_input(d, channels, v + tile * channels, frequency_stride(end - begin, channels));
                });
}

void transform_gradients(const Tiles& tiles, const Tensor& gy, std::int64_t begin, std::int64_t end,
                         float* m) {
  const std::int64_t channels = gy.extent(3), image = tiles.out_height * tiles.out_width * channels;
  const float* from = gy.values<float>().data();
  for_each_tile(tiles, begin, end, channels,
                [&](std::int64_t tile, std::int64_t n, std::int64_t row, std::int64_t column, float* spare) {
                  const float* g[4];
                  locate<2, const float>(from + n * image, tiles.out_height, tiles.out_width, channels, row,
                                         column, spare, g);
                  transform_gradient(g, channels, m + tile * channels,
                                     frequency_stride(end - begin, channels));
                });
}

void transform_outputs(const Tiles& tiles, const float* m, std::int64_t begin, std::int64_t end,
                       const float* b, bool relu, Tensor& y) {
  const std::int64_t channels = y.extent(3), image = tiles.out_height * tiles.out_width * channels;
  float* to = y.mutable_values<float>().data();
  for_each_tile(tiles, begin, end, channels,
                [&](std::int64_t tile, std::int64_t n, std::int64_t row, std::int64_t column, float* spare) {
                  float* places[4];
                  locate<2, float>(to + n * image, tiles.out_height, tiles.out_width, channels, row, column,
                                   spare, places);
                  transform_output(m + tile * channels, frequency_stride(end - begin, channels), channels, b,
                                   relu, places);
                });
}

// One product for each frequency, each on one thread.
void multiply_frequencies(const GemmShape& product, const float* a, std::int64_t a_step, const float* b,
                          std::int64_t b_step, float* y, std::int64_t y_step) {
  parallel_for(frequencies, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t f = begin; f < end; ++f) gemm(product, a + f * a_step, b + f * b_step, y + f * y_step);
  });
}

// Calls block(begin, end, v, m) for ranges of tiles, with memory for them of both kinds of channels.
template <class Block>
void for_each_block(const Tiles& tiles, std::int64_t v_channels, std::int64_t m_channels, Block&& block) {
  const std::int64_t most =
      std::clamp<std::int64_t>(block_elements / (frequencies * (v_channels + m_channels)), 1, tiles.count());
  Tensor v({frequencies, frequency_stride(most, v_channels)}),
      m({frequencies, frequency_stride(most, m_channels)});
  for (std::int64_t begin = 0; begin < tiles.count(); begin += most) {
    block(begin, std::min(begin + most, tiles.count()), v.mutable_values<float>().data(),
          m.mutable_values<float>().data());
  }
}

// x, of `tiles`, by the filters u, [in, out] or where they are `transposed` [out, in] for every frequency.
Tensor convolve(const Tiles& tiles, const Tensor& x, const Tensor& u, bool transposed, const float* b,
                bool relu, const Shape& y_shape) {
  Tensor y(y_shape);
  const std::int64_t in = x.extent(3), out = y.extent(3);
  for_each_block(tiles, in, out, [&](std::int64_t begin, std::int64_t end, float* v, float* m) {
    const std::int64_t count = end - begin;
    transform_inputs(tiles, x, begin, end, v);
    const GemmShape product{.m = count,
                            .n = out,
                            .k = in,
                            .transpose_b = transposed,
                            .a_stride = in,
                            .b_stride = transposed ? in : out,
                            .c_stride = out};
    multiply_frequencies(product, v, frequency_stride(count, in), u.values<float>().data(),
                         frequency_stride(in, out), m, frequency_stride(count, out));
    transform_outputs(tiles, m, begin, end, b, relu, y);
  });
  return y;
}

WEFT_VECTOR_LOOP bool is_moderate(const float* values, std::int64_t count) {
  int outside = 0;
#pragma omp simd reduction(| : outside)
  for (std::int64_t i = 0; i < count; ++i) outside |= !(std::fabs(values[i]) <= 0x1p40f);
  return outside == 0;
}

}  // namespace

bool is_moderate(const Tensor& tensor) {
  std::atomic<bool> moderate = true;
  const float* values = tensor.values<float>().data();
  parallel_for(tensor.elements(), elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
    if (!is_moderate(values + begin, end - begin)) moderate = false;
  });
  return moderate;
}

bool fits(const Convolution& c) {
  const auto by_three = [](const WindowAxis& axis) {
    return axis.taps == 3 && axis.stride == 1 && axis.dilation == 1 && axis.before <= 2 && axis.after <= 2;
  };
  return by_three(c.window.h) && by_three(c.window.w) && c.groups == 1 && c.in_channels >= fewest_channels &&
         c.out_channels >= fewest_channels && c.in_channels % lanes == 0 && c.out_channels % lanes == 0 &&
         (!onednn::has_avx512() || c.in_channels * c.out_channels >= fewest_pairs) && c.has_products();
}

Tensor convolution(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& b, bool relu) {
  return convolve(tiles_of(c.images, c.window.h, c.window.w), x, transform_filter(c, w, false), false,
                  b.defined() ? b.values<float>().data() : nullptr, relu, c.y_shape());
}

Tensor input_gradient(const Convolution& c, const Tensor& gy, const Tensor& w) {
  return convolve(gradient_tiles(c.images, c.window.h, c.window.w), gy, transform_filter(c, w, true), true,
                  nullptr, false, c.x_shape());
}

Tensor weight_gradient(const Convolution& c, const Tensor& x, const Tensor& gy) {
  const Tiles tiles = tiles_of(c.images, c.window.h, c.window.w);
  const std::int64_t in = c.in_channels, out = c.out_channels, u_stride = frequency_stride(in, out);
  Tensor gu_memory({frequencies, u_stride}), gw(c.w_shape());
  float* gu = gu_memory.mutable_values<float>().data();
  for_each_block(tiles, in, out, [&](std::int64_t begin, std::int64_t end, float* v, float* m) {
    const std::int64_t count = end - begin;
    transform_inputs(tiles, x, begin, end, v);
    transform_gradients(tiles, gy, begin, end, m);
    const GemmShape product{.m = in,
                            .n = out,
                            .k = count,
                            .transpose_a = true,
                            .a_stride = in,
                            .b_stride = out,
                            .c_stride = out,
                            .accumulate = begin > 0};
    multiply_frequencies(product, v, frequency_stride(count, in), m, frequency_stride(count, out), gu,
                         u_stride);
  });
  float* to = gw.mutable_values<float>().data();
  parallel_for(in, row_grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin * out; row < end * out; row += out)
      transform_filter_gradient_row(gu + row, u_stride, out, to + row, in * out);
  });
  return gw;
}

}  // namespace weft::winograd
