// The fast paths of conv2d against a convolution written out here, in f64.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "kernels/narrow_convolution.hpp"
#include "kernels/parallel.hpp"
#include "weft/weft.hpp"

using namespace weft;

namespace {

struct Case {
  std::int64_t images, height, width, in, out, taps_h, taps_w, stride;
  std::array<std::int64_t, 4> padding;  // top, bottom, left, right
  bool relu;
};

struct Naive {
  Shape y_shape;
  std::vector<double> y, gx, gw, gb;
};

// conv2d and its gradients for gy, which is zeroed where relu stops it.
Naive naive(const Case& c, std::span<const float> x, std::span<const float> w, std::span<const float> b,
            std::span<const float> gy) {
  const std::int64_t top = c.padding[0], bottom = c.padding[1], left = c.padding[2], right = c.padding[3];
  const std::int64_t rows = (c.height + top + bottom - c.taps_h) / c.stride + 1;
  const std::int64_t columns = (c.width + left + right - c.taps_w) / c.stride + 1;
  Naive n{.y_shape = {c.images, rows, columns, c.out}, .y = {}, .gx = {}, .gw = {}, .gb = {}};
  n.y.resize(static_cast<std::size_t>(n.y_shape.elements()));
  n.gx.resize(x.size());
  n.gw.resize(w.size());
  n.gb.resize(b.size());
  const auto for_each_tap = [&](std::int64_t o, auto&& f) {
    const std::int64_t k = o % c.out, j = o / c.out % columns, i = o / c.out / columns % rows;
    const std::int64_t image = o / c.out / columns / rows;
    for (std::int64_t p = 0; p < c.taps_h; ++p) {
      for (std::int64_t q = 0; q < c.taps_w; ++q) {
        const std::int64_t row = i * c.stride + p - top, column = j * c.stride + q - left;
        if (row < 0 || row >= c.height || column < 0 || column >= c.width) continue;
        for (std::int64_t m = 0; m < c.in; ++m) {
          f(static_cast<std::size_t>(((image * c.height + row) * c.width + column) * c.in + m),
            static_cast<std::size_t>(((p * c.taps_w + q) * c.in + m) * c.out + k));
        }
      }
    }
  };
  for (std::size_t o = 0; o < n.y.size(); ++o) {
    const auto at = static_cast<std::int64_t>(o);
    const auto k = static_cast<std::size_t>(at % c.out);
    n.y[o] = b[k];
    for_each_tap(at, [&](std::size_t i, std::size_t t) { n.y[o] += static_cast<double>(x[i]) * w[t]; });
    const double g = c.relu && n.y[o] <= 0 ? 0 : gy[o];
    if (c.relu && n.y[o] < 0) n.y[o] = 0;
    n.gb[k] += g;
    for_each_tap(at, [&](std::size_t i, std::size_t t) {
      n.gx[i] += g * w[t];
      n.gw[t] += g * x[i];
    });
  }
  return n;
}

void require_close(const Tensor& found, const std::vector<double>& wanted, double tolerance) {
  double largest = 0, worst = 0;
  const auto values = found.values<float>();
  REQUIRE(values.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    largest = std::max(largest, std::abs(wanted[i]));
    worst = std::max(worst, std::abs(values[i] - wanted[i]));
  }
  CHECK(worst <= tolerance * largest);
}

// Mostly zeros, as max pooling leaves them, where `sparse`.
Tensor gradient_like(const Shape& shape, bool sparse) {
  Tensor gy = Random(4, "gy").normal(shape, 0, 1);
  if (!sparse) return gy;
  auto values = gy.mutable_values<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % 7 != 3) values[i] = 0;
  }
  return gy;
}

void check_case(const Case& c, bool sparse, bool wants_gx) {
  CAPTURE(c.images, c.height, c.width, c.in, c.out, c.taps_h, c.taps_w, c.stride, c.relu, sparse, wants_gx);
  const Tensor x = Random(1, "x").normal({c.images, c.height, c.width, c.in}, 0, 1);
  const Parameter w("w", Random(2, "w").normal({c.taps_h, c.taps_w, c.in, c.out}, 0, 1));
  const Parameter b("b", Random(3, "b").normal({c.out}, 0, 1));
  Graph g;
  const Var image = wants_gx ? g.input(x) : Var(x);
  const auto [top, bottom, left, right] = c.padding;
  const Var y = conv2d(image, g.use(w), g.use(b),
                       {.stride = c.stride, .padding = {top, bottom, left, right}, .relu = c.relu});
  const Tensor gy = gradient_like(y.shape(), sparse);
  const Naive wanted =
      naive(c, x.values<float>(), w.value().values<float>(), b.value().values<float>(), gy.values<float>());
  REQUIRE(y.shape() == wanted.y_shape);
  require_close(y.value(), wanted.y, 3e-6);
  if (wants_gx) {
    require_close(gradient(y, image, {.gy = Var(gy)}).value(), wanted.gx, 3e-6);
  } else {
    g.backward(y, {.gy = gy});
    require_close(w.grad(), wanted.gw, 3e-6);
    require_close(b.grad(), wanted.gb, 3e-6);
  }
}

