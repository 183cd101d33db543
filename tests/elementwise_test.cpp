// Elementwise ops and operators: special values, what operators record, error texts. Gradients on samples are
// tested op by op in the generated cases.
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "weft/weft.hpp"

using namespace weft;

namespace {

using Function = std::function<Var(const Var&)>;

constexpr double quiet_nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

// The same number, of the same sign where it is 0; any NaN is like any other.
bool same_number(double a, double b) {
  return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

// How many numbers of type T lie between a and b.
template <class T>
std::int64_t units_apart(T a, T b) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : 1 << 30;
  const auto ordered = [](T x) {
    const Bits bits = std::bit_cast<Bits>(x);
    return static_cast<std::int64_t>(bits < 0 ? std::numeric_limits<Bits>::min() - bits : bits);
  };
  return std::abs(ordered(a) - ordered(b));
}

// The op of node n and its attributes: "scale factor=1.01".
std::string recorded(const Graph& g, NodeId n) {
  const std::string attributes = to_string(g.op(n)->attributes());
  return std::string(g.op(n)->info().name) + (attributes.empty() ? "" : " ") + attributes;
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

// IEEE 754 and C's Annex F, but for pow's exponents 0.5 and -0.5, which are those of sqrt.
TEST_CASE("NaN, infinities and zeros go through every op of one operand", "[elementwise]") {
  const std::vector<double> x{quiet_nan, infinity, -infinity, 0.0, -0.0};
  struct Row {
    const char* name;
    Function op;
    std::vector<double> y;
  };
  const Row rows[] = {
      {"negate", [](const Var& v) { return negate(v); }, {quiet_nan, -infinity, infinity, -0.0, 0.0}},
      {"scale 2", [](const Var& v) { return scale(v, 2); }, {quiet_nan, infinity, -infinity, 0.0, -0.0}},
      {"scale -2", [](const Var& v) { return scale(v, -2); }, {quiet_nan, -infinity, infinity, -0.0, 0.0}},
      {"scale 0", [](const Var& v) { return scale(v, 0); }, {quiet_nan, quiet_nan, quiet_nan, 0.0, -0.0}},
      {"shift 1.5", [](const Var& v) { return shift(v, 1.5); }, {quiet_nan, infinity, -infinity, 1.5, 1.5}},
      {"exp", [](const Var& v) { return exp(v); }, {quiet_nan, infinity, 0.0, 1, 1}},
      {"log", [](const Var& v) { return log(v); }, {quiet_nan, infinity, quiet_nan, -infinity, -infinity}},
      {"sqrt", [](const Var& v) { return sqrt(v); }, {quiet_nan, infinity, quiet_nan, 0.0, -0.0}},
      {"tanh", [](const Var& v) { return tanh(v); }, {quiet_nan, 1, -1, 0.0, -0.0}},
      {"sigmoid", [](const Var& v) { return sigmoid(v); }, {quiet_nan, 1, 0.0, 0.5, 0.5}},
      {"relu", [](const Var& v) { return relu(v); }, {quiet_nan, infinity, 0.0, 0.0, -0.0}},
      {"pow 0", [](const Var& v) { return pow(v, 0); }, {1, 1, 1, 1, 1}},
      {"pow 1", [](const Var& v) { return pow(v, 1); }, {quiet_nan, infinity, -infinity, 0.0, -0.0}},
      {"pow 2", [](const Var& v) { return pow(v, 2); }, {quiet_nan, infinity, infinity, 0.0, 0.0}},
      {"pow 3", [](const Var& v) { return pow(v, 3); }, {quiet_nan, infinity, -infinity, 0.0, -0.0}},
      {"pow -1", [](const Var& v) { return pow(v, -1); }, {quiet_nan, 0.0, -0.0, infinity, -infinity}},
      {"pow -2", [](const Var& v) { return pow(v, -2); }, {quiet_nan, 0.0, 0.0, infinity, infinity}},
      {"pow 0.5", [](const Var& v) { return pow(v, 0.5); }, {quiet_nan, infinity, quiet_nan, 0.0, -0.0}},
      {"pow -0.5",
       [](const Var& v) { return pow(v, -0.5); },
       {quiet_nan, 0.0, quiet_nan, infinity, -infinity}},
      {"pow 2.5", [](const Var& v) { return pow(v, 2.5); }, {quiet_nan, infinity, infinity, 0.0, 0.0}},
  };
  std::vector<double> many;  // in every lane of a vector, and behind the last whole one
  for (int i = 0; i < 7; ++i) many.insert(many.end(), x.begin(), x.end());
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Var operand = Tensor::of({35}, many).to(dtype);
    for (const Row& row : rows) {
      const Tensor y = row.op(operand).value();
      REQUIRE(y.dtype() == dtype);
      for (int i = 0; i < 35; ++i) {
        CAPTURE(row.name, name(dtype), i, many[static_cast<std::size_t>(i)]);
        const double found = y.at({i}), expected = row.y[static_cast<std::size_t>(i % 5)];
        CAPTURE(found, expected);
        CHECK(same_number(found, expected));
      }
    }
  }
}

TEST_CASE("NaN, infinities and zeros go through every op of two operands as IEEE 754 says", "[elementwise]") {
  const double values[] = {quiet_nan, infinity, -infinity, 0.0, -0.0, 2, -3};
  std::vector<double> a, b, sum, difference, product, quotient;
  for (const double x : values) {
    for (const double y : values) {
      a.push_back(x);
      b.push_back(y);
      sum.push_back(x + y);
      difference.push_back(x - y);
      product.push_back(x * y);
      quotient.push_back(x / y);
    }
  }
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Var x = Tensor::of({49}, a).to(dtype), y = Tensor::of({49}, b).to(dtype);
    const auto check = [&](const char* op, const Var& found, const std::vector<double>& expected) {
      REQUIRE(found.dtype() == dtype);
      for (int i = 0; i < 49; ++i) {
        const auto n = static_cast<std::size_t>(i);
        const double rounded = dtype == DType::f32 ? static_cast<float>(expected[n]) : expected[n];
        CAPTURE(op, name(dtype), a[n], b[n], found.value().at({i}), rounded);
        CHECK(same_number(found.value().at({i}), rounded));
      }
    };
    check("add", add(x, y), sum);
    check("subtract", subtract(x, y), difference);
    check("multiply", multiply(x, y), product);
    check("divide", divide(x, y), quotient);
  }
}

