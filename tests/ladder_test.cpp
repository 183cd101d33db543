// The numerics of the gradient checker against functions whose derivatives are known in closed form.
#include "gradcheck/ladder.hpp"

#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "gradcheck/verdict.hpp"
#include "weft/error.hpp"

using namespace weft;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double detect = 1e-6;

struct Known {
  std::string name;
  double (*f)(double);
  double (*derivative)(double);
  double low, high;  // where x is drawn from
};

double square(double x) { return x * x; }
// In [-1, 1), another one for each t.
double uniform_noise(double t) {
  return static_cast<double>(std::bit_cast<std::uint64_t>(t + 3.1) * 0x9e3779b97f4a7c15 >> 11) * 0x1p-52 - 1;
}
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// Poles lie outside of [low, high], but within a step of 1/4.
const Known known[] = {
    {"3x - 2", [](double x) { return 3 * x - 2; }, [](double) { return 3.0; }, -3, 3},
    {"x^2", square, [](double x) { return 2 * x; }, -3, 3},
    {"x^3", [](double x) { return x * x * x; }, [](double x) { return 3 * x * x; }, -3, 3},
    {"x^9", [](double x) { return std::pow(x, 9); }, [](double x) { return 9 * std::pow(x, 8); }, 0.5, 2},
    {"x^-3", [](double x) { return std::pow(x, -3); }, [](double x) { return -3 * std::pow(x, -4); }, 0.5, 2},
    {"x^2.5", [](double x) { return std::pow(x, 2.5); }, [](double x) { return 2.5 * std::pow(x, 1.5); }, 0.5,
     3},
    {"sqrt x", [](double x) { return std::sqrt(x); }, [](double x) { return 0.5 / std::sqrt(x); }, 0.01, 3},
    {"cbrt x", [](double x) { return std::cbrt(x); }, [](double x) { return 1 / (3 * square(std::cbrt(x))); },
     0.5, 3},
    {"log x", [](double x) { return std::log(x); }, [](double x) { return 1 / x; }, 0.05, 3},
    {"log1p x", [](double x) { return std::log1p(x); }, [](double x) { return 1 / (1 + x); }, -0.9, 3},
    {"exp x", [](double x) { return std::exp(x); }, [](double x) { return std::exp(x); }, -3, 3},
    {"exp 20x", [](double x) { return std::exp(20 * x); }, [](double x) { return 20 * std::exp(20 * x); }, -1,
     1},
    {"exp -x^2", [](double x) { return std::exp(-x * x); },
     [](double x) { return -2 * x * std::exp(-x * x); }, -2, 2},
    {"x exp x", [](double x) { return x * std::exp(x); }, [](double x) { return (1 + x) * std::exp(x); }, -3,
     2},
    {"sin x", [](double x) { return std::sin(x); }, [](double x) { return std::cos(x); }, -3, 3},
    {"sin 30x", [](double x) { return std::sin(30 * x); }, [](double x) { return 30 * std::cos(30 * x); }, -1,
     1},
    {"cos x", [](double x) { return std::cos(x); }, [](double x) { return -std::sin(x); }, -3, 3},
    {"sin exp x", [](double x) { return std::sin(std::exp(x)); },
     [](double x) { return std::exp(x) * std::cos(std::exp(x)); }, -1, 3},
    {"tan x", [](double x) { return std::tan(x); }, [](double x) { return 1 + square(std::tan(x)); }, -1.5,
     1.5},
    {"atan x", [](double x) { return std::atan(x); }, [](double x) { return 1 / (1 + x * x); }, -3, 3},
    {"asin x", [](double x) { return std::asin(x); }, [](double x) { return 1 / std::sqrt(1 - x * x); },
     -0.95, 0.95},
    {"sinh x", [](double x) { return std::sinh(x); }, [](double x) { return std::cosh(x); }, -3, 3},
    {"tanh x", [](double x) { return std::tanh(x); }, [](double x) { return 1 - square(std::tanh(x)); }, -3,
     3},
    {"logistic x", logistic, [](double x) { return logistic(x) * (1 - logistic(x)); }, -3, 3},
    {"softplus x", [](double x) { return std::log1p(std::exp(x)); }, logistic, -3, 3},
    {"erf x", [](double x) { return std::erf(x); },
     [](double x) { return 2 / std::sqrt(std::acos(-1.0)) * std::exp(-x * x); }, -2, 2},
    {"1 / x", [](double x) { return 1 / x; }, [](double x) { return -1 / (x * x); }, 0.01, 0.5},
    {"1 / x^2", [](double x) { return 1 / (x * x); }, [](double x) { return -2 / (x * x * x); }, 0.02, 0.5},
    {"1 / (1 + 25x^2)", [](double x) { return 1 / (1 + 25 * x * x); },
     [](double x) { return -50 * x / square(1 + 25 * x * x); }, -1, 1},
    {"(x^2 - 2) / (x - 3)", [](double x) { return (x * x - 2) / (x - 3); },
     [](double x) { return (x * x - 6 * x + 2) / square(x - 3); }, -1, 2.9},
    {"1e6 sin x", [](double x) { return 1e6 * std::sin(x); }, [](double x) { return 1e6 * std::cos(x); }, -3,
     3},
    {"1e-6 exp x", [](double x) { return 1e-6 * std::exp(x); }, [](double x) { return 1e-6 * std::exp(x); },
     -3, 3},
    {"1e6 + tanh x", [](double x) { return 1e6 + std::tanh(x); },
     [](double x) { return 1 - square(std::tanh(x)); }, -3, 3},
    {"atan 1e3x", [](double x) { return std::atan(1e3 * x); },
     [](double x) { return 1e3 / (1 + 1e6 * x * x); }, -0.01, 0.01},
};

