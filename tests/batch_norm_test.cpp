// Batch normalisation: the layer's statistics, and the one-kernel gradient against the recorded one. Values
// and gradients of the op are tested with all ops.
#include <catch2/catch.hpp>
#include <cmath>
#include <weft/weft.hpp>

#include "file_support.hpp"
#include "integer_tensors.hpp"
#include "threads_restored.hpp"

using namespace weft;

TEST_CASE("the gradient of one kernel equals the recorded one", "[batch_norm]") {
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const Shape shape = GENERATE(Shape{5, 3}, Shape{2, 33, 31, 17}, Shape{1, 4}, Shape{9, 7, 1}, Shape{67, 65},
                               Shape{30, 41, 100});
  Graph g;
  const Var x = g.input(Random(1).normal(shape, 3, 2, dtype));
  const Var gamma = g.input(Random(2).normal({shape[-1]}, 1, 1, dtype));
  const Var beta = g.input(Random(3).normal({shape[-1]}, 0, 1, dtype));
  const Var weights = Random(4).normal(shape, 0, 1, dtype);
  const Var loss = sum(batch_norm(x, gamma, beta).y * weights);
  const auto kernel = gradient(loss, {x, gamma, beta});
  const auto recorded = gradient(loss, {x, gamma, beta}, {.record = true});
  for (std::size_t i = 0; i < 3; ++i) {
    const double scale = std::sqrt(static_cast<double>(shape.elements()));
    CHECK(largest_difference(kernel[i].value(), recorded[i].value()) <
          scale * (dtype == DType::f32 ? 2e-6 : 1e-13) * (shape == Shape{1, 4} ? 1000 : 1));
  }
}

// Deviations far smaller than the mean, and first elements, from which differences are taken, far from all
// others: then the variance is the N-th part of the mean square that it is found from, and has N times its
// rounding. That is of four operations and of N / 4 additions, of which chance leaves the square root.
TEST_CASE("moments hold where the mean is large and where the first element lies apart", "[batch_norm]") {
  const ThreadsRestored two(2);
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const double mean = GENERATE(0.0, -4e4), first = GENERATE(0.0, 1e6);
  const Shape shape = GENERATE(Shape{3, 2}, Shape{63, 1}, Shape{129, 3}, Shape{40, 31, 33}, Shape{500, 129});
  CAPTURE(dtype, mean, first, shape);
  const std::int64_t channels = shape[-1], count = shape.elements() / channels;
  Tensor x = Random(7).normal(shape, mean, 1, dtype);
  std::vector<double> values = values_of(x);
  for (std::int64_t c = 0; c < channels; ++c) values[static_cast<std::size_t>(c)] += first;
  x = Tensor::of<double>(shape, values).to(dtype);
  values = values_of(x);

  const BatchNormResult found =
      batch_norm(x, Tensor::full({channels}, 1, dtype), Tensor::zeros({channels}, dtype));
  const auto n = static_cast<double>(count);
  const double rounding = dtype == DType::f32 ? 6e-8 : 2.2e-16 * n * (4 + std::sqrt(n / 4));
  for (std::int64_t c = 0; c < channels; ++c) {
    long double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += values[static_cast<std::size_t>(i * channels + c)];
    sum /= static_cast<long double>(count);
    for (std::int64_t i = 0; i < count; ++i) {
      const long double d = values[static_cast<std::size_t>(i * channels + c)] - sum;
      squares += d * d;
    }
    const auto m = static_cast<double>(sum), v = static_cast<double>(squares) / static_cast<double>(count);
    if (std::abs(found.mean.at({c}) - m) > rounding * (std::abs(m) + std::sqrt(v)) ||
        std::abs(found.variance.at({c}) - v) > rounding * v)
      FAIL("channel " << c << " has mean " << found.mean.at({c}) << ", not " << m << ", or variance "
                      << found.variance.at({c}) << ", not " << v);
  }
}

// f32 cannot hold the mean exactly: what it loses would move every result by as much.
TEST_CASE("results and gradients of f32 are right where the mean is large", "[batch_norm]") {
  const Shape shape = GENERATE(Shape{700, 3}, Shape{90, 70});
  const std::int64_t channels = shape[-1];
  const Tensor x = Random(1).normal(shape, 4e4, 1), gy = Random(2).normal(shape, 0, 1);
  const Tensor gamma = Random(3).normal({channels}, 1, 1), beta = Random(4).normal({channels}, 0, 1);
  const auto results = [&](DType dtype) {
    Graph g;
    const Var input = g.input(x.to(dtype)), scales = g.input(gamma.to(dtype));
    const Var y = batch_norm(input, scales, beta.to(dtype)).y;
    const auto gradients = gradient(y, {input, scales}, {.gy = Var(gy.to(dtype))});
    return std::vector<Tensor>{y.value(), gradients[0].value(), gradients[1].value()};
  };
  const std::vector<Tensor> found = results(DType::f32), exact = results(DType::f64);
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK(largest_difference(found[i].to(DType::f64), exact[i]) < 1e-5);
}

TEST_CASE("a batch norm layer normalises with the batch in training and with running statistics else",
          "[batch_norm]") {
  const nn::BatchNorm norm("norm", 2, {.momentum = 0.75, .epsilon = 0});
  CHECK(parameters_of(norm).size() == 4);
  CHECK_FALSE(norm.mean.trainable());
  const Tensor x = Tensor::of<float>({4, 2}, {1, 10, 2, 20, 3, 30, 4, 40});
  Graph g;
  const Var y = norm(g.input(x));
  const double d = std::sqrt(1.25);  // of 1 2 3 4
  CHECK(y.value().at({0, 0}) == Approx(-1.5 / d));
  CHECK(y.value().at({3, 1}) == Approx(1.5 / d));
  // 0.75 of 0 and 1, and 0.25 of means 2.5 and 25 and unbiased variances 5/3 and 500/3.
  CHECK(norm.mean.value().at({1}) == Approx(6.25));
  CHECK(norm.variance.value().at({0}) == Approx(0.75 + 1.25 / 3));
  const Tensor mean = norm.mean.value().clone();
  batch_norm(g.input(x), norm.gamma.value(), norm.beta.value());
  CHECK(norm.mean.value().at({1}) == mean.at({1}));  // the op commits nothing

  Graph quiet({.training = false});
  const Var z = norm(quiet.input(x));
  CHECK(z.value().at({2, 0}) == Approx((3 - 0.625) / std::sqrt(0.75 + 1.25 / 3)));
  CHECK(norm.mean.value().at({1}) == mean.at({1}));
  CHECK_THROWS_WITH(nn::BatchNorm("n", 2, {.momentum = 1}),
                    "batch norm layer n: momentum is 1, needed a number in [0, 1)");
}
