// The scalars on which references run, against closed forms.
#include "weft/scalars.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "weft/op_info.hpp"

using namespace weft;

namespace {

// One function of one variable with its first two derivatives.
struct Unary {
  const char* name;
  double x;
  double value, first, second;
  Dual2 (*f)(const Dual2&);
};

const double e = std::exp(0.75);
const double t = std::tanh(0.75);
const double bell = 2 / std::sqrt(std::acos(-1.0)) * std::exp(-0.75 * 0.75);
const Unary unary[] = {
    {"exp", 0.75, e, e, e, [](const Dual2& x) { return exp(x); }},
    {"log", 0.75, std::log(0.75), 1 / 0.75, -1 / (0.75 * 0.75), [](const Dual2& x) { return log(x); }},
    {"tanh", 0.75, t, 1 - t* t, -2 * t*(1 - t * t), [](const Dual2& x) { return tanh(x); }},
    {"sqrt", 2.25, 1.5, 1 / 3.0, -0.25 / 3.375, [](const Dual2& x) { return sqrt(x); }},
    {"erf", 0.75, std::erf(0.75), bell, -1.5 * bell, [](const Dual2& x) { return erf(x); }},
    {"x^2.5", 4, 32, 20, 7.5, [](const Dual2& x) { return pow(x, 2.5); }},
    {"x^-2", -2, 0.25, 0.25, 0.375, [](const Dual2& x) { return pow(x, -2); }},
    {"x^2 at 0", 0, 0, 0, 2, [](const Dual2& x) { return pow(x, 2); }},
    {"x^1 at 0", 0, 0, 1, 0, [](const Dual2& x) { return pow(x, 1); }},
    {"x^0 at 0", 0, 1, 0, 0, [](const Dual2& x) { return pow(x, 0); }},
    {"abs", -1.5, 1.5, -1, 0, [](const Dual2& x) { return abs(x); }},
    {"floor", -1.5, -2, 0, 0, [](const Dual2& x) { return floor(x); }},
    {"1 / x", 0.5, 2, -4, 16, [](const Dual2& x) { return 1 / x; }},
    {"x / (1 + x)", 1, 0.5, 0.25, -0.25, [](const Dual2& x) { return x / (1 + x); }},
    {"-x * x * x", 2, -8, -12, -12, [](const Dual2& x) { return -x * x * x; }},
    {"x - x * x", 2, -2, -3, -2, [](const Dual2& x) { return x - x * x; }},
};

// f(x) = x0^2 x1 + exp(x1 x2) / x0, its gradient and its Hessian at (2, 1, 1/2).
template <class T>
T trivariate(const std::vector<T>& x) {
  using std::exp;
  T y = x[0] * x[0] * x[1];
  y += exp(x[1] * x[2]) / x[0];
  return y;
}

// Sums of products and quotients, in f32 and f64.
template <class T>
T rounding(const std::vector<T>& x) {
  using std::exp, std::sqrt, std::tanh, std::log;
  T sum(0.0), product(1.0);
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    sum += x[i] * x[i + 1];
    product *= T(0.5) + x[i] / (x[i + 1] * x[i + 1] + T(1.0));
  }
  return sum - product + tanh(sum) + exp(-x[0]) * sqrt(x[1] * x[1] + T(2.0)) - log(x[2] * x[2] + T(0.5));
}

}  // namespace

TEST_CASE("dual numbers give first and second derivatives", "[scalars]") {
  for (const Unary& u : unary) {
    INFO(u.name);
    const Dual2 y = u.f(Dual2::variable(Dual::variable(u.x, 3), 0));
    CHECK(y.value().value() == Approx(u.value).epsilon(1e-14));
    CHECK(y.value().derivative(3) == Approx(u.first).epsilon(1e-14));
    CHECK(y.derivative(0).value() == Approx(u.first).epsilon(1e-14));
    CHECK(y.derivative(0).derivative(3) == Approx(u.second).epsilon(1e-14));
    CHECK(y.value().derivative(2) == 0);
    CHECK(y.derivative(0).derivative(2) == 0);
  }
}