// Counts what no estimate may do, and what few may.
struct Tally {
  int cases = 0, outside = 0, false_alarms = 0, missed = 0, unresolved = 0, unnoticed = 0;
  std::string first;

  void add(const std::string& name, const Estimate& estimate, double truth, double scale) {
    ++cases;
    const bool covers = std::fabs(estimate.value - truth) <= error_bars * estimate.error;
    if (!covers && outside++ == 0) first = name;
    const Verdict right = judge(truth, estimate.value, estimate.error, scale, detect);
    if (right == Verdict::disagree && false_alarms++ == 0) first = name;
    unresolved += right == Verdict::unresolved;
    for (const double wrong : {truth + 2 * detect * scale, truth - 2 * detect * scale}) {
      const Verdict verdict = judge(wrong, estimate.value, estimate.error, scale, detect);
      if (verdict == Verdict::agree && missed++ == 0) first = name;
      unnoticed += verdict != Verdict::disagree;
    }
  }
};

// x on the grid 2^-12, and a direction, so that x + t u is exact.
struct Line {
  double x, u;
};
Line line(std::mt19937& random, double low, double high) {
  const double x = std::uniform_real_distribution(low, high)(random);
  const double u = 1 + static_cast<double>(random() % 64) / 64;
  return {std::nearbyint(x * 4096) / 4096, random() % 2 ? u : -u};
}

}  // namespace

TEST_CASE("the bar covers the truth, right gradients are never rejected and wrong ones never accepted",
          "[ladder]") {
  for (const bool smooth : {true, false}) {
    Tally tally;
    std::mt19937 random(11);
    for (const Known& k : known) {
      for (int i = 0; i < 60; ++i) {
        const auto [x, u] = line(random, k.low, k.high);
        const double truth = u * k.derivative(x);
        const auto g = [&k, x = x, u = u](double t) { return k.f(x + t * u); };
        tally.add(k.name, directional_derivative(g, {.smooth = smooth}), truth, std::fabs(truth));
      }
    }
    INFO(tally.first);
    CHECK(tally.cases == 60 * static_cast<int>(std::size(known)));
    CHECK(tally.outside * 1000 <= tally.cases);
    CHECK(tally.false_alarms == 0);
    CHECK(tally.missed == 0);
    CHECK(tally.unresolved <= 60);  // all of 1e6 + tanh x, whose rounding errors hide what is to be noticed
  }
}

