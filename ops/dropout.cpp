// dropout(x, p): each element is 0 with probability p, else divided by 1 - p, so that its mean stays.
//   y_i  = x_i / (1 - p) where element i is kept, else 0
//   gx_i = gy_i / (1 - p) where element i is kept, else 0        the same op with the same mask
// Element i is kept where word i of the stream, 32 random bits, is at least floor(p 2^32): seed and stream,
// the attributes, give the same mask to whoever computes it again, in any order. Keeps nothing.
// Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout, JMLR 15 (2014) 1929.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/philox.hpp"
#include "kernels/parallel.hpp"
#include "kernels/vector_math.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"
#include "weft/random.hpp"

namespace weft {

const OpInfo& dropout_info();

namespace {

struct Mask {
  double p = 0.5;
  std::uint64_t seed = 0, stream = 0;

  std::uint32_t threshold() const { return static_cast<std::uint32_t>(p * 0x1p32); }
};
template <class V>
void fields(V& visit, Mask& m) {
  visit("p", m.p);
  visit("seed", m.seed);
  visit("stream", m.stream);
}

constexpr std::int64_t chunk = 1024;  // elements whose random words are on the stack at a time
constexpr std::int64_t words_per_block = 4;

WEFT_VECTOR_LOOP void random_words(const Mask& mask, std::int64_t first_block, std::int64_t blocks,
                                   std::uint32_t* words) {
  const std::uint64_t seed = mask.seed, stream = mask.stream;
#pragma omp simd
  for (std::int64_t b = 0; b < blocks; ++b) {
    const auto block = philox(seed, stream, static_cast<std::uint64_t>(first_block + b));
    words[4 * b] = block[0];
    words[4 * b + 1] = block[1];
    words[4 * b + 2] = block[2];
    words[4 * b + 3] = block[3];
  }
}

template <class T>
WEFT_VECTOR_LOOP void keep_some(const T* __restrict x, const std::uint32_t* __restrict words,
                                std::uint32_t threshold, T factor, T* __restrict y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = words[i] < threshold ? T(0) : x[i] * factor;
}

Tensor masked(const Tensor& x, const Mask& mask) {
  Tensor y(x.shape(), x.dtype());
  const std::int64_t count = x.elements();
  visit_floating(x.dtype(), [&]<class T>() {
    const T* from = x.values<T>().data();
    T* to = y.mutable_values<T>().data();
    const T factor = static_cast<T>(1 / (1 - mask.p));
    parallel_for((count + chunk - 1) / chunk, 8, [&](std::int64_t begin, std::int64_t end) {
      std::uint32_t words[chunk];
      for (std::int64_t first = begin * chunk; first < std::min(end * chunk, count); first += chunk) {
        const std::int64_t elements = std::min(chunk, count - first);
        random_words(mask, first / words_per_block, (elements + words_per_block - 1) / words_per_block,
                     words);
        keep_some(from + first, words, mask.threshold(), factor, to + first, elements);
      }
    });
  });
  return y;
}

Var dropout(const Var& x, const Mask& mask, SourceLocation at);

struct Dropout final : Op {
  Mask mask;
  explicit Dropout(const Mask& mask) : mask(mask) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    gx.set(0, dropout(gy, mask, SourceLocation::current()));
  }
  const OpInfo& info() const override { return dropout_info(); }
  Attributes attributes() const override { return attributes_of(mask); }
};

void require_valid(const Var& x, double p, SourceLocation at) {
  require_floating("dropout", {"x", x}, at);
  if (p >= 0 && p < 1) return;
  fail<Error>("dropout", fmt::format("p must lie in [0, 1), found {}", p), {{"x", x}}, at);
}

Var dropout(const Var& x, const Mask& mask, SourceLocation at) {
  require_valid(x, mask.p, at);
  return record(Dropout(mask), masked(x.value(), mask), {x}, {}, at);
}

}  // namespace

Var dropout(const Var& x, double p, SourceLocation at) {
  require_valid(x, p, at);
  if (p == 0 || !is_training(x)) return x;
  return dropout(x, Mask{.p = p, .seed = x.graph()->seed(), .stream = x.graph()->next_random_stream()}, at);
}

const OpInfo& dropout_info() {
  static const OpInfo info{
      .name = "dropout",
      .group = OpGroup::random,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"p"}, {"seed"}, {"stream"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return dropout(x[0], options_of<Mask>(a), SourceLocation::current());
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const auto mask = options_of<Mask>(a);
            const Random random(mask.seed, mask.stream);
            Array<T> y(x[0].shape());
            for (std::int64_t i = 0; i < y.elements(); ++i) {
              const std::uint32_t word = random.block(static_cast<std::uint64_t>(i / 4))[i % 4];
              if (word >= std::floor(mask.p * 0x1p32)) y[i] = x[0][i] / (T(1.0) - T(mask.p));
            }
            return y;
          },
      .samples = samples()
                     .shapes({{5, 7, 3}})
                     .grid({{"p", {0.25, 0.5, 0.9}}, {"seed", {0, 17}}, {"stream", {1, 5}}})
                     .shapes({{2, 3}})
                     .with({{"p", 0.0}})
                     .shapes({{}})
                     .with({{"stream", 3}})
                     .shapes({{0, 3}})
                     .shapes({{1}})
                     .shapes({{33}})
                     .with({{"p", 0.25}})
                     .shapes({{3, 1030}})
                     .with({{"p", 0.75}, {"seed", -1}})
                     .shapes({{17}})
                     .pattern(Pattern::large)
                     .shapes({{41}})
                     .with({{"p", 0.125}})
                     .pattern(Pattern::special)
                     .throws({{2, 3}}, "p must lie in [0, 1), found 1")
                     .with({{"p", 1.0}})
                     .throws({{2, 3}}, "p must lie in [0, 1), found -0.25")
                     .with({{"p", -0.25}}),
      .stochastic = true,
  };
  return info;
}

}  // namespace weft
