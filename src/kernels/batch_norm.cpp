#include "kernels/batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "kernels/nest.hpp"
#include "kernels/parallel.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

// x [.., channels] as rows that are long enough for loops over columns: of few channels, several pixels lie
// side by side in a row, and those that fill no row make a shorter one.
struct Rows {
  std::int64_t pixels, channels, width, count, rest;

  explicit Rows(const Tensor& x) : channels(x.extent(-1)) {
    constexpr std::int64_t least_width = 64;
    pixels = channels == 0 ? 0 : x.elements() / channels;
    const std::int64_t side_by_side = channels == 0 ? 1 : std::max<std::int64_t>(1, least_width / channels);
    width = std::min(side_by_side, std::max<std::int64_t>(pixels, 1)) * channels;
    count = width == 0 ? 0 : x.elements() / width;
    rest = x.elements() - count * width;
  }
};

// [channels] of T -> [width], once for every pixel of a row.
template <class T, class F>
Tensor for_row(const Rows& rows, F value_of_channel) {
  Tensor row({rows.width}, dtype_of<T>());
  const std::span<T> values = row.mutable_values<T>();
  for (std::int64_t i = 0; i < rows.width; ++i) {
    values[static_cast<std::size_t>(i)] = i < rows.channels
                                              ? static_cast<T>(value_of_channel(static_cast<std::size_t>(i)))
                                              : values[static_cast<std::size_t>(i - rows.channels)];
  }
  return row;
}

// What T loses of a mean: loops over x - T(mean) find it in a term that x has no part in.
template <class T>
double rounded_off(double mean) {
  return mean - static_cast<double>(static_cast<T>(mean));
}

// Calls f(offset, columns) for every row, the shorter one too, where offset is that of its first element.
template <class F>
void for_each_row(const Rows& rows, F f) {
  const std::int64_t grain = elementwise_grain / (rows.width + 1) + 1;
  parallel_for(rows.count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) f(row * rows.width, rows.width);
  });
  if (rows.rest > 0) f(rows.count * rows.width, rows.rest);
}

// The f64 [2, channels] sums of what add(offset, count, columns, first, second) adds up from `count` rows
// into two arrays of as many columns.
template <class Add>
Tensor channel_sums(const Rows& rows, Add add) {
  constexpr std::int64_t most_parts = 16;
  const std::int64_t parts =
      std::clamp<std::int64_t>(rows.count * rows.width / elementwise_grain, 1, most_parts);
  Tensor partial = Tensor::zeros({parts, 2, rows.width}, DType::f64),
         sums = Tensor::zeros({2, rows.channels}, DType::f64);
  double* of_part = partial.mutable_values<double>().data();
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      const std::int64_t first = rows.count * part / parts, last = rows.count * (part + 1) / parts;
      double* to = of_part + part * 2 * rows.width;
      add(first * rows.width, last - first, rows.width, to, to + rows.width);
    }
  });
  if (rows.rest > 0) add(rows.count * rows.width, 1, rows.rest, of_part, of_part + rows.width);
  double* to = sums.mutable_values<double>().data();
  for (std::int64_t i = 0; i < parts * 2; ++i) {
    for (std::int64_t column = 0; column < rows.width; ++column)
      to[i % 2 * rows.channels + column % rows.channels] += of_part[i * rows.width + column];
  }
  return sums;
}

// So many rows at a time, for which the sums are read and written once.
constexpr std::int64_t together = 4;

template <class T>
WEFT_VECTOR_LOOP void add_moments(const T* __restrict x, std::int64_t count, std::int64_t columns,
                                  const double* __restrict shift, double* __restrict sum,
                                  double* __restrict squares) {
  std::int64_t row = 0;
  for (; row + together <= count; row += together, x += together * columns) {
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i) {
      const double a = static_cast<double>(x[i]) - shift[i];
      const double b = static_cast<double>(x[columns + i]) - shift[i];
      const double c = static_cast<double>(x[2 * columns + i]) - shift[i];
      const double d = static_cast<double>(x[3 * columns + i]) - shift[i];
      sum[i] += (a + b) + (c + d);
      squares[i] += (a * a + b * b) + (c * c + d * d);
    }
  }
  for (; row < count; ++row, x += columns) {
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i) {
      const double a = static_cast<double>(x[i]) - shift[i];
      sum[i] += a;
      squares[i] += a * a;
    }
  }
}