TEST_CASE("with known noise a smooth function takes 20 evaluations at most on average", "[ladder]") {
  std::mt19937 random(12);
  int cases = 0, evaluations = 0;
  for (const Known& k : known) {
    for (int i = 0; i < 30; ++i, ++cases) {
      const auto [x, u] = line(random, k.low, k.high);
      const auto g = [&k, x = x, u = u](double t) { return k.f(x + t * u); };
      const double noise = rounding_noise(k.f(x), std::fabs(k.derivative(x)), 1);
      evaluations += directional_derivative(g, {.noise = noise, .smooth = true}).evaluations;
    }
  }
  CHECK(evaluations <= 20 * cases);
}

TEST_CASE("a kink at whatever distance never gives a wrong value with a small bar", "[ladder]") {
  struct Kink {
    std::string name;
    double (*f)(double);
    double (*derivative)(double);
  };
  const Kink kinks[] = {
      {"relu", [](double s) { return s > 0 ? s : 0; }, [](double s) { return s > 0 ? 1.0 : 0; }},
      {"leaky relu", [](double s) { return s > 0 ? s : 0.01 * s; },
       [](double s) { return s > 0 ? 1 : 0.01; }},
      {"abs", [](double s) { return std::fabs(s); }, [](double s) { return s > 0 ? 1.0 : -1; }},
      {"step", [](double s) { return s > 0 ? 1.0 : 0; }, [](double) { return 0.0; }},
      {"s |s|", [](double s) { return s * std::fabs(s); }, [](double s) { return 2 * std::fabs(s); }},
      {"|s|^1.5", [](double s) { return std::pow(std::fabs(s), 1.5); },
       [](double s) { return std::copysign(1.5, s) * std::sqrt(std::fabs(s)); }},
  };
  Tally tally, far;
  std::mt19937 random(13);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution(low, high)(random);
  };
  for (const Kink& kink : kinks) {
    for (const double size : {1.0, 1e-3, 1e-5, 1e-7}) {
      for (const double distance : {0.0, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5}) {
        for (int i = 0; i < 8; ++i) {
          const double x = uniform(0.5, 1.5), at = distance * uniform(-2, 2), c = size * uniform(1, 2);
          const auto g = [&](double t) { return std::sin(x + t) + c * kink.f(t - at); };
          const Estimate estimate = directional_derivative(g);
          for (const double side : {-1e-300, 1e-300}) {
            const double truth = std::cos(x) + c * kink.derivative(side - at);
            tally.add(kink.name, estimate, truth, std::fabs(truth));
            if (distance >= 1e-2) far.add(kink.name, estimate, truth, std::fabs(truth));
          }
        }
      }
    }
  }
  INFO(tally.first);
  CHECK(tally.outside * 1000 <= tally.cases);
  CHECK(tally.false_alarms == 0);
  CHECK(tally.missed == 0);
  CHECK(far.unresolved * 50 < far.cases);  // a smaller step is tried before giving up
}

TEST_CASE("noise is measured, and none of it is taken for the derivative", "[ladder]") {
  Tally tally;
  std::mt19937 random(14);
  for (const Known& k : known) {
    for (int i = 0; i < 20; ++i) {
      const auto [x, u] = line(random, k.low, k.high);
      const double truth = u * k.derivative(x);
      const auto noisy = [&k, x = x, u = u](double t) { return k.f(x + t * u) + 1e-8 * uniform_noise(t); };
      const Estimate estimate = directional_derivative(noisy, {.smooth = true});
      CHECK(estimate.noise > 5e-9);
      tally.add(k.name, estimate, truth, std::fabs(truth));
      if (k.name == "1e6 + tanh x") continue;  // a constant in f32
      const auto f32 = [&k, x = x, u = u](double t) {
        return static_cast<double>(static_cast<float>(k.f(x + t * u)));
      };
      const Estimate coarse = directional_derivative(f32);
      if (std::fabs(k.f(x)) > 0.01 * std::fabs(truth)) {  // f32 is fine near 0
        CHECK(coarse.noise > 100 * rounding_noise(k.f(x), std::fabs(truth), 0.25));
      }
      tally.add(k.name + " in f32", coarse, truth, std::fabs(truth));
    }
  }
  INFO(tally.first);
  CHECK(tally.outside * 1000 <= tally.cases);
  CHECK(tally.false_alarms == 0);
  CHECK(tally.missed == 0);
}

