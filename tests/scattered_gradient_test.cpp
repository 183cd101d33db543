// Max pooling's gradient on its way to a first layer, which never becomes a tensor of its own, against the
// same pass recorded, in which every op has its tensor.
#include <catch2/catch.hpp>
#include <cmath>

#include "weft/weft.hpp"

namespace weft {
const OpInfo& pool2d_info();
}

using namespace weft;

namespace {

Tensor drawn(const char* name, const Shape& shape, DType dtype) {
  return Random(3, name).normal(shape, 0, 1, dtype);
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const Tensor x = a.to(DType::f64), y = b.to(DType::f64);
  double largest = 0;
  for (std::size_t i = 0; i < x.values<double>().size(); ++i) {
    const double found = x.values<double>()[i], expected = y.values<double>()[i];
    if (found == expected || (std::isnan(found) && std::isnan(expected))) continue;
    largest = std::max(largest, std::isnan(found - expected) ? INFINITY : std::abs(found - expected));
  }
  return largest;
}

// Both ways to the gradients of `ws` must agree.
void require_alike(const Var& loss, std::span<const Var> ws, double tolerance) {
  const std::vector<Var> found = gradient(loss, ws), expected = gradient(loss, ws, {.record = true});
  for (std::size_t i = 0; i < ws.size(); ++i) {
    INFO("gradient " << i);
    CHECK(largest_difference(found[i].value(), expected[i].value()) <= tolerance);
  }
}

Var square(const Var& x) { return x * x; }

struct Layer {
  std::int64_t in, out;
  Conv2dOptions conv;
  Pool2dOptions pool;
  Size2 taps = {4, 3};
};

const std::vector<Layer> layers = {
    {3, 8, {.padding = same}, {.window = 8, .stride = 8}},
    {1, 6, {.padding = 2}, {.window = 2}},
    {2,
     5,
     {.stride = Size2(2, 1), .padding = Padding(1, 0, 0, 3)},
     {.window = 3, .stride = 2}},  // windows overlap
    {4, 17, Conv2dOptions(), {.window = Size2(3, 2), .stride = Size2(1, 3), .padding = Padding(1, 1, 0, 1)}},
    {1, 1, {.padding = same}, {.window = 3, .stride = 5}},  // some positions are in no window
    {3, 9, {.padding = 3}, {.window = 1}},
    {3, 17, {.stride = 2, .padding = 3}, {.window = 3, .stride = 2, .padding = 1}, 7},
    {1, 8, {.padding = same}, {.window = 2}, 1},
    {4, 3, {.stride = Size2(5, 9), .padding = Padding(3, 0, 2, 0)}, {.window = 1}, {2, 5}},
};

}  // namespace

TEST_CASE("a max pooling's gradient that stays scattered is what it is written out",
          "[engine][conv2d][pool2d]") {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const double tolerance = dtype == DType::f64 ? 1e-12 : 2e-4;
    for (const Layer& layer : layers) {
      for (const bool fused : {false, true}) {
        for (const bool separate : {false, true}) {
          CAPTURE(layer.in, layer.out, fused, separate);
          Graph g;
          const Var x = Var(drawn("x", {3, 13, 17, layer.in}, dtype));
          const Var w = g.input(drawn("w", {layer.taps.h, layer.taps.w, layer.in, layer.out}, dtype));
          const Var b = g.input(drawn("b", {layer.out}, dtype));
          Conv2dOptions options = layer.conv;
          options.relu = fused;
          Var y = conv2d(x, w, b, options);
          if (separate) y = relu(y);
          const Var p = pool2d(y, layer.pool);
          const Var loss = sum(p * Var(drawn("weights", p.shape(), dtype)));
          require_alike(loss, std::vector{w, b}, tolerance);
        }
      }
    }
  }
}

TEST_CASE("a scattered gradient is written out where something else wants it as a tensor",
          "[engine][conv2d][pool2d]") {
  Graph g;
  const Var x = Var(drawn("x", {2, 9, 10, 3}, DType::f64));
  const Var w = g.input(drawn("w", {3, 3, 3, 4}, DType::f64));
  const Var y = conv2d(x, w, {.padding = same, .relu = true});
  const Var halves = sum(square(pool2d(y, {.window = 2}))), thirds = sum(square(pool2d(y, {.window = 3})));

  SECTION("two poolings of one output") { require_alike(halves + thirds, std::vector{w}, 1e-11); }
  SECTION("another consumer, recorded before it") {
    const Var other = sum(square(y));
    require_alike(other + sum(square(pool2d(y, {.window = 4}))), std::vector{w}, 1e-11);
  }
  SECTION("another consumer, recorded after it") {
    require_alike(halves + sum(square(y)), std::vector{w}, 1e-11);
  }
  SECTION("the output's own gradient is asked for") { require_alike(halves, std::vector{y, w}, 1e-11); }
  SECTION("through a chain of relus") {
    const Var again = relu(relu(y));
    require_alike(sum(square(pool2d(again, {.window = 2}))), std::vector{w}, 1e-11);
  }
  SECTION("the relu is of an input") {
    const Var z = g.input(drawn("z", {2, 8, 8, 3}, DType::f64));
    require_alike(sum(square(pool2d(relu(z), {.window = 4}))), std::vector{z}, 1e-11);
  }
  SECTION("backward() after backward()") {
    Parameter p("p", drawn("p", {3, 3, 3, 4}, DType::f64));
    const Var loss = sum(square(pool2d(conv2d(x, g.use(p), {.relu = true}), {.window = 3})));
    const Tensor expected = gradient(loss, g.use(p), {.record = true}).value();
    g.backward(loss, {.retain = true});
    CHECK(largest_difference(p.grad(), expected) <= 1e-11);
    p.zero_grad();
    g.backward(loss);
    CHECK(largest_difference(p.grad(), expected) <= 1e-11);
  }
}

