// A window is reduced over its rows first, for a whole row of the image at once, then over its columns: long
// loops whatever the number of channels, and each element is read once where windows do not overlap.
#include "kernels/pooling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/lanes.hpp"
#include "kernels/parallel.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

constexpr std::int64_t pooling_grain = 1 << 14;  // elements read

WindowOptions window_options(const Pool2dOptions& o) {
  return {.taps = o.window, .stride = o.stride.value_or(o.window), .padding = o.padding};
}

// The first and the last window hold an element: then all do.
bool holds_elements(const WindowAxis& axis) {
  if (axis.positions == 0) return true;
  const std::int64_t last = axis.positions - 1;
  return axis.first_tap(0) < axis.last_tap(0) && axis.first_tap(last) < axis.last_tap(last);
}

WEFT_VECTOR_LOOP bool any_outside(const std::int32_t* index, std::int64_t count, std::int32_t bound) {
  std::int32_t found = 0;
#pragma omp simd reduction(| : found)
  for (std::int64_t i = 0; i < count; ++i) found |= index[i] < 0 || index[i] >= bound;
  return found != 0;
}

// Raises `best` to x where x is larger, and notes from which row it came.
template <bool indexed, class T>
WEFT_VECTOR_LOOP void raise_row(const T* __restrict x, std::int32_t row, T* __restrict best,
                                std::int32_t* __restrict rows, std::int64_t count) {
#pragma omp simd
  for (std::int64_t k = 0; k < count; ++k) {
    const bool larger = !(x[k] <= best[k]) && best[k] == best[k];
    best[k] = larger ? x[k] : best[k];
    if constexpr (indexed) rows[k] = larger ? row : rows[k];
  }
}

// With few channels loops over them are too short for the compiler: they are taken a register at a time. The
// last one may reach beyond the channels of a position: lines are that much longer, and what is written there
// is the next position's, which is written later.
template <class T>
constexpr int lanes = Lanes<T>::count;

template <class T>
struct Best {
  typedef std::int32_t Index __attribute__((vector_size(lanes<T> * sizeof(std::int32_t))));
  typename Lanes<T>::Vector value;
  Index at;

  // Of equal ones the first position wins.
  template <bool indexed>
  [[gnu::always_inline]] void raise(const Best& x) {
    const auto larger = ~(x.value <= value) & (value == value);
    if constexpr (indexed) {
      const auto equal = (x.value == value) | ((x.value != x.value) & (value != value));
      const Index taken =
          __builtin_convertvector(larger, Index) | (__builtin_convertvector(equal, Index) & (x.at < at));
      at = taken ? x.at : at;
    }
    value = larger ? x.value : value;
  }
};

// The same along a row whose elements are the best of their column. Of equal ones the upper wins, then the
// left one.
template <bool indexed, class T>
WEFT_VECTOR_LOOP void raise_columns(const WindowAxis& w, std::int64_t channels, const T* __restrict best,
                                    const std::int32_t* __restrict rows, T* __restrict y,
                                    std::int32_t* __restrict index) {
  const auto width = static_cast<std::int32_t>(w.extent);
  for (std::int64_t j = 0; j < w.positions; ++j) {
    const std::int64_t first = w.source(j, w.first_tap(j)), last = w.source(j, w.last_tap(j));
    for (std::int64_t k = 0; k < channels; k += lanes<T>) {
      const auto column_best = [&](std::int64_t column) {
        Best<T> found{Lanes<T>::load(best + column * channels + k), {}};
        if constexpr (indexed) {
          std::memcpy(&found.at, rows + column * channels + k, sizeof found.at);
          found.at = found.at * width + static_cast<std::int32_t>(column);
        }
        return found;
      };
      Best<T> most = column_best(first);
      for (std::int64_t column = first + 1; column < last; ++column)
        most.template raise<indexed>(column_best(column));
      Lanes<T>::store(most.value, y + j * channels + k);
      if constexpr (indexed) std::memcpy(index + j * channels + k, &most.at, sizeof most.at);
    }
  }
}

template <class T>
WEFT_VECTOR_LOOP void add_row(const T* __restrict x, T* __restrict sum, std::int64_t count) {
#pragma omp simd
  for (std::int64_t k = 0; k < count; ++k) sum[k] += x[k];
}

// Averages along a row of sums; the window stands at row i.
template <class T>
WEFT_VECTOR_LOOP void average_columns(const Pooling& p, std::int64_t i, const T* __restrict sum,
                                      T* __restrict y) {
  const WindowAxis& w = p.window.w;
  for (std::int64_t j = 0; j < w.positions; ++j, y += p.channels) {
    const std::int64_t first = w.source(j, w.first_tap(j)), last = w.source(j, w.last_tap(j));
    const auto divisor = static_cast<T>(p.divisor(i, j));
    std::copy_n(sum + first * p.channels, p.channels, y);
    for (std::int64_t column = first + 1; column < last; ++column) {
#pragma omp simd
      for (std::int64_t k = 0; k < p.channels; ++k) y[k] += sum[column * p.channels + k];
    }
#pragma omp simd
    for (std::int64_t k = 0; k < p.channels; ++k) y[k] /= divisor;
  }
}

