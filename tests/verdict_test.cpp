// The verdict on an estimate with an error bar.
#include "gradcheck/verdict.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

using namespace weft;

namespace {
constexpr double infinity = std::numeric_limits<double>::infinity();
}

TEST_CASE("the verdict is an equivalence test", "[verdict]") {
  CHECK(judge(1, 1, 0, 1, 1e-6) == Verdict::agree);
  CHECK(judge(1 + 5e-7, 1, 1e-7, 1, 1e-6) == Verdict::agree);       // 5e-7 + 4e-7
  CHECK(judge(1 + 5e-7, 1, 2e-7, 1, 1e-6) == Verdict::unresolved);  // 5e-7 + 8e-7
  CHECK(judge(1 + 2e-6, 1, 2e-7, 1, 1e-6) == Verdict::disagree);    // 2e-6 - 8e-7
  CHECK(judge(1 + 2e-6, 1, 3e-7, 1, 1e-6) == Verdict::unresolved);  // 2e-6 - 1.2e-6
  CHECK(judge(1 + 2e-6, 1, 2e-7, 1000, 1e-6) == Verdict::agree);
  CHECK(judge(0, 0, 0, 0, 1e-6) == Verdict::agree);
  CHECK(judge(1e-300, 0, 0, 0, 1e-6) == Verdict::disagree);
  CHECK(judge(1e-300, 0, 1e-300, 0, 1e-6) == Verdict::unresolved);
}

TEST_CASE("what is not finite resolves nothing, but a gradient of NaN is wrong", "[verdict]") {
  const double nan = std::nan("");
  CHECK(judge(nan, 1, 1e-9, 1, 1e-6) == Verdict::disagree);
  CHECK(judge(infinity, 1, 1e-9, 1, 1e-6) == Verdict::disagree);
  CHECK(judge(nan, 1, infinity, 1, 1e-6) == Verdict::unresolved);
  CHECK(judge(1, nan, 0, 1, 1e-6) == Verdict::unresolved);
  CHECK(judge(nan, nan, 0, 1, 1e-6) == Verdict::unresolved);
  CHECK(judge(1, 1, nan, 1, 1e-6) == Verdict::unresolved);
  CHECK(judge(1, 1, infinity, 1, 1e-6) == Verdict::unresolved);
  CHECK(judge(infinity, infinity, 0, 1, 1e-6) == Verdict::agree);
  CHECK(resolution(1, 1, 0, 0) == 0);
  CHECK(std::isinf(resolution(nan, 1, 0, 1)));
  CHECK(std::isinf(resolution(1, 1, infinity, 1)));
  CHECK(resolution(1 + 5e-7, 1, 1e-7, 2) == Approx(4.5e-7).epsilon(1e-6));
}

TEST_CASE("a wider bar never turns a failure into agreement, nor one failure into the other", "[verdict]") {
  std::mt19937 random(5);
  const auto magnitude = [&](double low, double high) {
    return std::pow(10, std::uniform_real_distribution(low, high)(random));
  };
  std::array<int, 3> seen{};
  for (int i = 0; i < 20000; ++i) {
    const double scale = magnitude(-8, 8), detect = magnitude(-10, -3);
    const double expected = scale * std::uniform_real_distribution(-1.0, 1.0)(random);
    const double found = expected + (random() % 2 ? 1 : -1) * detect * scale * magnitude(-3, 3);
    const double error = random() % 10 ? detect * scale * magnitude(-4, 2) : 0;
    const Verdict narrow = judge(found, expected, error, scale, detect);
    const Verdict wide =
        judge(found, expected, error * magnitude(0, 4) + scale * magnitude(-16, -4), scale, detect);
    ++seen[static_cast<std::size_t>(narrow)];
    CHECK((wide == narrow || wide == Verdict::unresolved));
    if (narrow == Verdict::agree) {
      CHECK(judge(found + 2.1 * detect * scale, expected, error, scale, detect) != Verdict::agree);
    }
  }
  for (const int count : seen) CHECK(count > 1000);
}

TEST_CASE("a structural zero is compared with its row and column", "[verdict]") {
  const std::array jacobian{0.0, 2.0, -8000.0, 0.0, 0.0, infinity};  // [2, 3]
  CHECK(jacobian_scales(jacobian, 2, 3) == std::vector{8.0, 8.0, 8000.0, 0.0, 0.002, 8.0});
  CHECK(jacobian_scales({}, 0, 3).empty());
}

TEST_CASE("a comparison keeps the worst of many, wrong entries before unclear ones", "[verdict]") {
  Comparison comparison;
  CHECK(comparison.verdict == Verdict::agree);
  comparison.add(0, Verdict::agree, 1e-9);
  comparison.add(1, Verdict::unresolved, infinity);
  CHECK(comparison.verdict == Verdict::unresolved);
  comparison.add(2, Verdict::disagree, 0.5);
  comparison.add(3, Verdict::disagree, 0.75);
  comparison.add(4, Verdict::unresolved, 0.25);
  CHECK(comparison.verdict == Verdict::disagree);
  CHECK(comparison.worst == std::vector<std::size_t>{3, 2, 1, 4});
  CHECK(comparison.compared == 5);
  CHECK(comparison.differing == 2);
  CHECK(comparison.unresolved == 2);
  CHECK(std::isinf(comparison.resolution));
  for (std::size_t i = 5; i < 20; ++i) comparison.add(i, Verdict::disagree, static_cast<double>(i));
  CHECK(comparison.worst == std::vector<std::size_t>{19, 18, 17, 16, 15, 14, 13, 12});
}