TEST_CASE("a kink that larger steps do not see is no derivative", "[ladder]") {
  // On the arch beside 0, of slope c width; beyond it nothing is left to see.
  Tally tally;
  for (const double width : {1e-2, 1e-3, 1e-4}) {
    for (const double slope : {1.0, 1e-2, 1e-4, 3e-6}) {
      const auto g = [&](double t) {
        return 8 + std::sin(1 + t) + slope / width * std::max(0.0, t * (width - t));
      };
      const Estimate estimate = directional_derivative(g);
      tally.add("right", estimate, std::cos(1) + slope, 1);
      tally.add("left", estimate, std::cos(1), 1);
    }
  }
  // A dead zone beside which both sides are steep.
  const auto threshold = [](double t) {
    return std::sin(1 + t) + std::copysign(std::max(0.0, std::fabs(t) - 1e-8), t);
  };
  tally.add("dead zone", directional_derivative(threshold), std::cos(1), 1);
  INFO(tally.first);
  CHECK(tally.outside == 0);
  CHECK(tally.false_alarms == 0);
  CHECK(tally.missed == 0);
}

TEST_CASE("the bar of a smaller step wins against a coincidence of large ones", "[ladder]") {
  // Steps of 1/4 to 1/16 are half periods.
  const double w = 16 * std::acos(-1.0);
  const Estimate exact = directional_derivative([&](double t) { return std::sin(4 * w * t) + 0.5 * t; });
  CHECK(std::fabs(exact.value - (4 * w + 0.5)) <= error_bars * exact.error);
  CHECK(exact.error < 1e-6);
  const auto noisy = [&](double t) { return std::sin(w * t) + 1e-4 * uniform_noise(t); };
  const Estimate estimate = directional_derivative(noisy, {.noise = 1e-4, .smooth = true});
  CHECK(std::fabs(estimate.value - w) <= error_bars * estimate.error);
  CHECK(estimate.error < 1);
}

TEST_CASE("polynomials are extrapolated to rounding errors, with the order of their column", "[ladder]") {
  const auto quintic = [](double t) { return 1 + t * (2 + t * (3 + t * (4 + t * (5 + t * 6)))); };
  const Estimate both = directional_derivative(quintic, {.noise = 2e-16, .smooth = true});
  CHECK(both.value == Approx(2).epsilon(1e-14));
  CHECK(both.order == 8);
  CHECK(both.evaluations == 10);
  const auto cubic = [](double t) { return 1 + t * (2 + t * (3 + t * 4)); };
  const Estimate right = directional_derivative(cubic, {.noise = 2e-16, .side = Side::right, .smooth = true});
  CHECK(right.value == Approx(2).epsilon(1e-13));
  CHECK(right.order == 4);
  CHECK(right.evaluations == 6);
}

TEST_CASE("affine functions on the grid are differentiated exactly", "[ladder]") {
  const std::array w{0.75, -1.25, 3.5}, x{0.015625, -2.03125, 1.5}, u{1.015625, -1.984375, 1.5};
  int calls = 0;
  const auto g = [&](double t) {
    ++calls;
    double sum = 0.375;
    for (std::size_t i = 0; i < w.size(); ++i) sum += w[i] * (x[i] + t * u[i]);
    return sum;
  };
  const Estimate both = directional_derivative(g, {.noise = 1e-15, .affine = true});
  CHECK(both.value == 0.75 * 1.015625 + 1.25 * 1.984375 + 3.5 * 1.5);
  CHECK(both.error == 1e-15);
  CHECK(both.evaluations == 2);
  CHECK(calls == 2);
  const Estimate right = directional_derivative(g, {.noise = 1e-15, .side = Side::right, .affine = true});
  CHECK(right.value == both.value);
  CHECK(right.error == 2e-15);
  CHECK(right.one_sided);
}

