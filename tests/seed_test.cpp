// The figures of the seed article that concern convolution and pooling, in float64. They were printed by
// NumPy, whose arrays NumpyRandom(1) draws again in the same order.
#include <catch2/catch.hpp>
#include <span>

#include "weft/gradient.hpp"
#include "weft/ops.hpp"
#include "weft/random.hpp"

using namespace weft;

namespace {

Approx figure(double value) { return Approx(value).epsilon(0).margin(1e-12); }

double mean_of(const Var& x) {
  double sum = 0;
  for (const double value : x.value().values<double>()) sum += value;
  return sum / static_cast<double>(x.shape().elements());
}

// Image n, position (i, ..): [w, c], or [c] where j is given.
void check_values(const Var& x, const Ints& prefix, std::initializer_list<double> expected) {
  std::int64_t begin = 0, inner = x.shape().elements();
  for (int axis = 0; axis < prefix.size(); ++axis) {
    inner /= x.extent(axis);
    begin += prefix[axis] * inner;
  }
  REQUIRE(inner == static_cast<std::int64_t>(expected.size()));
  const auto values = x.value().values<double>().subspan(static_cast<std::size_t>(begin));
  std::size_t i = 0;
  for (const double value : expected) {
    INFO("element " << i << " of " << to_string(prefix));
    CHECK(values[i++] == figure(value));
  }
}

struct ConvolutionCase {
  Graph g;
  Var a, w, b;
  ConvolutionCase() {
    NumpyRandom random(1);
    a = g.input(random.randn({10, 4, 4, 3}), "A");
    w = g.input(random.randn({2, 2, 3, 8}), "W");
    b = g.input(random.randn({1, 1, 1, 8}).reshape({8}), "b");
  }
};

}  // namespace

TEST_CASE("conv2d gives the article's mean once the bias counts once", "[seed]") {
  const ConvolutionCase c;
  CHECK(mean_of(conv2d(c.a, c.w, c.b, {.padding = 2})) == figure(0.0028129462864862967));
}

TEST_CASE("conv2d with twelve times the bias gives what the article printed", "[seed]") {
  const ConvolutionCase c;
  CHECK(mean_of(conv2d(c.a, c.w, c.b * 12, {.padding = 2})) == figure(0.1558593248890644));
}

TEST_CASE("conv2d with stride 2 gives the article's mean and values", "[seed]") {
  const ConvolutionCase c;
  const Var z = conv2d(c.a, c.w, c.b, {.stride = 2, .padding = 2});
  CHECK(z.shape() == Shape{10, 4, 4, 8});
  CHECK(mean_of(z) == figure(0.048995203528855794));
  check_values(z, {3, 2, 1},
               {-0.6149074114497312, -6.743923604750415, -2.5515389700232336, 1.7569837711381528,
                3.5620890156996277, 0.5303643704176972, 5.1853179849585525, 8.758984418742205});
}

TEST_CASE("conv2d's gradients with dZ = Z have the article's means", "[seed]") {
  const auto [stride, da, dw, db] = GENERATE(table<std::int64_t, double, double, double>(
      {{1, 4.114581704914984, 9.203677199014168, 1.3783436803789542},
       {2, 1.4524377775388075, 1.7269914583139097, 7.839232564616838}}));
  const ConvolutionCase c;
  const Var z = conv2d(c.a, c.w, c.b, {.stride = stride, .padding = 2});
  const auto gradients = gradient(z, {c.a, c.w, c.b}, {.gy = z.detach()});
  CHECK(mean_of(gradients[0]) == figure(da));
  CHECK(mean_of(gradients[1]) == figure(dw));
  CHECK(mean_of(gradients[2]) == figure(db));
}

TEST_CASE("pool2d gives the article's maxima and averages", "[seed]") {
  const Var a = NumpyRandom(1).randn({2, 4, 4, 3});
  const Var largest = pool2d(a, {.window = 4, .stride = 1});
  CHECK(largest.shape() == Shape{2, 1, 1, 3});
  check_values(largest, {},
               {1.74481176421648, 1.6924546010277466, 2.100255136478842, 1.198917879901507,
                1.5198168164221988, 2.1855754065331614});
  check_values(pool2d(a, {.window = 4, .stride = 1, .kind = PoolKind::average}), {},
               {-0.09498455569518807, 0.11180064116073658, -0.1426351143762712, -0.09525107945412513,
                0.2832501818137652, 0.3303518538124955});
}

TEST_CASE("pool2d's gradients are the article's", "[seed]") {
  NumpyRandom random(1);
  Graph g;
  const Var a = g.input(random.randn({5, 5, 3, 2}), "A");
  const Var da = random.randn({5, 4, 2, 2});
  const Var largest = gradient(pool2d(a, {.window = 2, .stride = 1, .kind = PoolKind::max}), a, {.gy = da});
  CHECK(mean_of(da) == figure(0.14571390272918056));
  check_values(largest, {1, 1}, {0, 0, 5.058443935342465, -1.6828270215556507, 0, 0});
  const Var average =
      gradient(pool2d(a, {.window = 2, .stride = 1, .kind = PoolKind::average}), a, {.gy = da});
  check_values(average, {1, 1},
               {0.08485462489158352, 0.2787551982460382, 1.2646109838356163, -0.2574937269055999,
                1.179756358944033, -0.5362489251516381});
}

TEST_CASE("average pooling distributes 2 over a 2 x 2 window as 0.5 each: distribute_value", "[seed]") {
  const Var gy = Tensor::full({1, 1, 1, 1}, 2, DType::f64);
  const Var gx = average_pool2d_gradient(gy, {1, 2, 2, 1}, {.window = 2, .kind = PoolKind::average});
  for (const double value : gx.value().values<double>()) CHECK(value == 0.5);
}

TEST_CASE("max pooling's gradient marks the maximum of a window: create_mask_from_window", "[seed]") {
  NumpyRandom random(1);
  Graph g;
  const Var x = g.input(random.randn({2, 3}).reshape({1, 2, 3, 1}), "x");
  const Var mask = gradient(pool2d(x, {.window = {2, 3}}), x);
  // The article prints the window 1.62 -0.61 -0.53 / -1.07 0.87 -2.30 and the mask of its maximum.
  check_values(mask, {}, {1, 0, 0, 0, 0, 0});
}
