#include "weft/random.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

using namespace weft;
using Words = std::array<std::uint32_t, 4>;
using Order = std::vector<std::int64_t>;

namespace {

struct Moments {
  double mean = 0, variance = 0, skewness = 0, kurtosis = 0;
};

Moments moments(std::span<const double> x) {
  Moments m;
  const double n = static_cast<double>(x.size());
  for (const double v : x) m.mean += v / n;
  double third = 0, fourth = 0;
  for (const double v : x) {
    const double d = v - m.mean;
    m.variance += d * d / n;
    third += d * d * d / n;
    fourth += d * d * d * d / n;
  }
  m.skewness = third / std::pow(m.variance, 1.5);
  m.kurtosis = fourth / (m.variance * m.variance);
  return m;
}

// Pearson's statistic of equally likely cells, minus its mean, in its standard deviations.
double chi_square_excess(const std::vector<std::int64_t>& counts, double draws) {
  const double expected = draws / static_cast<double>(counts.size());
  double statistic = 0;
  for (const std::int64_t c : counts) statistic += std::pow(static_cast<double>(c) - expected, 2) / expected;
  const double freedom = static_cast<double>(counts.size()) - 1;
  return (statistic - freedom) / std::sqrt(2 * freedom);
}

}  // namespace

// kat_vectors of Random123 1.14: philox4x32 10 <counter> <key> <result>.
TEST_CASE("Random is Philox4x32-10", "[random]") {
  CHECK(Random(0, 0).block(0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Random(~0ull, ~0ull).block(~0ull) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Random(0x299f31d0a4093822, 0x0370734413198a2e).block(0x85a308d3243f6a88) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("Random draws its blocks' words in order, low word first", "[random]") {
  Random random(0, 0);
  CHECK(random.bits() == 0xe169c58d6627e8d5);
  CHECK(random.bits() == 0x9b00dbd8bc57ac4c);
  const Words next = random.block(1);
  CHECK(random.bits() == (next[0] | static_cast<std::uint64_t>(next[1]) << 32));
}

TEST_CASE("blocks of Random do not depend on the order in which they are asked for", "[random]") {
  const Random random(7, 3);
  std::vector<Words> up, down;
  for (std::uint64_t i = 0; i < 64; ++i) up.push_back(random.block(i));
  for (std::uint64_t i = 64; i-- > 0;) down.push_back(Random(7, 3).block(i));
  std::reverse(down.begin(), down.end());
  CHECK(up == down);
  CHECK(std::set<Words>(up.begin(), up.end()).size() == up.size());
}

TEST_CASE("seeds, streams and stream names give different numbers, equal ones the same", "[random]") {
  std::set<std::uint64_t> first;
  for (Random random :
       {Random(0), Random(1), Random(1ull << 32), Random(0, 1), Random(0, 1ull << 32), Random(0, ""),
        Random(0, "conv1/w"), Random(0, "conv1/b"), Random(0, "conv2/w"), Random(1, "conv1/w")}) {
    first.insert(random.bits());
  }
  CHECK(first.size() == 10);
  CHECK(Random(5, "conv1/w").bits() == Random(5, "conv1/w").bits());
  // FNV-1a of "a" is 0xaf63dc4c8601ec8c (Fowler, Noll and Vo, draft-eastlake-fnv).
  CHECK(Random(5, "a").bits() == Random(5, 0xaf63dc4c8601ec8cull).bits());
}

TEST_CASE("tensors of Random hold what single draws give, and the sequence goes on behind them", "[random]") {
  Random tensors(11, "weights"), single(11, "weights");
  single.bits(), tensors.bits();  // an odd position
  const Tensor uniform = tensors.uniform({37, 301}, -3, 5, DType::f64);
  for (const double value : uniform.values<double>()) REQUIRE(value == single.uniform(-3, 5));
  const Tensor normal = tensors.normal({13, 401}, 2, 0.5, DType::f64);
  for (const double value : normal.values<double>()) REQUIRE(value == 2 + 0.5 * single.normal());
  CHECK(tensors.bits() == single.bits());

  Random narrow(11, "weights"), wide(11, "weights");
  const Tensor f32 = narrow.normal({5, 3}, 0, 1), f64 = wide.normal({5, 3}, 0, 1, DType::f64);
  for (std::size_t i = 0; i < 15; ++i)
    CHECK(f32.values<float>()[i] == static_cast<float>(f64.values<double>()[i]));
  CHECK(tensors.uniform({0, 3}, 0, 1).elements() == 0);
}

// Bounds of five standard deviations of the estimates.
TEST_CASE("uniform and normal numbers have their distributions' moments", "[random]") {
  constexpr std::int64_t count = 1'000'000;
  const Tensor uniform = Random(1).uniform({count}, 0, 1, DType::f64);
  const Moments u = moments(uniform.values<double>());
  CHECK(std::abs(u.mean - 0.5) < 5 * std::sqrt(1 / 12.0 / count));
  CHECK(std::abs(u.variance - 1 / 12.0) < 5 * std::sqrt(1 / 180.0 / count));
  CHECK(std::abs(u.skewness) < 0.01);
  CHECK(std::abs(u.kurtosis - 1.8) < 0.01);
  std::vector<std::int64_t> cells(101);
  for (const double v : uniform.values<double>()) ++cells[static_cast<std::size_t>(v * 101)];
  CHECK(std::abs(chi_square_excess(cells, count)) < 5);

  const Tensor normal = Random(2).normal({count}, 0, 1, DType::f64);
  const Moments n = moments(normal.values<double>());
  CHECK(std::abs(n.mean) < 5 * std::sqrt(1.0 / count));
  CHECK(std::abs(n.variance - 1) < 5 * std::sqrt(2.0 / count));
  CHECK(std::abs(n.skewness) < 5 * std::sqrt(6.0 / count));
  CHECK(std::abs(n.kurtosis - 3) < 5 * std::sqrt(24.0 / count));
  double neighbours = 0;
  const auto values = normal.values<double>();
  for (std::size_t i = 1; i < values.size(); ++i) neighbours += values[i] * values[i - 1] / count;
  CHECK(std::abs(neighbours) < 5 * std::sqrt(1.0 / count));
}

TEST_CASE("uniform numbers stay below their upper end, also where rounding would reach it", "[random]") {
  Random random(3);
  const float high = std::nextafter(1.0f, 2.0f);
  const Tensor narrow = random.uniform({1000}, 1, static_cast<double>(high));  // two neighbours of f32
  for (const float value : narrow.values<float>()) REQUIRE(value == 1.0f);
  for (int i = 0; i < 1000; ++i) REQUIRE(random.uniform(1, std::nextafter(1.0, 2.0)) == 1.0);
  CHECK(random.uniform(4, 4) == 4);
  CHECK_THROWS_WITH(random.uniform(2, 1), "uniform: low must not be above high, found 2 and 1");
}

TEST_CASE("below has no bias at odd bounds", "[random]") {
  Random random(4);
  for (const std::int64_t bound : {1, 3, 5, 7, 11, 101}) {
    constexpr std::int64_t draws = 200'000;
    std::vector<std::int64_t> counts(static_cast<std::size_t>(bound));
    for (std::int64_t i = 0; i < draws; ++i) {
      const std::int64_t drawn = random.below(bound);
      REQUIRE((drawn >= 0 && drawn < bound));
      ++counts[static_cast<std::size_t>(drawn)];
    }
    if (bound > 1) CHECK(std::abs(chi_square_excess(counts, draws)) < 5);
  }
  // 2^64 holds this bound 2.67 times: a remainder of 64 bits alone would fall into the lower two thirds in 3
  // of 4 draws.
  constexpr std::int64_t bound = 0x6000000000000001;
  int low = 0;
  for (int i = 0; i < 30'000; ++i) low += random.below(bound) < bound / 3 * 2;
  CHECK(std::abs(low - 20'000) < 5 * std::sqrt(30'000 * 2 / 9.0));
  CHECK_THROWS_WITH(random.below(0), "below: the bound must be at least 1, found 0");
}

TEST_CASE("permutations hold every position once and all orders are equally likely", "[random]") {
  Random random(6);
  Order sorted = random.permutation(1000);
  CHECK_FALSE(std::is_sorted(sorted.begin(), sorted.end()));
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) REQUIRE(sorted[i] == static_cast<std::int64_t>(i));
  std::vector<std::int64_t> counts(24);
  for (int i = 0; i < 48'000; ++i) {
    const Order p = random.permutation(4);
    std::size_t rank = 0;  // in lexicographic order
    for (std::size_t a = 0; a < 4; ++a) {
      std::size_t smaller = 0;
      for (std::size_t b = a + 1; b < 4; ++b) smaller += p[b] < p[a];
      rank = rank * (4 - a) + smaller;
    }
    ++counts[rank];
  }
  CHECK(std::abs(chi_square_excess(counts, 48'000)) < 5);
  CHECK(random.permutation(0).empty());
  CHECK_THROWS_WITH(random.permutation(-1), "permutation: count must be 0 to 4294967296, found -1");
}

// Goldens from numpy 1.24.2, numpy.random.RandomState, printed with repr.
TEST_CASE("NumpyRandom repeats NumPy's legacy generator bit for bit", "[random]") {
  NumpyRandom three(3);
  CHECK(three.bits() == 0x8d01176a);
  CHECK(three.bits() == 0x121b0698);
  CHECK(three.bits() == 0xb5492cf9);

  NumpyRandom mixed(42);
  for (const double golden :
       {0.3745401188473625, 0.9507143064099162, 0.7319939418114051, 0.5986584841970366}) {
    CHECK(mixed.rand() == golden);
  }
  CHECK(mixed.randn() == -0.23415337472333597);
  CHECK(mixed.rand() == 0.05808361216819946);  // the second normal number waits
  CHECK(mixed.randn() == -0.23413695694918055);
  CHECK(mixed.randn() == 0.2790412922001377);
  CHECK(mixed.permutation(7) == Order{0, 6, 3, 1, 4, 5, 2});

  NumpyRandom largest(0xffffffff);
  CHECK(largest.rand() == 0.0976320289940138);
  CHECK(largest.rand() == 0.9123828453026218);
  CHECK(largest.randn() == 0.6484086742306527);

  NumpyRandom late(7);
  CHECK(late.randn({10, 100}).at({9, 99}) == -0.6774392378782009);
  CHECK(late.rand({1000}).at({999}) == 0.23665715234434692);
}

// spec/seed.md.
TEST_CASE("NumpyRandom gives the figures of the seed article", "[random][seed]") {
  NumpyRandom random(1);
  const Tensor x = random.randn({4, 3, 3, 2});
  const double golden[] = {0.9008559492644118,  -0.6837278591743331, -0.12289022551864817,
                           -0.9357694342590688, -0.2678880796260159, 0.530355466738186};
  for (std::int64_t i = 0; i < 6; ++i) CHECK(x.at({1, 1, i / 2, i % 2}) == golden[i]);

  NumpyRandom shuffler(0);
  CHECK(shuffler.permutation(10) == Order{2, 8, 4, 9, 1, 6, 7, 3, 0, 5});
  Order order = shuffler.permutation(1080);
  order.resize(5);
  CHECK(order == Order{204, 183, 356, 1013, 272});
}

TEST_CASE("NumpyRandom shuffles many, one and none as NumPy does", "[random]") {
  NumpyRandom random(5);
  const Order order = random.permutation(100'000);
  CHECK(Order(order.begin(), order.begin() + 3) == Order{60743, 33949, 52805});
  CHECK(Order(order.end() - 3, order.end()) == Order{20463, 18638, 35683});
  CHECK(random.permutation(1) == Order{0});
  CHECK(random.permutation(0).empty());
  CHECK(random.bits() == 2351506873);

  NumpyRandom power_of_two(0);
  power_of_two.permutation(64);
  const Order next = power_of_two.permutation(65);
  CHECK(Order(next.begin(), next.begin() + 4) == Order{40, 24, 19, 51});
}