TEST_CASE("outputs share their evaluations, and each gets what it would get alone", "[ladder]") {
  const auto f = [](std::size_t i, double t) {
    switch (i) {
      case 0:
        return std::sin(1 + t);
      case 1:
        return std::exp(20 * t);
      case 2:
        return 1 / (t + 0.05);
      case 3:
        return std::fabs(t);
      default:
        return 3.0;
    }
  };
  const std::array noise{2e-16, 2e-16, 4e-15, 1e-17, 4e-16}, scale{1.0, 20.0, 400.0, 1.0, 1.0};
  for (const bool smooth : {true, false}) {
    int calls = 0;
    const auto vector = [&](double t, std::span<double> y) {
      ++calls;
      for (std::size_t i = 0; i < y.size(); ++i) y[i] = f(i, t);
    };
    const std::vector<Estimate> together =
        directional_derivatives(vector, {.noise = noise, .scale = scale, .options = {.smooth = smooth}});
    REQUIRE(together.size() == noise.size());
    int most = 0;
    for (std::size_t i = 0; i < noise.size(); ++i) {
      const Estimate alone = directional_derivative([&](double t) { return f(i, t); },
                                                    {.noise = noise[i], .scale = scale[i], .smooth = smooth});
      CHECK(together[i].value == alone.value);
      CHECK(together[i].error == alone.error);
      CHECK(together[i].order == alone.order);
      most = std::max(most, alone.evaluations);
    }
    CHECK(calls == most);
  }
}

TEST_CASE("one-sided differences test the convention at a kink", "[ladder]") {
  const auto g = [](double t) { return t > 0 ? std::exp(t) : std::cos(3 * t); };
  const Estimate right = directional_derivative(g, {.noise = 1e-15, .side = Side::right, .smooth = true});
  CHECK(std::fabs(right.value - 1) <= error_bars * right.error);
  CHECK(right.error < 1e-9);
  CHECK(right.one_sided);
  const Estimate left = directional_derivative(g, {.noise = 1e-15, .side = Side::left});
  CHECK(std::fabs(left.value) <= error_bars * left.error);
  CHECK(std::isinf(directional_derivative(g).error));
}

TEST_CASE("where g is not finite the step is smaller or the error infinite", "[ladder]") {
  for (const double edge : {0.01, 1e-4}) {
    const Estimate near = directional_derivative([&](double t) { return std::sqrt(t + edge); });
    CHECK(std::fabs(near.value - 0.5 / std::sqrt(edge)) <= error_bars * near.error);
    CHECK(near.error < 1e-6);
  }
  for (const auto& g : std::vector<std::function<double(double)>>{
           [](double t) { return std::sqrt(t); }, [](double) { return std::nan(""); },
           [](double t) { return t == 0 ? 1 : infinity; }, [](double t) { return 1 / t; },
           [](double t) { return t < 0 ? -infinity : infinity; },
           [](double t) { return t == 0 ? 1.0 : 0.0; }}) {
    for (const bool smooth : {true, false}) {
      const Estimate estimate = directional_derivative(g, {.smooth = smooth});
      CHECK(std::isfinite(estimate.value));
      CHECK((estimate.error > 1 || smooth));
      CHECK_FALSE(std::isnan(estimate.error));
    }
  }
  const auto large = [](double t) { return 1e308 * (1 + t); };
  CHECK_FALSE(std::isnan(directional_derivative(large, {.smooth = true}).error));
}

TEST_CASE("a ladder without a step, or with noise for other outputs, is refused", "[ladder]") {
  const auto g = [](double t) { return t; };
  for (const double step : {0.0, -1.0, infinity, std::nan("")}) {
    CHECK_THROWS_WITH(directional_derivative(g, {.step = step}), Catch::Contains("needed a positive one"));
  }
  const std::array<double, 2> noise{}, scale{};
  CHECK_THROWS_AS(
      directional_derivatives([](double, std::span<double>) {},
                              {.noise = noise, .scale = std::span(scale).first(1), .options = {}}),
      Error);
}