namespace {

// x, with a rule that sets nothing.
struct Forgetful final : Op {
  void backward(const Var&, const Var&, Gradients&) const override {}
  const OpInfo& info() const override {
    static const OpInfo info{.name = "forgetful",
                             .arguments = {{"x"}},
                             .call = {},
                             .reference = []<class T>(const Inputs<T>& x, const Attributes&) { return x[0]; },
                             .samples = samples()};
    return info;
  }
};
Var forgetful(const Var& x) { return record(Forgetful{}, x.value(), {x}, {}, SourceLocation::current()); }

}  // namespace

TEST_CASE("a rule that sets no gradient is an error where a scattered one has arrived", "[engine][pool2d]") {
  Graph g;
  const Var w = g.input(drawn("w", {3, 3, 3, 4}, DType::f64));
  const Var y = conv2d(Var(drawn("x", {2, 9, 10, 3}, DType::f64)), w);
  const Var first = sum(forgetful(y));
  const Var loss = first + sum(pool2d(y, {.window = 2}));
  CHECK_THROWS_WITH(gradient(loss, w),
                    Catch::Contains("the rule set no gradient for an operand that wants one"));
}

TEST_CASE(
    "what is not finite in an image reaches the gradient of its filter through zeros, never its padding",
    "[conv2d][pool2d]") {
  const bool in_image = GENERATE(true, false);
  const double value = GENERATE(std::nan(""), HUGE_VAL);
  Tensor images = drawn("x", {3, 8, 8, 2}, DType::f64), weights = drawn("weights", {3, 2, 2, 3}, DType::f64);
  // Of the second image, and of a window at its border.
  (in_image ? images : weights).mutable_values<double>()[in_image ? 8 * 8 * 2 + 5 : 2 * 2 * 3] = value;
  const auto gradient_of = [&](DType dtype, const GradientOptions& options) {
    Graph g;
    const Var w = g.input(drawn("w", {3, 3, 2, 3}, dtype));
    const Var y = conv2d(Var(images.to(dtype)), w, {.padding = same});
    return gradient(sum(pool2d(y, {.window = 4}) * Var(weights.to(dtype))), w, options).value();
  };
  // Recorded in f32: a convolution's gradient in f64 is a matrix product, in which padding counts as zeros.
  const Tensor expected = gradient_of(DType::f32, {.record = true});
  REQUIRE(std::isfinite(expected.values<float>()[3]) != in_image);
  REQUIRE_FALSE(std::isfinite(expected.values<float>()[27]));
  for (const DType dtype : {DType::f64, DType::f32}) {
    CAPTURE(in_image, value, dtype);
    CHECK(largest_difference(gradient_of(dtype, {}), expected) <= 2e-4);
  }
}

TEST_CASE("a gradient that replaces a scattered one is the gradient", "[engine][pool2d]") {
  const OpInfo planted = with_gradients(
      pool2d_info(), [](const Var&, const Var&, Gradients& gx) { gx.set(0, Tensor::full(gx.shape(0), 3)); });
  Parameter w("w", drawn("w", {3, 3, 2, 4}, DType::f32));
  Graph g;
  const Var x = g.input(drawn("x", {2, 8, 8, 2}, DType::f32), "x");
  const Var a = conv2d(x, g.use(w), {.padding = same, .relu = true});
  const Var pooled = planted.call(std::vector{a}, {});
  const std::vector<Var> found = gradient(sum(pooled), std::vector{a, g.use(w)});
  CHECK(largest_difference(found[0].value(), Tensor::full(a.shape(), 3)) == 0);
  const Var alone = gradient(sum(pooled), g.use(w));
  const Var expected = gradient(sum(scale(a, 3)), g.use(w));
  CHECK(largest_difference(alone.value(), expected.value()) == 0);
}
