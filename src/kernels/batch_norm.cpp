#include "kernels/batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/elementwise.hpp"

namespace weft {

namespace {

constexpr std::int64_t most_parts = 16;  // of the rows

// sums[s][c] of what f(row, c, sums) adds for every row and channel.
template <std::size_t sum_count, class F>
std::vector<double> channel_sums(std::int64_t rows, std::int64_t channels, F f) {
  const std::int64_t parts = std::clamp<std::int64_t>(rows * channels / elementwise_grain, 1, most_parts);
  const auto width = static_cast<std::int64_t>(sum_count) * channels;
  std::vector<double> partial(static_cast<std::size_t>(parts * width));
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      double* sums = partial.data() + part * width;
      for (std::int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row) f(row, sums);
    }
  });
  std::vector<double> total(partial.begin(), partial.begin() + width);
  for (std::int64_t part = 1; part < parts; ++part) {
    for (std::int64_t i = 0; i < width; ++i)
      total[static_cast<std::size_t>(i)] += partial[static_cast<std::size_t>(part * width + i)];
  }
  return total;
}

std::vector<double> inverse_deviations(const Tensor& moments, double epsilon) {
  const std::int64_t channels = moments.extent(1);
  std::vector<double> inverse(static_cast<std::size_t>(channels));
  const double* variance = moments.values<double>().data() + channels;
  for (std::int64_t c = 0; c < channels; ++c)
    inverse[static_cast<std::size_t>(c)] = 1 / std::sqrt(variance[c] + epsilon);
  return inverse;
}

std::int64_t rows_of(const Tensor& x) { return x.extent(-1) == 0 ? 0 : x.elements() / x.extent(-1); }

}  // namespace

Tensor channel_moments(const Tensor& x) {
  const std::int64_t channels = x.extent(-1), rows = rows_of(x);
  Tensor moments({2, channels}, DType::f64);
  double* mean = moments.mutable_values<double>().data();
  double* variance = mean + channels;
  visit_floating(x.dtype(), [&]<class T>() {
    const T* values = x.values<T>().data();
    const auto sums = channel_sums<1>(rows, channels, [=](std::int64_t row, double* sum) {
      for (std::int64_t c = 0; c < channels; ++c) sum[c] += static_cast<double>(values[row * channels + c]);
    });
    for (std::int64_t c = 0; c < channels; ++c)
      mean[c] = sums[static_cast<std::size_t>(c)] / static_cast<double>(rows);
    const auto squares = channel_sums<1>(rows, channels, [=](std::int64_t row, double* sum) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const double d = static_cast<double>(values[row * channels + c]) - mean[c];
        sum[c] += d * d;
      }
    });
    for (std::int64_t c = 0; c < channels; ++c)
      variance[c] = squares[static_cast<std::size_t>(c)] / static_cast<double>(rows);
  });
  return moments;
}

Tensor batch_norm_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& moments,
                          double epsilon) {
  const std::int64_t channels = x.extent(-1), rows = rows_of(x);
  const std::vector<double> inverse = inverse_deviations(moments, epsilon);
  Tensor y(x.shape(), x.dtype());
  visit_floating(x.dtype(), [&]<class T>() {
    const T* from = x.values<T>().data();
    const T* offset = beta.values<T>().data();
    T* to = y.mutable_values<T>().data();
    const double* mean = moments.values<double>().data();
    std::vector<T> factor(inverse.size()), centre(inverse.size());
    for (std::size_t c = 0; c < factor.size(); ++c) {
      factor[c] = static_cast<T>(static_cast<double>(gamma.values<T>()[c]) * inverse[c]);
      centre[c] = static_cast<T>(mean[c]);
    }
    const T* f = factor.data();
    const T* m = centre.data();
    parallel_for(rows, elementwise_grain / (channels + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        for (std::int64_t c = 0; c < channels; ++c) {
          const std::int64_t i = row * channels + c;
          to[i] = f[c] * (from[i] - m[c]) + offset[c];
        }
      }
    });
  });
  return y;
}

BatchNormGradients batch_norm_backward(const Tensor& x, const Tensor& gamma, const Tensor& moments,
                                       const Tensor& gy, double epsilon) {
  const std::int64_t channels = x.extent(-1), rows = rows_of(x);
  const std::vector<double> inverse = inverse_deviations(moments, epsilon);
  BatchNormGradients g{Tensor(x.shape(), x.dtype()), Tensor(gamma.shape(), x.dtype()),
                       Tensor(gamma.shape(), x.dtype())};
  visit_floating(x.dtype(), [&]<class T>() {
    const T* values = x.values<T>().data();
    const T* above = gy.values<T>().data();
    const double* mean = moments.values<double>().data();
    const double* scale = inverse.data();
    const auto sums = channel_sums<2>(rows, channels, [=](std::int64_t row, double* sum) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const double v = static_cast<double>(above[row * channels + c]);
        sum[c] += v;
        sum[channels + c] += v * (static_cast<double>(values[row * channels + c]) - mean[c]) * scale[c];
      }
    });
    const double* sum = sums.data();
    for (std::int64_t c = 0; c < channels; ++c) {
      g.gbeta.mutable_values<T>()[static_cast<std::size_t>(c)] = static_cast<T>(sum[c]);
      g.ggamma.mutable_values<T>()[static_cast<std::size_t>(c)] = static_cast<T>(sum[channels + c]);
    }
    const T* weight = gamma.values<T>().data();
    T* to = g.gx.mutable_values<T>().data();
    const auto count = static_cast<double>(rows);
    parallel_for(rows, elementwise_grain / (channels + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        for (std::int64_t c = 0; c < channels; ++c) {
          const std::int64_t i = row * channels + c;
          const double normal = (static_cast<double>(values[i]) - mean[c]) * scale[c];
          const double centred =
              static_cast<double>(above[i]) - (sum[c] + normal * sum[channels + c]) / count;
          to[i] = static_cast<T>(static_cast<double>(weight[c]) * scale[c] * centred);
        }
      }
    });
  });
  return g;
}

}  // namespace weft