template <class T>
WEFT_VECTOR_LOOP void add_gradients(const T* __restrict x, const T* __restrict gy, std::int64_t count,
                                    std::int64_t columns, const double* __restrict mean,
                                    double* __restrict sum, double* __restrict products) {
  std::int64_t row = 0;
  for (; row + together <= count; row += together, x += together * columns, gy += together * columns) {
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i) {
      const double a = static_cast<double>(gy[i]), b = static_cast<double>(gy[columns + i]),
                   c = static_cast<double>(gy[2 * columns + i]), d = static_cast<double>(gy[3 * columns + i]);
      const double m = mean[i];
      sum[i] += (a + b) + (c + d);
      products[i] += (a * (static_cast<double>(x[i]) - m) + b * (static_cast<double>(x[columns + i]) - m)) +
                     (c * (static_cast<double>(x[2 * columns + i]) - m) +
                      d * (static_cast<double>(x[3 * columns + i]) - m));
    }
  }
  for (; row < count; ++row, x += columns, gy += columns) {
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i) {
      const double a = static_cast<double>(gy[i]);
      sum[i] += a;
      products[i] += a * (static_cast<double>(x[i]) - mean[i]);
    }
  }
}

template <class T>
WEFT_VECTOR_LOOP void normalise(const T* __restrict x, const T* __restrict centre, const T* __restrict factor,
                                const T* __restrict offset, T* __restrict y, std::int64_t columns) {
#pragma omp simd
  for (std::int64_t i = 0; i < columns; ++i) y[i] = factor[i] * (x[i] - centre[i]) + offset[i];
}

template <class T>
WEFT_VECTOR_LOOP void input_gradient(const T* __restrict x, const T* __restrict gy,
                                     const T* __restrict centre, const T* __restrict mean_gy,
                                     const T* __restrict slope, const T* __restrict factor, T* __restrict gx,
                                     std::int64_t columns) {
#pragma omp simd
  for (std::int64_t i = 0; i < columns; ++i)
    gx[i] = factor[i] * ((gy[i] - mean_gy[i]) - (x[i] - centre[i]) * slope[i]);
}

}  // namespace

// In one pass: sums of differences from the channel's first element. That one lies at most sqrt(pixels)
// deviations from the mean, so that a variance has at most `pixels` times the rounding of its sums (Chan,
// Golub and LeVeque, Algorithms for computing the sample variance, The American Statistician 37, 1983).
Tensor channel_moments(const Tensor& x) {
  const Rows rows(x);
  Tensor moments = Tensor::full({2, rows.channels}, std::numeric_limits<double>::quiet_NaN(), DType::f64);
  if (rows.pixels == 0) return moments;
  visit_floating(x.dtype(), [&]<class T>() {
    const T* values = x.values<T>().data();
    const Tensor shift =
        for_row<double>(rows, [=](std::size_t c) { return std::isfinite(values[c]) ? values[c] : T(0); });
    const double* first = shift.values<double>().data();
    const Tensor sums = channel_sums(
        rows, [=](std::int64_t offset, std::int64_t count, std::int64_t columns, double* sum,
                  double* squares) { add_moments(values + offset, count, columns, first, sum, squares); });
    const double* sum = sums.values<double>().data();
    double* mean = moments.mutable_values<double>().data();
    for (std::int64_t c = 0; c < rows.channels; ++c) {
      const auto count = static_cast<double>(rows.pixels);
      const double shifted = sum[c] / count;
      mean[c] = first[c] + shifted;
      mean[rows.channels + c] = std::max((sum[rows.channels + c] - shifted * sum[c]) / count, 0.0);
    }
  });
  return moments;
}