TEST_CASE("where lets through what it chooses and no trace of the rest, gradients included",
          "[elementwise]") {
  const Tensor condition = Tensor::of<bool>({4}, {true, false, true, false});
  for (const DType dtype : {DType::f32, DType::f64}) {
    Graph g;
    const Var a = g.input(Tensor::of<double>({4}, {quiet_nan, quiet_nan, 1, infinity}).to(dtype));
    const Var b = g.input(Tensor::of<double>({4}, {2, 3, quiet_nan, -infinity}).to(dtype));
    const Var y = where(condition, a, b);
    CHECK(to_string(y.value()) == std::string(name(dtype)) + "[4] {nan, 3, 1, -inf}");
    const Tensor gy = Tensor::of<double>({4}, {quiet_nan, 5, 7, quiet_nan}).to(dtype);
    const std::vector<Var> gradients = gradient(y, {a, b}, {.gy = gy});
    CHECK(to_string(gradients[0].value()) == std::string(name(dtype)) + "[4] {nan, 0, 7, 0}");
    CHECK(to_string(gradients[1].value()) == std::string(name(dtype)) + "[4] {0, 5, 0, nan}");
  }
}

// The oracle is libm in long double. Both signs, large and small, on several threads and with a tail; glibc
// promises 4 units for its vector functions; sigmoid adds and divides once more; the oracle rounds twice.
TEMPLATE_TEST_CASE("vector functions keep to a few units in the last place", "[elementwise]", float, double) {
  using Long = long double;
  struct Row {
    const char* name;
    Function op;
    Long (*exact)(Long);
    double low, high;
    std::int64_t units;
  };
  const bool wide = sizeof(TestType) == 8;
  const double largest = wide ? 700 : 87;  // exp of it and of its negative are normal numbers
  const Row rows[] = {
      {"exp", [](const Var& x) { return exp(x); }, [](Long x) { return std::exp(x); }, -largest, largest, 4},
      {"log", [](const Var& x) { return log(x); }, [](Long x) { return std::log(x); }, 1e-30, 3, 4},
      {"log", [](const Var& x) { return log(x); }, [](Long x) { return std::log(x); }, 3, 1e30, 4},
      {"tanh", [](const Var& x) { return tanh(x); }, [](Long x) { return std::tanh(x); }, -25, 25, 4},
      {"tanh", [](const Var& x) { return tanh(x); }, [](Long x) { return std::tanh(x); }, -1e-6, 1e-6, 4},
      {"sigmoid", [](const Var& x) { return sigmoid(x); }, [](Long x) { return 1 / (1 + std::exp(-x)); },
       -largest, largest, 6},
      {"sqrt", [](const Var& x) { return sqrt(x); }, [](Long x) { return std::sqrt(x); }, 0, 1e30, 1},
      {"pow", [](const Var& x) { return pow(x, 2.5); }, [](Long x) { return std::pow(x, 2.5L); }, 1e-6, 100,
       4},
      {"pow", [](const Var& x) { return pow(x, -5); }, [](Long x) { return std::pow(x, -5.0L); }, -9, 9, 4},
  };
  constexpr std::int64_t count = 100'003;
  for (const Row& row : rows) {
    std::vector<TestType> x;
    for (std::int64_t i = 0; i < count; ++i) {
      const double t = static_cast<double>(i) / count;
      x.push_back(static_cast<TestType>(row.low + (row.high - row.low) * t));
    }
    const Tensor y = row.op(Tensor::of({count}, x)).value();
    const auto found = y.values<TestType>();
    std::int64_t worst = 0;
    TestType at = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::int64_t apart = units_apart(found[i], static_cast<TestType>(row.exact(x[i])));
      if (apart > worst) at = x[i];
      worst = std::max(worst, apart);
    }
    CAPTURE(row.name, row.low, row.high, at);
    CHECK(worst <= row.units);
  }
}

