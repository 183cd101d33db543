#include "weft/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>
#include <utility>

#include "core/philox.hpp"
#include "kernels/parallel.hpp"

namespace weft {

namespace {

constexpr std::int64_t draw_grain = 4096;  // numbers: less is not worth a second thread

// FNV-1a: the same on every machine, unlike std::hash.
std::uint64_t hash(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

// The point of [low, high) that lies `part` of the way up; rounding never takes it to `high`.
template <class T>
T between(double low, double high, double part) {
  const T value = static_cast<T>(low + (high - low) * part);
  return std::min(value, std::nextafter(static_cast<T>(high), static_cast<T>(low)));
}

void require_ordered(double low, double high) {
  if (!(low <= high))
    throw Error(fmt::format("uniform: low must not be above high, found {} and {}", low, high));
}

void require_count(std::int64_t count, std::int64_t limit) {
  if (count >= 0 && count <= limit) return;
  throw Error(fmt::format("permutation: count must be 0 to {}, found {}", limit, count));
}

// Tensor of value<T>(i), computed in any order.
template <class F>
Tensor generate(const Shape& shape, DType dtype, F value) {
  Tensor out(shape, dtype);
  visit_floating(dtype, [&]<class T>() {
    T* to = out.mutable_values<T>().data();
    parallel_for(out.elements(), draw_grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = value.template operator()<T>(i);
    });
  });
  return out;
}

}  // namespace

Random::Random(std::uint64_t seed, std::string_view stream_name) : Random(seed, hash(stream_name)) {}

std::array<std::uint32_t, 4> Random::block(std::uint64_t counter) const {
  return philox(seed_, stream_, counter);
}

std::uint64_t Random::bits() {
  const auto words = block(position_ / 2);
  const std::size_t half = position_ % 2 * 2;
  ++position_;
  return words[half] | static_cast<std::uint64_t>(words[half + 1]) << 32;
}

double Random::uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

double Random::uniform(double low, double high) {
  require_ordered(low, high);
  return between<double>(low, high, uniform());
}

double Random::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

// The first 2^64 mod bound values are rejected: as many are left for each result.
std::int64_t Random::below(std::int64_t bound) {
  if (bound < 1) throw Error(fmt::format("below: the bound must be at least 1, found {}", bound));
  const auto range = static_cast<std::uint64_t>(bound);
  const std::uint64_t rejected = (0 - range) % range;
  std::uint64_t drawn = bits();
  while (drawn < rejected) drawn = bits();
  return static_cast<std::int64_t>(drawn % range);
}

std::vector<std::int64_t> Random::permutation(std::int64_t count) {
  require_count(count, std::int64_t{1} << 32);
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = count - 1; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(below(i + 1))]);
  return order;
}

Tensor Random::uniform(const Shape& shape, double low, double high, DType dtype) {
  require_ordered(low, high);
  const Random start = *this;
  Tensor out = generate(shape, dtype, [&]<class T>(std::int64_t i) {
    Random random = start;
    random.position_ += static_cast<std::uint64_t>(i);
    return between<T>(low, high, random.uniform());
  });
  position_ += static_cast<std::uint64_t>(out.elements());
  return out;
}

Tensor Random::normal(const Shape& shape, double mean, double deviation, DType dtype) {
  const Random start = *this;
  Tensor out = generate(shape, dtype, [&]<class T>(std::int64_t i) {
    Random random = start;
    random.position_ += 2 * static_cast<std::uint64_t>(i);
    return static_cast<T>(mean + deviation * random.normal());
  });
  position_ += 2 * static_cast<std::uint64_t>(out.elements());
  return out;
}

struct NumpyRandom::State {
  std::mt19937 generator;
  double next_normal = 0;  // where has_normal
  bool has_normal = false;
};

NumpyRandom::NumpyRandom(std::uint32_t seed)
    : state_(std::make_unique<State>(State{.generator = std::mt19937(seed)})) {}
NumpyRandom::NumpyRandom(NumpyRandom&&) noexcept = default;
NumpyRandom::~NumpyRandom() = default;

std::uint32_t NumpyRandom::bits() { return static_cast<std::uint32_t>(state_->generator()); }

double NumpyRandom::rand() {
  const std::uint32_t high = bits() >> 5, low = bits() >> 6;
  return (high * 67108864.0 + low) / 9007199254740992.0;  // 27 and 26 bits
}

double NumpyRandom::randn() {
  if (std::exchange(state_->has_normal, false)) return state_->next_normal;
  double a = 0, b = 0, square = 0;
  do {
    a = 2 * rand() - 1;
    b = 2 * rand() - 1;
    square = a * a + b * b;
  } while (square >= 1 || square == 0);
  const double factor = std::sqrt(-2 * std::log(square) / square);
  state_->next_normal = factor * a;
  state_->has_normal = true;
  return factor * b;
}

Tensor NumpyRandom::rand(const Shape& shape) {
  Tensor out(shape, DType::f64);
  for (double& value : out.mutable_values<double>()) value = rand();
  return out;
}

Tensor NumpyRandom::randn(const Shape& shape) {
  Tensor out(shape, DType::f64);
  for (double& value : out.mutable_values<double>()) value = randn();
  return out;
}

// Each position from the last down is exchanged with one at or below it, drawn by masking 32 bits until they
// fit.
std::vector<std::int64_t> NumpyRandom::permutation(std::int64_t count) {
  require_count(count, std::int64_t{1} << 32);
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i-- > 1;) {
    const std::size_t mask = std::bit_ceil(i + 1) - 1;
    std::size_t other = bits() & mask;
    while (other > i) other = bits() & mask;
    std::swap(order[i], order[other]);
  }
  return order;
}

}  // namespace weft