void check_cases(std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    for (const bool sparse : {false, true}) {
      check_case(c, sparse, false);
      check_case(c, sparse, true);
    }
  }
}

}  // namespace

TEST_CASE("a convolution of few channels agrees with loops at odd sizes and tails", "[conv2d][fast]") {
  check_cases({
      {2, 9, 31, 3, 8, 4, 4, 1, {1, 2, 1, 2}, true},
      {2, 7, 29, 1, 6, 5, 5, 1, {2, 2, 2, 2}, true},
      {1, 8, 13, 4, 17, 3, 2, 1, {0, 0, 0, 0}, false},
      {3, 5, 26, 2, 16, 3, 3, 2, {1, 0, 0, 1}, true},
      {1, 1, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}, false},
      {2, 6, 21, 1, 1, 3, 3, 1, {1, 1, 1, 1}, false},
      {2, 6, 21, 2, 2, 3, 3, 1, {1, 1, 1, 1}, true},
      {2, 3, 2, 3, 9, 1, 1, 1, {0, 0, 0, 0}, true},
      {1, 2, 3, 2, 5, 3, 5, 1, {3, 2, 4, 4}, false},  // some windows hold nothing but padding
      {1, 4, 40, 3, 8, 2, 7, 3, {0, 1, 6, 5}, true},
  });
}

namespace {

// Finite, infinite or NaN where it is wanted.
bool alike(const Tensor& found, const std::vector<double>& wanted) {
  const auto values = found.values<float>();
  return std::ranges::equal(values, wanted, [](float f, double w) {
    return std::isfinite(f) == std::isfinite(w) && std::isnan(f) == std::isnan(w);
  });
}

// The kernels for few channels, whichever of them a machine's registers make the fastest.
void check_narrow(const Case& c, bool by_pairs) {
  CAPTURE(c.height, c.width, c.in, c.out, c.taps_w, c.stride, c.relu, by_pairs);
  Tensor x = Random(1, "x").normal({c.images, c.height, c.width, c.in}, 0, 1);
  const Tensor w = Random(2, "w").normal({c.taps_h, c.taps_w, c.in, c.out}, 0, 1);
  const Tensor b = Random(3, "b").normal({c.out}, 0, 1);
  const auto [top, bottom, left, right] = c.padding;
  const Convolution convolution =
      make_convolution(x.shape(), w.shape(), {.stride = c.stride, .padding = {top, bottom, left, right}});
  REQUIRE(narrow::fits(convolution));
  const Tensor gy = gradient_like(convolution.y_shape(), c.width % 2 == 0);
  const auto wanted = [&] {
    return naive(c, x.values<float>(), w.values<float>(), b.values<float>(), gy.values<float>());
  };
  const auto gradients = [&](const Tensor& y) {
    return narrow::parameter_gradients(convolution, x, c.relu ? y : Tensor(), gy);
  };
  const Tensor y = narrow::convolution(convolution, x, w, b, c.relu, by_pairs);
  const Naive loops = wanted();
  require_close(y, loops.y, 3e-6);
  const auto [gw, gb] = gradients(y);
  require_close(gw, loops.gw, 3e-6);
  require_close(gb, loops.gb, 3e-6);
  const DType f64 = DType::f64;
  const Tensor of_f64 = narrow::convolution(convolution, x.to(f64), w.to(f64), b.to(f64), c.relu, by_pairs);
  require_close(of_f64.to(DType::f32), loops.y, 3e-6);

  // What stands beside a window enters no output of it, not even times zero; 0 times what is not finite is
  // NaN, also where gy is zero.
  x.mutable_values<float>()[static_cast<std::size_t>((c.height / 2 * c.width + c.width / 2) * c.in)] =
      std::numeric_limits<float>::infinity();
  const Tensor reached = narrow::convolution(convolution, x, w, b, c.relu, by_pairs);
  const Naive of_infinity = wanted();
  CHECK(alike(reached, of_infinity.y));
  CHECK(alike(gradients(reached).w, of_infinity.gw));
}

}  // namespace