TEST_CASE("a dual number carries eight directions, and Dual2 a Hessian times a vector", "[scalars]") {
  CHECK(Dual::width == 8);
  const std::array<double, 3> point{2, 1, 0.5}, w{1, -2, 3};
  std::vector<Dual> first;
  std::vector<Dual2> second;
  for (int i = 0; i < 3; ++i) {
    const auto at = static_cast<std::size_t>(i);
    first.push_back(Dual::variable(point[at], i));
    second.push_back(Dual2::variable(Dual::variable(point[at], i), 0, w[at]));
  }
  const double z = std::exp(0.5);
  const std::array<double, 3> gradient{4 - z / 4, 4 + z / 4, z / 2};
  const double hessian[3][3] = {
      {2 + z / 4, 4 - z / 8, -z / 4}, {4 - z / 8, z / 8, 0.5 * z * 1.5}, {-z / 4, 0.5 * z * 1.5, z / 2}};
  const Dual y = trivariate(first);
  const Dual2 hw = trivariate(second);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(y.derivative(static_cast<int>(i)) == Approx(gradient[i]).epsilon(1e-14));
    double expected = 0;
    for (std::size_t j = 0; j < 3; ++j) expected += hessian[i][j] * w[j];
    CHECK(hw.derivative(0).derivative(static_cast<int>(i)) == Approx(expected).epsilon(1e-14));
  }
}

TEST_CASE("dual numbers compare by value, NaN with nothing", "[scalars]") {
  const Dual2 one = Dual2::variable(Dual::variable(1, 0), 0), two(2);
  CHECK((one < two && one <= two && two > one && two >= one));
  CHECK((one == Dual2(1) && one != two && one <= Dual2(1) && !(one < Dual2(1))));
  const Dual2 nan(std::nan(""));
  CHECK_FALSE((nan < one || nan > one || nan <= one || nan >= one || nan == nan));
}

TEST_CASE("traces are equal where the decisions are", "[scalars]") {
  const auto trace_of = [](double a, double b) {
    Trace trace;
    const Traced x(a, &trace), y(b, &trace);
    const Traced largest = x > y ? x : y;
    if (largest < 0.0) return trace;
    if (abs(largest - y) == floor(x)) return trace;
    return trace;
  };
  CHECK(trace_of(0.5, 0.25).signature == trace_of(0.75, 0.125).signature);
  CHECK(trace_of(0.5, 0.25).signature != trace_of(0.25, 0.5).signature);    // x > y
  CHECK(trace_of(0.5, 0.25).signature != trace_of(-0.5, -0.75).signature);  // < 0
  CHECK(trace_of(0.5, 0.25).signature != trace_of(1.5, 0.25).signature);    // floor
  Trace one, other;
  CHECK((Traced(1, &one) < 2.0 && !(Traced(2, &one) < 1.0)));
  CHECK((!(Traced(2, &other) < 1.0) && Traced(1, &other) < 2.0));
  CHECK(one.signature != other.signature);  // the same outcomes in another order
  CHECK(Trace{}.signature != one.signature);
}

TEST_CASE("a trace has the margin, the ties and how often each outcome came", "[scalars]") {
  using Decision = Trace::Decision;
  Trace trace;
  const Traced x(0.5, &trace);
  CHECK(trace.margin == std::numeric_limits<double>::infinity());
  CHECK(x < 2.0);
  CHECK_FALSE(x >= 0.75);
  CHECK(x <= 0.5);
  CHECK_FALSE(Traced(0.25) > x);  // takes the trace of the other operand
  CHECK(abs(-x).value() == 0.5);
  CHECK(floor(x * 5).value() == 2);
  CHECK_FALSE(x == 0.375);
  CHECK(trace.comparisons == 7);
  CHECK(trace.ties == 1);
  CHECK(trace.margin == 0.125);
  const auto seen = [&](Decision d) { return trace.outcomes[static_cast<std::size_t>(d)]; };
  CHECK((seen(Decision::less).yes == 1 && seen(Decision::less).no == 0));
  CHECK((seen(Decision::greater_equal).yes == 0 && seen(Decision::greater_equal).no == 1));
  CHECK((seen(Decision::less_equal).yes == 1 && seen(Decision::greater).no == 1));
  CHECK((seen(Decision::sign).yes == 1 && seen(Decision::equal).no == 1));
  CHECK(Traced(1.0) < Traced(2.0));  // without a trace
  CHECK(trace.comparisons == 7);
}

