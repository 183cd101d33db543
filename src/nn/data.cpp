#include "weft/data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "kernels/elementwise.hpp"
#include "weft/ops.hpp"

namespace weft {

namespace {

using Batches = std::vector<std::vector<std::int64_t>>;

Batches cut(std::span<const std::int64_t> rows, std::int64_t batch_size) {
  Batches batches;
  while (!rows.empty()) {
    const auto size = std::min(rows.size(), static_cast<std::size_t>(batch_size));
    batches.emplace_back(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(size));
    rows = rows.subspan(size);
  }
  return batches;
}

void require_batches(std::string_view who, std::int64_t count, std::int64_t batch_size) {
  if (count < 0 || batch_size < 1) {
    throw Error(fmt::format("{}: {} rows in batches of {}: needed 0 rows and batches of 1 at least", who,
                            count, batch_size));
  }
}

// One of 256 values each: a table has the rounding of value / 255.0f without its division.
const std::array<float, 256>& grey_levels() {
  static const std::array<float, 256> levels = [] {
    std::array<float, 256> table{};
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i) / 255.0f;
    return table;
  }();
  return levels;
}

}  // namespace

Batches random_mini_batches(std::int64_t count, std::int64_t batch_size, std::uint32_t seed) {
  require_batches("random_mini_batches", count, batch_size);
  return cut(NumpyRandom(seed).permutation(count), batch_size);
}

Batches mini_batches(std::int64_t count, std::int64_t batch_size) {
  require_batches("mini_batches", count, batch_size);
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return cut(rows, batch_size);
}

Tensor take_rows(const Tensor& x, std::span<const std::int64_t> rows) {
  if (x.rank() == 0) throw ShapeError("take_rows: x is a scalar, which has no rows");
  for (const std::int64_t row : rows) {
    if (row >= 0 && row < x.extent(0)) continue;
    throw Error(fmt::format("take_rows: row {} of x, which has {} (x: {}{})", row, x.extent(0),
                            name(x.dtype()), to_string(x.shape())));
  }
  const auto count = static_cast<std::int64_t>(rows.size());
  Tensor y(x.shape().with(0, count), x.dtype());
  if (y.elements() == 0) return y;
  const std::size_t row_bytes = y.bytes() / rows.size();
  const auto* from = static_cast<const std::byte*>(x.data());
  auto* to = static_cast<std::byte*>(y.mutable_data());
  parallel_for(count, std::max<std::int64_t>(1, 65536 / static_cast<std::int64_t>(row_bytes)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
                   std::memcpy(to + i * row_bytes, from + static_cast<std::size_t>(rows[i]) * row_bytes,
                               row_bytes);
                 }
               });
  return y;
}

Tensor images_to_f32(const Tensor& images) {
  if (images.dtype() != DType::u8) {
    throw DTypeError(fmt::format("images_to_f32: images are {}{}, needed u8", name(images.dtype()),
                                 to_string(images.shape())));
  }
  const std::array<float, 256>& levels = grey_levels();
  Tensor y(images.shape(), DType::f32);
  const auto from = images.values<std::uint8_t>();
  const auto to = y.mutable_values<float>();
  parallel_for(images.elements(), elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
      to[i] = levels[from[i]];
  });
  return y;
}

void ChannelStatistics::add(const Tensor& x) {
  if (x.rank() == 0 || (count_ > 0 && x.extent(-1) != static_cast<std::int64_t>(mean_.size()))) {
    throw ShapeError(fmt::format("channel statistics: x is {}, needed [..., {}]", to_string(x.shape()),
                                 mean_.empty() ? "channels" : std::to_string(mean_.size())));
  }
  if (x.elements() == 0) return;
  const auto channels = static_cast<std::size_t>(x.extent(-1));
  const auto added = static_cast<double>(x.elements()) / static_cast<double>(channels);
  mean_.resize(channels);
  squares_.resize(channels);
  visit_dtype(x.dtype(), [&]<class T>() {
    const auto values = x.values<T>();
    std::vector<double> mean(channels), squares(channels);
    for (std::size_t i = 0; i < values.size(); ++i)
      mean[i % channels] += static_cast<double>(values[i]) / added;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double d = static_cast<double>(values[i]) - mean[i % channels];
      squares[i % channels] += d * d;
    }
    const double before = static_cast<double>(count_), after = before + added;
    for (std::size_t c = 0; c < channels; ++c) {
      const double d = mean[c] - mean_[c];
      mean_[c] += d * added / after;
      squares_[c] += squares[c] + d * d * before * added / after;
    }
  });
  count_ += static_cast<std::int64_t>(added);
}

std::vector<double> ChannelStatistics::deviation() const {
  std::vector<double> deviation;
  for (const double sum : squares_) deviation.push_back(std::sqrt(sum / static_cast<double>(count_)));
  return deviation;
}

Tensor normalize(const Tensor& x, const ChannelStatistics& statistics) {
  const std::size_t channels = statistics.mean().size();
  if (x.rank() == 0 || x.extent(-1) != static_cast<std::int64_t>(channels)) {
    throw ShapeError(fmt::format("normalize: x is {}, needed [..., {}]", to_string(x.shape()), channels));
  }
  std::vector<double> factors = statistics.deviation();
  for (double& factor : factors) factor = factor > 0 ? 1 / factor : 0;
  Tensor y = x.dtype() == DType::u8 ? x.to(DType::f32) : x.clone();
  if (y.elements() == 0) return y;
  visit_floating(y.dtype(), [&]<class T>() {
    T* values = y.mutable_values<T>().data();
    const double* mean = statistics.mean().data();
    const double* factor = factors.data();
    const auto count = static_cast<std::int64_t>(channels);
    parallel_for(y.elements() / count, elementwise_grain / count + 1,
                 [=](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin * count; i < end * count; ++i) {
                     const std::int64_t c = i % count;
                     values[i] = static_cast<T>((static_cast<double>(values[i]) - mean[c]) * factor[c]);
                   }
                 });
  });
  return y;
}

void require_labels(const Tensor& labels, std::int64_t count, std::int64_t classes) {
  const std::string found = fmt::format("{}{}", name(labels.dtype()), to_string(labels.shape()));
  if (!is_integer(labels.dtype())) throw DTypeError(fmt::format("labels are {}, needed integers", found));
  if (labels.shape() != Shape{count})
    throw ShapeError(fmt::format("labels are {}, needed shape [{}]", found, count));
  const Tensor wide = labels.to(DType::i64);
  const auto values = wide.values<std::int64_t>();
  const auto outside = std::ranges::find_if(values, [&](std::int64_t v) { return v < 0 || v >= classes; });
  if (outside == values.end()) return;
  throw Error(fmt::format("label {} at position {}, needed one of 0 .. {}", *outside,
                          outside - values.begin(), classes - 1));
}

double accuracy(const Tensor& logits, const Tensor& labels) {
  if (logits.rank() != 2) {
    throw ShapeError(
        fmt::format("accuracy: logits have shape {}, needed [n, classes]", to_string(logits.shape())));
  }
  require_labels(labels, logits.extent(0), logits.extent(1));
  if (logits.extent(0) == 0) return std::numeric_limits<double>::quiet_NaN();
  const Tensor predicted = argmax(logits, 1).value(), wanted = labels.to(DType::i64);
  const auto found = predicted.values<std::int64_t>(), needed = wanted.values<std::int64_t>();
  std::int64_t right = 0;
  for (std::size_t i = 0; i < found.size(); ++i) right += found[i] == needed[i];
  return static_cast<double>(right) / static_cast<double>(found.size());
}

}  // namespace weft