// The converse: adds to `row` what each of its elements gets from the windows at row i.
template <class T>
WEFT_VECTOR_LOOP void spread_columns(const Pooling& p, std::int64_t i, const T* __restrict gy,
                                     T* __restrict row) {
  const WindowAxis& w = p.window.w;
  for (std::int64_t j = 0; j < w.positions; ++j, gy += p.channels) {
    const std::int64_t first = w.source(j, w.first_tap(j)), last = w.source(j, w.last_tap(j));
    const auto divisor = static_cast<T>(p.divisor(i, j));
    for (std::int64_t column = first; column < last; ++column) {
#pragma omp simd
      for (std::int64_t k = 0; k < p.channels; ++k) row[column * p.channels + k] += gy[k] / divisor;
    }
  }
}

// Calls f(line, i, first, last) for every row of y, the line-th of all, at position i of its image, whose
// windows hold the lines [first, last) of x.
template <class F>
void for_each_line(const Pooling& p, std::int64_t begin, std::int64_t end, F&& f) {
  const WindowAxis& h = p.window.h;
  for (std::int64_t line = begin; line < end; ++line) {
    const std::int64_t image = line / h.positions, i = line % h.positions;
    f(line, i, image * h.extent + h.source(i, h.first_tap(i)), image * h.extent + h.source(i, h.last_tap(i)));
  }
}

template <bool indexed, class T>
void max_lines(const Pooling& p, const T* x, T* y, std::int32_t* index) {
  const std::int64_t x_line = p.window.w.extent * p.channels, y_line = p.window.w.positions * p.channels;
  const std::int64_t grain = std::max<std::int64_t>(1, pooling_grain / (x_line * p.window.h.taps));
  parallel_for(p.images * p.window.h.positions, grain, [&](std::int64_t begin, std::int64_t end) {
    Tensor value_memory = Tensor::zeros({x_line + y_line + 2 * lanes<T>}, dtype_of<T>());
    Tensor index_memory = Tensor::zeros({indexed ? x_line + y_line + 2 * lanes<T> : 0}, DType::i32);
    T* best = value_memory.mutable_values<T>().data();
    T* most = best + x_line + lanes<T>;
    std::int32_t* rows = index_memory.mutable_values<std::int32_t>().data();
    std::int32_t* at = indexed ? rows + x_line + lanes<T> : nullptr;
    for_each_line(p, begin, end, [&](std::int64_t line, std::int64_t, std::int64_t first, std::int64_t last) {
      const auto row = [&](std::int64_t l) { return static_cast<std::int32_t>(l % p.window.h.extent); };
      std::copy_n(x + first * x_line, x_line, best);
      if constexpr (indexed) std::fill_n(rows, x_line, row(first));
      for (std::int64_t l = first + 1; l < last; ++l)
        raise_row<indexed>(x + l * x_line, row(l), best, rows, x_line);
      raise_columns<indexed>(p.window.w, p.channels, best, rows, most, at);
      std::copy_n(most, y_line, y + line * y_line);
      if constexpr (indexed) std::copy_n(at, y_line, index + line * y_line);
    });
  });
}

}  // namespace

std::string pooling_problem(const Shape& x, const Pool2dOptions& options) {
  if (x.rank() != 4) return fmt::format("x must have rank 4, found {}", x.rank());
  std::string problem = window_problem({x[1], x[2]}, window_options(options));
  if (!problem.empty()) return problem;
  const Pooling p = make_pooling(x, options);
  if (!holds_elements(p.window.h) || !holds_elements(p.window.w)) {
    return fmt::format("padding {} leaves a window of ({}, {}) without an element",
                       to_string(options.padding.to_attribute()), options.window.h, options.window.w);
  }
  if (x[1] * x[2] > std::numeric_limits<std::int32_t>::max())
    return "an image has more than 2^31 - 1 positions";
  return "";
}

Pooling make_pooling(const Shape& x, const Pool2dOptions& options) {
  return {.images = x[0],
          .channels = x[3],
          .window = make_window({x[1], x[2]}, window_options(options)),
          .include_padding = options.include_padding};
}

Tensor max_pool(const Pooling& p, const Tensor& x, Tensor* index) {
  Tensor y(p.y_shape(), x.dtype());
  if (index) *index = Tensor(p.y_shape(), DType::i32);
  if (y.elements() == 0) return y;
  visit_floating(x.dtype(), [&]<class T>() {
    const T* from = x.values<T>().data();
    T* to = y.mutable_values<T>().data();
    if (index)
      max_lines<true>(p, from, to, index->mutable_values<std::int32_t>().data());
    else
      max_lines<false>(p, from, to, nullptr);
  });
  return y;
}

