// Random numbers: `Random` for weft itself, `NumpyRandom` to repeat what a Python notebook drew.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "weft/tensor.hpp"

namespace weft {

// Counter-based generator Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1,
// 2, 3, SC 2011). The i-th number of a stream depends on seed, stream and i alone: any order and any number
// of threads give the same.
class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}
  Random(std::uint64_t seed, std::string_view stream_name);  // one stream per name

  // Seed, stream and position: all there is. What is made of them continues here.
  using State = std::array<std::uint64_t, 3>;
  explicit Random(const State& state) : seed_(state[0]), stream_(state[1]), position_(state[2]) {}
  State state() const { return {seed_, stream_, position_}; }

  std::array<std::uint32_t, 4> block(std::uint64_t counter) const;  // four words, at any position

  // Drawn in sequence; the position is all that changes.
  std::uint64_t bits();                     // 64 random bits
  double uniform();                         // [0, 1), 53 bits
  double uniform(double low, double high);  // [low, high)
  double normal();                          // mean 0, variance 1 (Box and Muller)
  std::int64_t below(std::int64_t bound);   // 0 .. bound - 1, without bias; bound >= 1
  std::vector<std::int64_t> permutation(std::int64_t count);

  Tensor uniform(const Shape& shape, double low, double high, DType dtype = DType::f32);
  Tensor normal(const Shape& shape, double mean, double deviation, DType dtype = DType::f32);

 private:
  std::uint64_t seed_, stream_;
  std::uint64_t position_ = 0;  // of the next 64 bits
};

// NumPy's legacy generator numpy.random.RandomState: seed, rand, randn and permutation bit for bit (MT19937,
// doubles of two draws, Marsaglia's polar method, masked rejection).
class NumpyRandom {
 public:
  explicit NumpyRandom(std::uint32_t seed);
  NumpyRandom(NumpyRandom&&) noexcept;
  ~NumpyRandom();

  std::uint32_t bits();              // 32 random bits
  double rand();                     // [0, 1)
  double randn();                    // mean 0, variance 1
  Tensor rand(const Shape& shape);   // f64
  Tensor randn(const Shape& shape);  // f64
  std::vector<std::int64_t> permutation(std::int64_t count);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