TEST_CASE("results on Traced are those on double, and keep the trace", "[scalars]") {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> uniform(-2, 2);
  for (int i = 0; i < 100; ++i) {
    Trace trace;
    std::vector<double> x(7);
    std::vector<Traced> traced;
    for (double& v : x) traced.emplace_back(v = uniform(random), &trace);
    const Traced y = rounding(traced);
    CHECK(y.value() == rounding(x));
    CHECK(y.trace() == &trace);
    CHECK(pow(erf(traced[0]), 2).value() == std::pow(std::erf(x[0]), 2));
  }
}

TEST_CASE("a bounded number carries terms and roundings by the rules", "[scalars]") {
  const Bounded a = Bounded(3) + Bounded(-2), b = Bounded(-2) * Bounded(4);
  CHECK((a.value() == 1 && a.magnitude() == 5 && a.chain() == 1));
  CHECK((b.value() == -8 && b.magnitude() == 8 && b.chain() == 1));
  const Bounded product = a * b, sum = a - b, quotient = a / b;
  CHECK((product.value() == -8 && product.magnitude() == 40 && product.chain() == 3));
  CHECK((sum.value() == 9 && sum.magnitude() == 13 && sum.chain() == 2));
  CHECK((quotient.value() == -0.125 && quotient.magnitude() == 0.75 && quotient.chain() == 3));
  const Bounded root = sqrt(Bounded(4) + Bounded(0));
  CHECK((root.value() == 2 && root.magnitude() == 3 && root.chain() == 5));
  const double u = 0x1p-24;
  CHECK(a.error(u) == Approx(u / (1 - u) * 5));  // one rounding: gamma_1
  CHECK((Bounded(3) + 1).error(u) == Approx(u / (1 - u) * 4));
  CHECK(Bounded(3).error(u) == 0);
}

TEST_CASE("f32 stays within the bound, which is not idle", "[scalars]") {
  std::mt19937 random(4);
  std::uniform_real_distribution<float> uniform(-2, 2);
  double worst = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<float> x(12);
    for (float& v : x) v = uniform(random);
    const Bounded bounded = rounding(std::vector<Bounded>(x.begin(), x.end()));
    const double exact = rounding(std::vector<double>(x.begin(), x.end()));
    CHECK(bounded.value() == exact);
    worst = std::max(worst, std::fabs(static_cast<double>(rounding(x)) - exact) / bounded.error(0x1p-24));
  }
  CHECK(worst < 1);
  CHECK(worst > 1e-3);
}

TEST_CASE("a reference runs on all five scalars", "[scalars]") {
  const Reference reference([]<class T>(const Inputs<T>& x, const Attributes&) {
    return map_reference(x[0], [](const T& v) { return v < T(0.0) ? T(0.0) : v * v; });
  });
  const auto on = [&]<class T>(const T& three) {
    Inputs<T> x;
    Array<T> values({2}, three);
    values[1] = -three;
    x.push_floating(values);
    return reference(x, Attributes{});
  };
  CHECK(on(3.0)[0] == 9);
  CHECK(on(Dual::variable(3, 7))[0].derivative(7) == 6);
  CHECK(on(Dual2::variable(Dual::variable(3, 7), 0))[0].derivative(0).derivative(7) == 2);
  CHECK(on(Bounded(3))[0].magnitude() == 9);
  Trace trace;
  CHECK(on(Traced(3, &trace))[0].value() == 9);
  CHECK(trace.comparisons == 2);
}
