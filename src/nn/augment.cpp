#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "kernels/parallel.hpp"
#include "weft/data.hpp"

namespace weft {

namespace {

struct ImageSize {
  std::int64_t h, w, c;
  std::int64_t elements() const { return h * w * c; }
};

// What is done to one image: output position (i, j) shows (a i + b j + p, c i + d j + q).
struct Change {
  double a, b, p, c, d, q;
  double gain, offset;
  bool flipped;
  std::int64_t cut_row, cut_column;  // centre of what is cut out
};

Change draw(const AugmentOptions& options, const ImageSize& size, Random random) {
  const double angle = random.uniform(-options.rotation, options.rotation) * std::numbers::pi / 180;
  const double factor = random.uniform(1 - options.scale, 1 + options.scale);
  const double down = random.uniform(-options.shift, options.shift) * static_cast<double>(size.h);
  const double right = random.uniform(-options.shift, options.shift) * static_cast<double>(size.w);
  const double sine = std::sin(angle) / factor, cosine = std::cos(angle) / factor;
  const double i0 = static_cast<double>(size.h - 1) / 2, j0 = static_cast<double>(size.w - 1) / 2;
  Change change{};
  change.a = cosine;
  change.b = sine;
  change.p = i0 - cosine * (i0 + down) - sine * (j0 + right);
  change.c = -sine;
  change.d = cosine;
  change.q = j0 + sine * (i0 + down) - cosine * (j0 + right);
  change.gain = random.uniform(1 - options.contrast, 1 + options.contrast);
  change.offset = random.uniform(-options.brightness, options.brightness);
  change.flipped = options.flip && random.below(2) == 1;
  change.cut_row = random.below(size.h);
  change.cut_column = random.below(size.w);
  return change;
}

// A position between two pixels of a row or column, held inside it.
struct Between {
  Between(double position, std::int64_t extent) {
    const double inside = std::clamp(position, 0.0, static_cast<double>(extent - 1));
    first = static_cast<std::int64_t>(inside);
    second = std::min(first + 1, extent - 1);
    share = inside - static_cast<double>(first);
  }
  std::int64_t first, second;
  double share;  // of the second
};

template <class T>
void resample(const T* x, T* y, const ImageSize& size, const Change& change) {
  for (std::int64_t i = 0; i < size.h; ++i) {
    for (std::int64_t j = 0; j < size.w; ++j) {
      const auto row = static_cast<double>(i), column = static_cast<double>(j);
      const Between v(change.a * row + change.b * column + change.p, size.h);
      const Between u(change.c * row + change.d * column + change.q, size.w);
      const T* north_west = x + (v.first * size.w + u.first) * size.c;
      const T* north_east = x + (v.first * size.w + u.second) * size.c;
      const T* south_west = x + (v.second * size.w + u.first) * size.c;
      const T* south_east = x + (v.second * size.w + u.second) * size.c;
      const T down = static_cast<T>(v.share), right = static_cast<T>(u.share);
      for (std::int64_t k = 0; k < size.c; ++k) {
        const T north = north_west[k] + right * (north_east[k] - north_west[k]);
        const T south = south_west[k] + right * (south_east[k] - south_west[k]);
        *y++ = north + down * (south - north);
      }
    }
  }
}

template <class T>
void adjust_levels(T* y, std::int64_t count, double gain, double offset) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += static_cast<double>(y[i]);
  const double mean = sum / static_cast<double>(count);
  const T factor = static_cast<T>(gain), constant = static_cast<T>(mean * (1 - gain) + offset);
  for (std::int64_t i = 0; i < count; ++i) y[i] = factor * y[i] + constant;
}

template <class T>
void flip(T* y, const ImageSize& size) {
  for (std::int64_t i = 0; i < size.h; ++i, y += size.w * size.c) {
    for (std::int64_t left = 0, right = size.w - 1; left < right; ++left, --right)
      std::swap_ranges(y + left * size.c, y + (left + 1) * size.c, y + right * size.c);
  }
}

// The square of [centre - side / 2, centre - side / 2 + side), as far as it lies in the image.
template <class T>
void cut_out(T* y, const ImageSize& size, const Change& change, double share) {
  const std::int64_t h = std::llround(share * static_cast<double>(size.h));
  const std::int64_t w = std::llround(share * static_cast<double>(size.w));
  const std::int64_t top = change.cut_row - h / 2, left = change.cut_column - w / 2;
  const std::int64_t first = std::max<std::int64_t>(left, 0), end = std::min(left + w, size.w);
  for (std::int64_t i = std::max<std::int64_t>(top, 0); i < std::min(top + h, size.h); ++i) {
    T* row = y + i * size.w * size.c;
    if (first < end) std::fill(row + first * size.c, row + end * size.c, T(0));
  }
}

void require_options(const AugmentOptions& o) {
  for (const auto& [what, value] : {std::pair{"shift", o.shift},
                                    {"rotation", o.rotation},
                                    {"scale", o.scale},
                                    {"brightness", o.brightness},
                                    {"contrast", o.contrast},
                                    {"cut_out", o.cut_out}}) {
    if (value >= 0 && std::isfinite(value)) continue;
    throw Error(fmt::format("augment: {} is {}, needed a number that is not negative", what, value));
  }
  for (const auto& [what, value] : {std::pair{"scale", o.scale}, {"cut_out", o.cut_out}}) {
    if (value >= 1) throw Error(fmt::format("augment: {} is {}, needed a number below 1", what, value));
  }
}

}  // namespace

Tensor augment(const Tensor& images, const AugmentOptions& options, Random& random) {
  require_options(options);
  if (images.rank() != 4) {
    throw ShapeError(
        fmt::format("augment: images have shape {}, needed [n, h, w, c]", to_string(images.shape())));
  }
  const ImageSize size{images.extent(1), images.extent(2), images.extent(3)};
  const std::uint64_t seed = random.bits();
  const bool moves = options.shift != 0 || options.rotation != 0 || options.scale != 0;
  const bool changes_levels = options.brightness != 0 || options.contrast != 0;
  Tensor result(images.shape(), images.dtype());
  visit_floating(images.dtype(), [&]<class T>() {
    const T* from = images.values<T>().data();
    T* to = result.mutable_values<T>().data();
    if (result.elements() == 0) return;
    parallel_for(images.extent(0), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin; n < end; ++n) {
        const Change change = draw(options, size, Random(seed, static_cast<std::uint64_t>(n)));
        T* y = to + n * size.elements();
        const T* x = from + n * size.elements();
        if (moves) {
          resample(x, y, size, change);
        } else {
          std::copy_n(x, size.elements(), y);
        }
        if (change.flipped) flip(y, size);
        if (changes_levels) adjust_levels(y, size.elements(), change.gain, change.offset);
        if (options.cut_out != 0) cut_out(y, size, change, options.cut_out);
      }
    });
  });
  return result;
}

}  // namespace weft