Tensor batch_norm_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& moments,
                          double epsilon) {
  const Rows rows(x);
  Tensor y(x.shape(), x.dtype());
  const double* mean = moments.values<double>().data();
  const double* variance = mean + rows.channels;
  visit_floating(x.dtype(), [&]<class T>() {
    const T* weight = gamma.values<T>().data();
    const T* added = beta.values<T>().data();
    const Tensor factors = for_row<T>(rows, [=](std::size_t c) {
      return static_cast<double>(weight[c]) / std::sqrt(variance[c] + epsilon);
    });
    const Tensor centres = for_row<T>(rows, [=](std::size_t c) { return mean[c]; });
    const Tensor offsets = for_row<T>(rows, [=](std::size_t c) {
      return static_cast<double>(added[c]) -
             static_cast<double>(weight[c]) / std::sqrt(variance[c] + epsilon) * rounded_off<T>(mean[c]);
    });
    const T *from = x.values<T>().data(), *factor = factors.values<T>().data();
    const T *centre = centres.values<T>().data(), *offset = offsets.values<T>().data();
    T* to = y.mutable_values<T>().data();
    for_each_row(rows, [=](std::int64_t first, std::int64_t columns) {
      normalise(from + first, centre, factor, offset, to + first, columns);
    });
  });
  return y;
}

BatchNormGradients batch_norm_backward(const Tensor& x, const Tensor& gamma, const Tensor& moments,
                                       const Tensor& gy, double epsilon) {
  const Rows rows(x);
  BatchNormGradients g{Tensor(x.shape(), x.dtype()), Tensor::zeros(gamma.shape(), x.dtype()),
                       Tensor::zeros(gamma.shape(), x.dtype())};
  if (rows.pixels == 0) return g;
  const double* mean = moments.values<double>().data();
  const auto deviation = [variance = mean + rows.channels, epsilon](std::size_t c) {
    return std::sqrt(variance[c] + epsilon);
  };
  visit_floating(x.dtype(), [&]<class T>() {
    const T *values = x.values<T>().data(), *above = gy.values<T>().data();
    const Tensor means = for_row<double>(rows, [=](std::size_t c) { return mean[c]; });
    const double* mean_of_column = means.values<double>().data();
    const Tensor sums = channel_sums(rows, [=](std::int64_t offset, std::int64_t count, std::int64_t columns,
                                               double* sum, double* products) {
      add_gradients(values + offset, above + offset, count, columns, mean_of_column, sum, products);
    });
    const double *sum = sums.values<double>().data(), *products = sum + rows.channels;
    const std::span<T> gbeta = g.gbeta.mutable_values<T>(), ggamma = g.ggamma.mutable_values<T>();
    for (std::size_t c = 0; c < gbeta.size(); ++c) {
      gbeta[c] = static_cast<T>(sum[c]);
      ggamma[c] = static_cast<T>(products[c] / deviation(c));
    }
    const auto count = static_cast<double>(rows.pixels);
    const T* weight = gamma.values<T>().data();
    const Tensor centres = for_row<T>(rows, [=](std::size_t c) { return mean[c]; });
    const auto slope_of = [=](std::size_t c) { return products[c] / (count * deviation(c) * deviation(c)); };
    const Tensor slopes = for_row<T>(rows, slope_of);
    const Tensor means_gy = for_row<T>(
        rows, [=](std::size_t c) { return sum[c] / count - rounded_off<T>(mean[c]) * slope_of(c); });
    const Tensor factors =
        for_row<T>(rows, [=](std::size_t c) { return static_cast<double>(weight[c]) / deviation(c); });
    const T *centre = centres.values<T>().data(), *mean_gy = means_gy.values<T>().data();
    const T *slope = slopes.values<T>().data(), *factor = factors.values<T>().data();
    T* to = g.gx.mutable_values<T>().data();
    for_each_row(rows, [=](std::int64_t first, std::int64_t columns) {
      input_gradient(values + first, above + first, centre, mean_gy, slope, factor, to + first, columns);
    });
  });
  return g;
}

}  // namespace weft