TEST_CASE("sigmoid and its gradient stay finite for large arguments", "[elementwise]") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Graph g;
    const Var x = g.input(Tensor::of<double>({4}, {-1e4, -50, 50, 1e4}).to(dtype));
    const Var y = sigmoid(x);
    CHECK(y.value().at({0}) == 0);
    CHECK(y.value().at({1}) == Approx(1.9287498479639178e-22).epsilon(1e-6));  // exp(-50)
    CHECK(y.value().at({2}) == 1);
    CHECK(y.value().at({3}) == 1);
    const Tensor gx = gradient(y, x, {.gy = Tensor::full({4}, 1, dtype)}).value();
    CHECK(gx.at({0}) == 0);
    CHECK(gx.at({1}) == Approx(1.9287498479639178e-22).epsilon(1e-6));
    CHECK(gx.at({2}) == 0);
    CHECK(gx.at({3}) == 0);
  }
}

// d^k/dx^k of x^p at 0: k! for k = p, else 0.
TEST_CASE("derivatives of integer powers are right at 0 up to the third", "[elementwise]") {
  const double derivatives[4][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 2, 0}, {0, 0, 0, 6}};
  for (int p = 0; p < 4; ++p) {
    Graph g;
    const Var x = g.input(Tensor::scalar(0, DType::f64));
    Var y = pow(x, p);
    for (int order = 0; order < 4; ++order) {
      CAPTURE(p, order);
      CHECK(y.item() == derivatives[p][order]);
      if (!is_differentiable(y)) break;
      y = gradient(y, x, {.record = true});
    }
  }
}