TEST_CASE("the kernels for few channels agree with loops, by taps and by pairs of them", "[conv2d][fast]") {
  const bool by_pairs = GENERATE(false, true), relu = GENERATE(false, true);
  const ForcedThreads threads(relu == by_pairs ? 3 : 1);
  for (const auto& [in, taps] : {std::pair{1, 1}, {1, 2}, {1, 5}, {3, 3}, {3, 4}, {4, 3}}) {
    for (const std::int64_t out : {1, 3, 6, 8, 11}) {
      for (const std::int64_t width : {5, 6, 7, 8, 13, 15, 18, 20, 24, 31})
        check_narrow({2, 7, width, in, out, 3, taps, 1 + width % 2, {1, 1, 2, 1}, relu}, by_pairs);
      check_narrow({1, 27, 9, in, out, 3, taps, 1, {1, 1, 2, 1}, relu}, by_pairs);  // long columns
      check_narrow({1, 6, 7, in, out, 3, taps, 1, {5, 4, 7, 6}, relu}, by_pairs);   // windows of padding
      check_narrow({1, 23, 29, in, out, 3, taps, 6, {0, 1, 1, 0}, relu}, by_pairs);
    }
  }
}

TEST_CASE("a convolution by 3 x 3 filters agrees with loops at odd sizes and every padding",
          "[conv2d][fast]") {
  check_cases({
      {2, 8, 8, 48, 48, 3, 3, 1, {1, 1, 1, 1}, true},
      {1, 7, 9, 32, 72, 3, 3, 1, {1, 1, 1, 1}, true},
      {3, 5, 4, 72, 32, 3, 3, 1, {0, 0, 0, 0}, false},
      {1, 3, 3, 40, 64, 3, 3, 1, {0, 0, 0, 0}, false},
      {1, 1, 1, 48, 48, 3, 3, 1, {1, 1, 1, 1}, true},
      {2, 6, 3, 48, 48, 3, 3, 1, {2, 0, 1, 2}, false},
  });
}

TEST_CASE("a convolution by 3 x 3 filters of many tiles agrees with loops", "[conv2d][fast]") {
  check_case({1, 92, 91, 48, 48, 3, 3, 1, {1, 1, 1, 1}, true}, false, false);
  check_case({1, 92, 91, 48, 48, 3, 3, 1, {1, 1, 1, 1}, true}, false, true);
}

TEST_CASE("fast convolutions of no images give zeros of the right shapes", "[conv2d][fast]") {
  for (const std::int64_t channels : {3, 48}) {
    const Parameter w("w", Random(2, "w").normal({3, 3, channels, 48}, 0, 1));
    Graph g;
    const Var y = conv2d(Var(Tensor({0, 8, 8, channels})), g.use(w), {.padding = 1});
    g.backward(y, {.gy = Tensor({0, 8, 8, 48})});
    CHECK(y.shape() == Shape{0, 8, 8, 48});
    CHECK(w.grad().shape() == w.shape());
    for (const float value : w.grad().values<float>()) REQUIRE(value == 0);
  }
}

TEST_CASE("an element that is not finite or huge reaches just the outputs it enters", "[conv2d][fast]") {
  for (const float planted :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38f}) {
    for (const auto& [channels, out] : {std::pair{3, 6}, {48, 48}}) {
      Tensor x = Random(1, "x").normal({1, 12, 12, channels}, 0, 1);
      x.mutable_values<float>()[static_cast<std::size_t>((5 * 12 + 6) * channels)] = planted;
      const Parameter w("w", Random(2, "w").normal({3, 3, channels, out}, 0, 0.1));
      Graph g;
      const Var y = conv2d(Var(x), g.use(w), {.padding = 1});
      const auto values = y.value().values<float>();
      for (std::int64_t i = 0; i < 12; ++i) {
        for (std::int64_t j = 0; j < 12; ++j) {
          const bool enters = std::abs(i - 5) <= 1 && std::abs(j - 6) <= 1;
          const float value = values[static_cast<std::size_t>((i * 12 + j) * out)];
          REQUIRE((std::isfinite(value) && std::abs(value) < 1e3f) == !enters);
        }
      }
      // 0 times what is not finite is NaN, also where gy is zero.
      Tensor gy = Tensor::zeros(y.shape());
      gy.mutable_values<float>()[0] = 1;
      g.backward(y, {.gy = gy});
      const float gw = w.grad().values<float>()[static_cast<std::size_t>(4 * channels * out)];
      CHECK(std::isnan(gw) == !std::isfinite(planted));
    }
  }
}