Tensor average_pool(const Pooling& p, const Tensor& x) {
  Tensor y(p.y_shape(), x.dtype());
  if (y.elements() == 0) return y;
  const std::int64_t x_line = p.window.w.extent * p.channels, y_line = p.window.w.positions * p.channels;
  const std::int64_t grain = std::max<std::int64_t>(1, pooling_grain / (x_line * p.window.h.taps));
  visit_floating(x.dtype(), [&]<class T>() {
    const T* from = x.values<T>().data();
    T* to = y.mutable_values<T>().data();
    parallel_for(p.images * p.window.h.positions, grain, [&](std::int64_t begin, std::int64_t end) {
      Tensor memory({x_line}, dtype_of<T>());
      T* sum = memory.mutable_values<T>().data();
      for_each_line(p, begin, end,
                    [&](std::int64_t line, std::int64_t i, std::int64_t first, std::int64_t last) {
                      std::copy_n(from + first * x_line, x_line, sum);
                      for (std::int64_t l = first + 1; l < last; ++l) add_row(from + l * x_line, sum, x_line);
                      average_columns(p, i, sum, to + line * y_line);
                    });
    });
  });
  return y;
}

Tensor average_pool_gradient(const Pooling& p, const Tensor& gy) {
  if (gy.elements() == 0) return Tensor::zeros(p.x_shape(), gy.dtype());
  Tensor gx(p.x_shape(), gy.dtype());
  const std::int64_t x_line = p.window.w.extent * p.channels, y_line = p.window.w.positions * p.channels;
  const std::int64_t x_image = x_line * p.window.h.extent;
  visit_floating(gy.dtype(), [&]<class T>() {
    const T* from = gy.values<T>().data();
    T* to = gx.mutable_values<T>().data();
    parallel_for(p.images, std::max<std::int64_t>(1, pooling_grain / x_image),
                 [&](std::int64_t begin, std::int64_t end) {
                   Tensor memory({x_line}, dtype_of<T>());
                   T* row = memory.mutable_values<T>().data();
                   std::fill(to + begin * x_image, to + end * x_image, T(0));
                   const auto spread = [&](std::int64_t line, std::int64_t i, std::int64_t first,
                                           std::int64_t last) {
                     std::fill_n(row, x_line, T(0));
                     spread_columns(p, i, from + line * y_line, row);
                     for (std::int64_t l = first; l < last; ++l) add_row(row, to + l * x_line, x_line);
                   };
                   for_each_line(p, begin * p.window.h.positions, end * p.window.h.positions, spread);
                 });
  });
  return gx;
}

std::string positions_problem(const Shape& index, const Shape& x) {
  if (x.rank() == 4 && index.rank() == 4 && index[0] == x[0] && index[3] == x[3]) return "";
  return fmt::format("index {} does not belong to images {}: both need rank 4, one batch, as many channels",
                     to_string(index), to_string(x));
}

std::string range_problem(const Tensor& index, const Shape& x) {
  const auto values = index.values<std::int32_t>();
  constexpr std::int64_t largest = std::numeric_limits<std::int32_t>::max();
  const auto positions = static_cast<std::int32_t>(std::min(x[1] * x[2], largest));
  if (!any_outside(values.data(), index.elements(), positions)) return "";
  const auto outside = std::ranges::find_if(values, [&](std::int32_t i) { return i < 0 || i >= positions; });
  return fmt::format("index {} lies outside an image of {} x {}", *outside, x[1], x[2]);
}

Tensor scatter_by_position(const Tensor& gy, const Tensor& index, const Shape& x_shape) {
  if (gy.elements() == 0) return Tensor::zeros(x_shape, gy.dtype());
  Tensor gx(x_shape, gy.dtype());
  const std::int64_t channels = gy.extent(3), rows = gy.extent(1) * gy.extent(2);
  const std::int64_t image = x_shape[1] * x_shape[2] * channels;
  visit_floating(gy.dtype(), [&]<class T>() {
    const T* from = gy.values<T>().data();
    const std::int32_t* at = index.values<std::int32_t>().data();
    T* to = gx.mutable_values<T>().data();
    parallel_for(gy.extent(0), std::max<std::int64_t>(1, pooling_grain / image),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin * rows; row < end * rows; ++row) {
                     T* target = to + row / rows * image;
                     if (row % rows == 0) std::fill_n(target, image, T(0));
                     for (std::int64_t k = row * channels; k < (row + 1) * channels; ++k) {
                       target[at[k] * channels + k - row * channels] += from[k];
                     }
                   }
                 });
  });
  return gx;
}

Tensor gather_by_position(const Tensor& x, const Tensor& index) {
  Tensor y(index.shape(), x.dtype());
  if (y.elements() == 0) return y;
  const std::int64_t channels = y.extent(3), rows = y.extent(1) * y.extent(2);
  const std::int64_t image = x.extent(1) * x.extent(2) * channels;
  visit_floating(x.dtype(), [&]<class T>() {
    const T* from = x.values<T>().data();
    const std::int32_t* at = index.values<std::int32_t>().data();
    T* to = y.mutable_values<T>().data();
    parallel_for(y.extent(0) * rows, std::max<std::int64_t>(1, pooling_grain / channels),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row) {
                     const T* source = from + row / rows * image;
                     for (std::int64_t k = 0; k < channels; ++k) {
                       to[row * channels + k] = source[at[row * channels + k] * channels + k];
                     }
                   }
                 });
  });
  return y;
}

}  // namespace weft