TEST_CASE("a number beside an operator is an attribute of one op, not a node", "[elementwise][operators]") {
  Graph g;
  const Var x = g.input(Tensor::of<double>({2}, {0.5, -4}));
  struct Row {
    std::function<Var()> expression;
    std::vector<std::string> ops;
    double first, second;
  };
  const Row rows[] = {
      {[&] { return x * 1.01; }, {"scale factor=1.01"}, 0.505, -4.04},
      {[&] { return 1.01 * x; }, {"scale factor=1.01"}, 0.505, -4.04},
      {[&] { return 3 * x; }, {"scale factor=3"}, 1.5, -12},
      {[&] { return x / 2; }, {"scale factor=0.5"}, 0.25, -2},
      {[&] { return x + 1; }, {"shift offset=1"}, 1.5, -3},
      {[&] { return 1 + x; }, {"shift offset=1"}, 1.5, -3},
      {[&] { return x - 1.5F; }, {"shift offset=-1.5"}, -1, -5.5},
      {[&] { return 1 - x; }, {"negate", "shift offset=1"}, 0.5, 5},
      {[&] { return 2 / x; }, {"pow exponent=-1", "scale factor=2"}, 4, -0.5},
      {[&] { return -x; }, {"negate"}, -0.5, 4},
      {[&] { return x + x; }, {"add"}, 1, -8},
      {[&] { return x - x; }, {"subtract"}, 0, 0},
      {[&] { return x * x; }, {"multiply"}, 0.25, 16},
      {[&] { return x / x; }, {"divide"}, 1, 1},
  };
  for (const Row& row : rows) {
    const NodeId before = g.node_count();
    const Var y = row.expression();
    std::vector<std::string> ops;
    for (NodeId n = before; n < g.node_count(); ++n) ops.push_back(recorded(g, n));
    CHECK(ops == row.ops);
    CHECK(y.value().at({0}) == Approx(row.first).epsilon(1e-15));
    CHECK(y.value().at({1}) == Approx(row.second).epsilon(1e-15));
  }
}

TEST_CASE("operators carry the line they stand on", "[elementwise][operators]") {
  Graph g;
  const Var a = g.input(Tensor::zeros({2})), b = g.input(Tensor::zeros({2}));
  std::vector<Var> results;
  const int first = __LINE__ + 1;
  results.push_back(a + b);
  results.push_back(a - b);
  results.push_back(a * b);
  results.push_back(a / b);
  results.push_back(-a);
  results.push_back(a + 1);
  results.push_back(1 + a);
  results.push_back(a - 1);
  results.push_back(1 - a);
  results.push_back(a * 2);
  results.push_back(2 * a);
  results.push_back(a / 2);
  results.push_back(2 / a);
  NodeId n = results.front().id();
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::string line = "elementwise_test.cpp:" + std::to_string(first + static_cast<int>(i));
    for (; n <= results[i].id(); ++n) CHECK(to_string(g.source(n)) == line);
  }
  CHECK(n == g.node_count());
}

TEST_CASE("operators without a var are an error with the line", "[elementwise][operators]") {
  const Operand one = 1, two = 2;
  const std::string at = "elementwise_test.cpp:" + std::to_string(__LINE__ - 1);
  const std::string text = ": no operand is a var, so there is nothing to record, at " + at;
  CHECK(message_of([&] { one + two; }) == "operator+" + text);
  CHECK(message_of([&] { one - two; }) == "operator-" + text);
  CHECK(message_of([&] { one* two; }) == "operator*" + text);
  CHECK(message_of([&] { one / two; }) == "operator/" + text);
  CHECK(message_of([&] { -one; }) == "operator-" + text);
  CHECK_THROWS_AS(one + two, GraphError);
}

