#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "kernels/lanes.hpp"
#include "kernels/narrow_convolution.hpp"
#include "kernels/narrow_line.hpp"
#include "kernels/parallel.hpp"
#include "kernels/pooling.hpp"
#include "kernels/vector_math.hpp"

namespace weft::narrow {

namespace {

constexpr int most_sums = 8;             // registers of taps that are summed at a time
constexpr std::int64_t block = 8;        // channels whose elements are listed at a time
constexpr std::int64_t most_rows = 128;  // of a channel's elements: the lists stay in the nearest cache

// to = from; returns whether all of it is finite.
template <class T>
WEFT_VECTOR_LOOP bool copy_finite(const T* from, std::int64_t count, T* to) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] = from[i];
    sum += from[i] * T(0);
  }
  return sum == T(0);
}

// One image at a time with its padding around it, so that the taps of every position lie alike.
template <class T>
class PaddedImage {
 public:
  explicit PaddedImage(const Convolution& c)
      : h_(c.window.h),
        w_(c.window.w),
        channels_(c.in_channels),
        line_(line_of(c)),
        lines_((h_.positions - 1) * h_.stride + h_.taps),
        memory_(Tensor::zeros({lines_ * line_ + Lanes<T>::count}, dtype_of<T>())) {}

  static std::int64_t line_of(const Convolution& c) {  // elements from one line to the next
    const WindowAxis& w = c.window.w;
    return ((w.positions - 1) * w.stride + w.taps) * c.in_channels;
  }
  const T* values() const { return memory_.template values<T>().data(); }

  // Returns whether the image is finite.
  bool copy(const T* image) {
    const std::int64_t columns = std::clamp(line_ / channels_ - w_.before, std::int64_t{0}, w_.extent);
    const std::int64_t rows = std::clamp(lines_ - h_.before, std::int64_t{0}, h_.extent);
    T* to = memory_.template mutable_values<T>().data() + h_.before * line_ + w_.before * channels_;
    bool finite = true;
    for (std::int64_t i = 0; i < rows && columns > 0; ++i)
      finite &= copy_finite(image + i * w_.extent * channels_, columns * channels_, to + i * line_);
    return finite;
  }

 private:
  WindowAxis h_, w_;
  std::int64_t channels_, line_, lines_;
  Tensor memory_;
};

// A channel's sums are [lines, registers of a line, lanes]; what a line's last register reads beyond its taps
// is never looked at.
template <class T>
struct Layout {
  std::int64_t line;     // elements of a line's sums
  std::int64_t channel;  // of a channel's
  Tensor registers;      // where each reads, from the first tap on
  Tensor positions;      // where the first tap of each is read in the padded image

  Layout(const Convolution& c, std::int64_t image_line) {
    constexpr int lanes = Lanes<T>::count;
    const WindowAxis &h = c.window.h, &w = c.window.w;
    line = (w.taps * c.in_channels + lanes - 1) / lanes * lanes;
    channel = h.taps * line;
    registers = Tensor({channel / lanes}, DType::i64);
    positions = Tensor({h.positions * w.positions}, DType::i64);
    std::int64_t* to = registers.mutable_values<std::int64_t>().data();
    for (std::int64_t p = 0; p < h.taps; ++p) {
      for (std::int64_t t = 0; t < line; t += lanes) *to++ = p * image_line + t;
    }
    to = positions.mutable_values<std::int64_t>().data();
    for (std::int64_t i = 0; i < h.positions; ++i) {
      for (std::int64_t j = 0; j < w.positions; ++j)
        *to++ = i * h.stride * image_line + j * w.stride * c.in_channels;
    }
  }
};

// Elements of gy of one channel, and where the first taps of each are read.
template <class T>
struct List {
  std::int64_t at[most_rows];
  T g[most_rows];
  std::int64_t count;
};

// sums [width, lanes] += g x for the registers of taps.
template <int width, class T>
WEFT_VECTOR_LOOP void add_products(const List<T>& list, const T* x, const std::int64_t* registers, T* sums) {
  constexpr int lanes = Lanes<T>::count;
  const T* from[width];
  typename Lanes<T>::Vector sum[width];
#pragma GCC unroll 8
  for (int k = 0; k < width; ++k) {
    from[k] = x + registers[k];
    sum[k] = Lanes<T>::load(sums + k * lanes);
  }
  for (std::int64_t n = 0; n < list.count; ++n) {
    const T g = list.g[n];
    const std::int64_t at = list.at[n];
#pragma GCC unroll 8
    for (int k = 0; k < width; ++k) sum[k] += Lanes<T>::load(from[k] + at) * g;
  }
#pragma GCC unroll 8
  for (int k = 0; k < width; ++k) Lanes<T>::store(sum[k], sums + k * lanes);
}

template <class T, int... k>
void add_products(int width, const List<T>& list, const T* x, const std::int64_t* registers, T* sums,
                  std::integer_sequence<int, k...>) {
  static constexpr void (*widths[])(const List<T>&, const T*, const std::int64_t*,
                                    T*) = {add_products<k + 1, T>...};
  widths[width - 1](list, x, registers, sums);
}