TEST_CASE("wrong types and shapes are errors that change nothing and say what was needed", "[elementwise]") {
  Graph g;
  const Var x = g.input(Tensor::zeros({2, 3}), "x"), wide = g.input(Tensor::zeros({2, 3}, DType::f64));
  const Var count = g.input(Tensor::zeros({2, 3}, DType::i32)), y = g.input(Tensor::zeros({2, 4}));
  const auto scope = g.scope("net");
  const NodeId before = g.node_count();
  const auto at = [](int line) { return " in scope net, at elementwise_test.cpp:" + std::to_string(line); };
  int line = __LINE__ + 1;
  std::string text = message_of([&] { x* y; });
  CHECK(text ==
        "multiply: shapes [2, 3] and [2, 4] do not broadcast: extents must agree or be 1, from the last axis "
        "on (a: f32[2, 3], b: f32[2, 4])" +
            at(line));
  line = __LINE__ + 1;
  text = message_of([&] { x - wide; });
  CHECK(text == "subtract: a is f32 but b is f64: convert one (a: f32[2, 3], b: f64[2, 3])" + at(line));
  line = __LINE__ + 1;
  text = message_of([&] { 2 * count; });
  CHECK(text == "scale: x must be f32 or f64, found i32 (x: i32[2, 3])" + at(line));
  line = __LINE__ + 1;
  text = message_of([&] { where(x, x, x); });
  CHECK(text ==
        "where: condition must be boolean, found f32 (condition: f32[2, 3], a: f32[2, 3], b: f32[2, 3])" +
            at(line));
  line = __LINE__ + 1;
  text = message_of([&] { where(Tensor::zeros({5}, DType::boolean), x, x); });
  CHECK(text ==
        "where: condition does not broadcast with a and b: extents must agree or be 1, from the last axis on "
        "(condition: boolean[5], a: f32[2, 3], b: f32[2, 3])" +
            at(line));
  const Function unary[] = {
      [](const Var& v) { return negate(v); }, [](const Var& v) { return shift(v, 1); },
      [](const Var& v) { return exp(v); },    [](const Var& v) { return log(v); },
      [](const Var& v) { return sqrt(v); },   [](const Var& v) { return pow(v, 2); },
      [](const Var& v) { return tanh(v); },   [](const Var& v) { return sigmoid(v); },
      [](const Var& v) { return add(v, v); }, [](const Var& v) { return divide(v, v); },
  };
  for (const Function& op : unary) CHECK_THROWS_AS(op(count), DTypeError);
  CHECK(g.node_count() == before);
}

TEST_CASE("an op whose other operand is a constant keeps only what its gradient reads", "[elementwise]") {
  Graph g;
  const Var constant = Tensor::full({1000}, 3, DType::f64);
  const Var x = g.input(Tensor::full({1000}, 2, DType::f64));
  const auto kept_by = [&](auto&& op) {
    const std::size_t before = memory_statistics().live;
    op();
    return (memory_statistics().live - before) / 8000;
  };
  CHECK(kept_by([&] { return 2 * x; }) == 0);
  CHECK(kept_by([&] { return x - constant; }) == 0);
  CHECK(kept_by([&] { return x * constant; }) == 0);
  CHECK(kept_by([&] { return constant * (2 * x); }) == 0);
  CHECK(kept_by([&] { return (2 * x) * constant; }) == 0);
  CHECK(kept_by([&] { return x / constant; }) == 0);
  CHECK(kept_by([&] { return constant / x; }) == 1);  // y
  CHECK(kept_by([&] { return tanh(x); }) == 1);       // y
  CHECK(kept_by([&] { return log(x); }) == 0);        // x, which the graph keeps anyway
  CHECK(kept_by([&] { return pow(x, 1); }) == 0);
}