// The same for all registers of a channel, shared out evenly.
template <class T>
void add_list(const List<T>& list, const T* x, const Layout<T>& layout, T* sums) {
  const auto registers = layout.registers.template values<std::int64_t>();
  const int count = static_cast<int>(registers.size());
  int passes = (count + most_sums - 1) / most_sums;
  for (int k = 0, width = 0; k < count; k += width, --passes) {
    width = (count - k + passes - 1) / passes;
    add_products(width, list, x, registers.data() + k, sums + k * Lanes<T>::count,
                 std::make_integer_sequence<int, most_sums>());
  }
}

// Of one range of blocks: gw [channel, taps of the layout] and gb [channel].
template <class T>
struct Sums {
  T *w, *b;
};

template <class T>
struct Operands {
  const T *x, *gy;
  const std::int32_t* positions;
  std::int64_t rows;  // of gy, for an image
};

// Lists the elements of up to most_rows rows and a block's channels, both from `gy` and `positions` on.
// Zeros add nothing.
template <class T>
void list_elements(const T* gy, const std::int32_t* positions, std::int64_t rows, std::int64_t step,
                   std::int64_t channels, const Layout<T>& layout, List<T>* lists, T* gb) {
  const std::int64_t* at = layout.positions.template values<std::int64_t>().data();
  for (std::int64_t k = 0; k < channels; ++k) lists[k].count = 0;
  for (std::int64_t row = 0; row < rows; ++row, gy += step, positions += step) {
    for (std::int64_t k = 0; k < channels; ++k) {
      List<T>& list = lists[k];
      list.g[list.count] = gy[k];
      list.at[list.count] = at[positions[k]];
      list.count += gy[k] != 0;
      gb[k] += gy[k];
    }
  }
}

// The blocks of channels [begin, end), counted image by image. False where an image is not finite: what is
// there then are no sums.
template <class T>
bool add_blocks(const Convolution& c, const Layout<T>& layout, const Operands<T>& from, std::int64_t begin,
                std::int64_t end, Sums<T> sums) {
  PaddedImage<T> x(c);
  List<T> lists[block];
  const std::int64_t blocks = (c.out_channels + block - 1) / block;
  const std::int64_t x_image = c.window.h.extent * c.window.w.extent * c.in_channels;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t n = i / blocks, channel = i % blocks * block;
    if ((i == begin || channel == 0) && !x.copy(from.x + n * x_image)) return false;
    const std::int64_t channels = std::min(block, c.out_channels - channel);
    for (std::int64_t row = 0; row < from.rows; row += most_rows) {
      const std::int64_t first = (n * from.rows + row) * c.out_channels + channel;
      list_elements(from.gy + first, from.positions + first, std::min(most_rows, from.rows - row),
                    c.out_channels, channels, layout, lists, sums.b + channel);
      for (std::int64_t k = 0; k < channels; ++k)
        add_list(lists[k], x.values(), layout, sums.w + (channel + k) * layout.channel);
    }
  }
  return true;
}

template <class T>
ParameterGradients gradients_of(const Convolution& c, const Layout<T>& layout, Sums<T> sums) {
  Tensor w(c.w_shape(), dtype_of<T>()), b({c.out_channels}, dtype_of<T>());
  T* to = w.mutable_values<T>().data();
  for (std::int64_t p = 0; p < c.window.h.taps; ++p) {
    for (std::int64_t t = 0; t < c.window.w.taps * c.in_channels; ++t) {
      for (std::int64_t k = 0; k < c.out_channels; ++k)
        *to++ = sums.w[k * layout.channel + p * layout.line + t];
    }
  }
  std::copy_n(sums.b, c.out_channels, b.mutable_values<T>().data());
  return {std::move(w), std::move(b)};
}

}  // namespace

ParameterGradients scattered_parameter_gradients(const Convolution& c, const Tensor& x, const Tensor& gy,
                                                 const Tensor& positions) {
  return visit_floating(x.dtype(), [&]<class T>() {
    const Layout<T> layout(c, PaddedImage<T>::line_of(c));
    const Operands<T> from{.x = x.values<T>().data(),
                           .gy = gy.values<T>().data(),
                           .positions = positions.values<std::int32_t>().data(),
                           .rows = gy.extent(1) * gy.extent(2)};
    const std::int64_t blocks = c.images * ((c.out_channels + block - 1) / block);
    const std::int64_t w_size = c.out_channels * layout.channel, size = w_size + c.out_channels;
    // As many partial sums as threads, in an order that does not depend on which thread is first.
    const std::int64_t parts = std::clamp<std::int64_t>(gy.elements() * layout.channel / convolution_grain, 1,
                                                        std::min<std::int64_t>(thread_count(), blocks));
    Tensor memory = Tensor::zeros({parts, size}, dtype_of<T>());
    T* sums = memory.mutable_values<T>().data();
    std::atomic<bool> finite = is_finite(from.gy, gy.elements());
    parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end && finite; ++part) {
        T* to = sums + part * size;
        if (!add_blocks(c, layout, from, blocks * part / parts, blocks * (part + 1) / parts,
                        Sums<T>{to, to + w_size}))
          finite = false;
      }
    });
    if (!finite)  // then zeros are not skipped, and padding is
      return parameter_gradients(c, x, {}, scatter_by_position(gy, positions, c.y_shape()));
    for (std::int64_t part = 1; part < parts; ++part) {
      for (std::int64_t i = 0; i < size; ++i) sums[i] += sums[part * size + i];
    }
    return gradients_of(c, layout, Sums<T>{sums, sums + w_size});
  });
}

}  // namespace weft::narrow
