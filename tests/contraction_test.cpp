// conv2d and pool2d against loops that are written again here. Their operands are small integers, so that
// sums are exact in f32 and f64 and must agree to the last bit.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "integer_tensors.hpp"
#include "threads_restored.hpp"
#include "weft/gradient.hpp"
#include "weft/ops.hpp"

using namespace weft;
using Catch::Matchers::Equals;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr SourceLocation model{"src/model.cpp", 21};

// Convolution of an image that is padded first, as the seed article does it; `pads` are top, bottom, left,
// right.
std::vector<double> padded_convolution(const Tensor& x, const Tensor& w,
                                       const std::array<std::int64_t, 4>& pads, const Conv2dOptions& o) {
  const std::int64_t images = x.extent(0), channels = x.extent(3), outputs = w.extent(3),
                     per_group = w.extent(2);
  const std::int64_t height = x.extent(1) + pads[0] + pads[1], width = x.extent(2) + pads[2] + pads[3];
  Tensor padded = Tensor::zeros({images, height, width, channels}, DType::f64);
  const auto at = [&](std::int64_t n, std::int64_t h, std::int64_t v) {
    return ((n * height + h) * width + v) * channels;
  };
  auto image = padded.mutable_values<double>();
  for (std::int64_t n = 0; n < images; ++n) {
    for (std::int64_t h = 0; h < x.extent(1); ++h) {
      for (std::int64_t v = 0; v < x.extent(2); ++v) {
        for (std::int64_t c = 0; c < channels; ++c) {
          image[static_cast<std::size_t>(at(n, h + pads[0], v + pads[2]) + c)] = x.at({n, h, v, c});
        }
      }
    }
  }
  std::vector<double> y;
  for (std::int64_t n = 0; n < images; ++n) {
    for (std::int64_t h = 0; h + (w.extent(0) - 1) * o.dilation.h < height; h += o.stride.h) {
      for (std::int64_t v = 0; v + (w.extent(1) - 1) * o.dilation.w < width; v += o.stride.w) {
        for (std::int64_t k = 0; k < outputs; ++k) {
          double sum = 0;
          for (std::int64_t p = 0; p < w.extent(0); ++p) {
            for (std::int64_t q = 0; q < w.extent(1); ++q) {
              for (std::int64_t c = 0; c < per_group; ++c) {
                const std::int64_t channel = k / (outputs / o.groups) * per_group + c;
                sum += image[static_cast<std::size_t>(at(n, h + p * o.dilation.h, v + q * o.dilation.w) +
                                                      channel)] *
                       w.at({p, q, c, k});
              }
            }
          }
          y.push_back(sum);
        }
      }
    }
  }
  return y;
}

template <class E, class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "no such error";
}

}  // namespace

TEST_CASE("a sum over no products is zero", "[matmul][conv2d]") {
  const Var y = matmul(Tensor::zeros({2, 0}), Tensor::zeros({0, 3}));
  CHECK_THAT(values_of(y.value()), Equals(std::vector<double>(6, 0)));
  const Tensor b = Tensor::of<float>({2}, {-1, 3});
  const Var z = conv2d(Tensor::zeros({1, 2, 1, 0}), Tensor::zeros({1, 1, 0, 2}), b, {.relu = true});
  CHECK_THAT(values_of(z.value()), Equals(std::vector<double>{0, 3, 0, 3}));
}

TEST_CASE("conv2d is the convolution of a padded image", "[conv2d]") {
  struct Case {
    Shape x, w;
    Conv2dOptions options;
  };
  const auto c = GENERATE(values<Case>({
      {{2, 9, 11, 3}, {4, 3, 3, 5}, {}},
      {{2, 9, 11, 3}, {4, 3, 3, 5}, {.stride = {2, 3}, .padding = {1, 0, 3, 2}}},
      {{3, 13, 8, 16}, {3, 2, 16, 32}, {.stride = {1, 2}, .padding = {2, 1, 0, 1}}},
      {{2, 12, 10, 17}, {2, 3, 17, 33}, {.padding = {0, 1, 2, 0}, .dilation = {3, 2}}},
      {{2, 7, 9, 8}, {3, 3, 4, 6}, {.stride = {2, 1}, .padding = {1, 1, 0, 2}, .groups = 2}},
      {{2, 7, 9, 32}, {3, 3, 1, 32}, {.padding = 1, .groups = 32}},
      {{2, 7, 9, 6}, {2, 3, 1, 12}, {.stride = 2, .padding = {0, 1, 1, 1}, .dilation = 2, .groups = 6}},
      {{2, 5, 4, 3}, {5, 4, 3, 2}, {}},
      {{1, 2, 3, 2}, {3, 2, 2, 3}, {.padding = {4, 3, 2, 5}}},
      {{64, 28, 28, 1}, {5, 5, 1, 6}, {.padding = 2}},
  }));
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const Tensor x = integers(c.x, dtype, 7), w = integers(c.w, dtype, 8);
  const Padding& p = c.options.padding;
  CHECK_THAT(values_of(conv2d(x, w, c.options).value()),
             Equals(padded_convolution(x, w, {p.top, p.bottom, p.left, p.right}, c.options)));
}

TEST_CASE("`same` puts the odd element of the padding behind, as TensorFlow does", "[conv2d]") {
  // total = max((ceil(extent / stride) - 1) stride + window - extent, 0), half of it in front, rounded down.
  struct Case {
    std::int64_t extent, taps, stride, dilation, before, after;
  };
  const auto c = GENERATE(values<Case>({{7, 3, 1, 1, 1, 1},
                                        {7, 2, 1, 1, 0, 1},
                                        {7, 4, 1, 1, 1, 2},
                                        {6, 3, 2, 1, 0, 1},
                                        {7, 3, 2, 1, 1, 1},
                                        {5, 2, 3, 1, 0, 0},
                                        {2, 5, 1, 1, 2, 2},
                                        {8, 3, 1, 2, 2, 2},
                                        {9, 2, 2, 3, 1, 2}}));
  const Tensor x = integers({2, c.extent, 1, 2}, DType::f64, 9),
               w = integers({c.taps, 1, 2, 3}, DType::f64, 10);
  const Conv2dOptions options{.stride = {c.stride, 1}, .padding = same, .dilation = {c.dilation, 1}};
  const Var y = conv2d(x, w, options);
  CHECK(y.extent(1) == (c.extent + c.stride - 1) / c.stride);
  CHECK_THAT(values_of(y.value()), Equals(padded_convolution(x, w, {c.before, c.after, 0, 0}, options)));
}

TEST_CASE("conv2d and its gradients agree in f32 and f64 on sums that are exact in both", "[conv2d]") {
  struct Case {
    Shape x, w;
    Conv2dOptions options;
  };
  const auto c = GENERATE(values<Case>({
      {{16, 32, 32, 3}, {4, 4, 3, 8}, {.padding = same, .relu = true}},
      {{4, 15, 14, 16}, {3, 3, 16, 32}, {.stride = 2, .padding = {1, 0, 2, 1}}},
      {{3, 9, 8, 24}, {3, 2, 6, 20}, {.stride = {1, 2}, .padding = 1, .groups = 4}},
      {{2, 9, 8, 5}, {3, 2, 1, 5}, {.padding = 2, .dilation = {2, 1}, .groups = 5, .relu = true}},
      {{1, 4, 4, 256}, {3, 3, 128, 128}, {.padding = 1, .groups = 2}},
  }));
  const ThreadsRestored three(3);
  const auto results = [&](DType dtype) {
    Graph g;
    const Var x = g.input(integers(c.x, dtype, 11)), w = g.input(integers(c.w, dtype, 12));
    const Var b = g.input(integers({c.w[3]}, dtype, 13));
    const Var y = conv2d(x, w, b, c.options);
    auto all = gradient(y, {x, w, b}, {.gy = integers(y.shape(), dtype, 14)});
    all.push_back(y);
    return all;
  };
  const auto in_f32 = results(DType::f32), in_f64 = results(DType::f64);
  for (std::size_t i = 0; i < in_f32.size(); ++i) {
    INFO("result " << i);
    CHECK_THAT(values_of(in_f32[i].value()), Equals(values_of(in_f64[i].value())));
  }
}

TEST_CASE("a convolution of equal shapes and other attributes does not get the cached one", "[conv2d]") {
  const Tensor x = integers({2, 8, 8, 4}, DType::f32, 15), w = integers({3, 3, 4, 8}, DType::f32, 16);
  const Conv2dOptions first{.stride = 2, .padding = {1, 0, 1, 0}},
      second{.stride = 2, .padding = {0, 1, 0, 1}};
  for (int round = 0; round < 2; ++round) {
    CHECK_THAT(values_of(conv2d(x, w, first).value()), Equals(padded_convolution(x, w, {1, 0, 1, 0}, first)));
    CHECK_THAT(values_of(conv2d(x, w, second).value()),
               Equals(padded_convolution(x, w, {0, 1, 0, 1}, second)));
  }
}

TEST_CASE("conv2d's errors name what was found, what was needed, the scope and the line", "[conv2d]") {
  Graph g;
  const Scope net = g.scope("net"), conv1 = g.scope("conv1");
  const Var x = g.input(Tensor::zeros({8, 32, 32, 3}));
  const auto error = [&](const Shape& w, const Conv2dOptions& options = {}) {
    return error_of<ShapeError>([&] { conv2d(x, Tensor::zeros(w), options, model); });
  };
  CHECK(error({3, 3, 4, 16}) ==
        "conv2d: x has 3 channels but w expects 4 (x: f32[8, 32, 32, 3], w: f32[3, 3, 4, 16]) in scope "
        "net/conv1, at "
        "model.cpp:21");
  CHECK(error({35, 3, 3, 16}, {.padding = 1}) ==
        "conv2d: the window's height 35 is larger than the padded image's 34 (32 + 2) (x: f32[8, 32, 32, 3], "
        "w: f32[35, 3, 3, 16]) in scope net/conv1, at model.cpp:21");
  CHECK(error({3, 3, 1, 16}, {.groups = 3}) ==
        "conv2d: 3 groups do not divide the 16 output channels of w (x: f32[8, 32, 32, 3], w: f32[3, 3, 1, "
        "16]) in "
        "scope net/conv1, at model.cpp:21");
  CHECK(error({3, 3, 3, 16}, {.stride = 0}) ==
        "conv2d: stride (0, 0) must be between 1 and 2^31 - 1 (x: f32[8, 32, 32, 3], w: f32[3, 3, 3, 16]) in "
        "scope "
        "net/conv1, at model.cpp:21");
  CHECK(error_of<DTypeError>([&] {
          conv2d(x, Tensor::zeros({3, 3, 3, 16}, DType::f64), {}, model);
        }) ==
        "conv2d: x is f32 but w is f64: convert one (x: f32[8, 32, 32, 3], w: f64[3, 3, 3, 16]) in scope "
        "net/conv1, "
        "at model.cpp:21");
  CHECK(error_of<ShapeError>([&] {
          conv2d(x, Tensor::zeros({3, 3, 3, 16}), Tensor::zeros({1, 16}), {}, model);
        }) ==
        "conv2d: b must be [16], one number for each output channel (x: f32[8, 32, 32, 3], w: f32[3, 3, 3, "
        "16], "
        "b: f32[1, 16]) in scope net/conv1, at model.cpp:21");
  CHECK(g.node_count() == 1);
}

TEST_CASE("NaN goes through conv2d with relu, and negative infinity does not", "[conv2d]") {
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const bool relu = GENERATE(false, true);
  const double infinity = std::numeric_limits<double>::infinity();
  Tensor x = Tensor::of<double>({1, 4, 1, 1}, {not_a_number, -1, infinity, -infinity}).to(dtype);
  const Var y = conv2d(x, Tensor::full({1, 1, 1, 1}, 2, dtype), Tensor::full({1}, 1, dtype), {.relu = relu});
  const auto found = values_of(y.value());
  CHECK(std::isnan(found[0]));
  CHECK(found[1] == (relu ? 0 : -1));
  CHECK(found[2] == infinity);
  CHECK(found[3] == (relu ? 0 : -infinity));
}

TEST_CASE("max pooling takes the first maximum row by row, and NaN before all", "[pool2d]") {
  struct Case {
    std::vector<double> window;  // 2 x 3
    std::size_t winner;
  };
  const std::vector<Case> cases = {{{1, 5, 2, 5, 5, 0}, 1},
                                   {{1, 2, 5, 5, 3, 4}, 2},
                                   {{0, 1, 2, 7, 7, 7}, 3},
                                   {{4, 4, 4, 4, 4, 4}, 0},
                                   {{1, 9, not_a_number, 9, 2, 3}, 2},
                                   {{1, 9, 3, not_a_number, not_a_number, 3}, 3},
                                   {{9, 9, not_a_number, 9, not_a_number, 3}, 2},
                                   {{-3, -2, -1, -4, -1, -5}, 2}};
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const auto channels = static_cast<std::size_t>(GENERATE(1, 8, 17));
  const auto first = static_cast<std::size_t>(GENERATE(range(0, 8)));
  const auto of_channel = [&](std::size_t k) { return cases[(first + k) % cases.size()]; };
  std::vector<double> elements, expected;
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t k = 0; k < channels; ++k) {
      elements.push_back(of_channel(k).window[i]);
      expected.push_back(i == of_channel(k).winner ? 1 : 0);
    }
  }
  Graph g;
  const Var x = g.input(Tensor::of<double>({1, 2, 3, std::ssize(elements) / 6}, elements).to(dtype));
  const Var y = pool2d(x, {.window = {2, 3}});
  const std::vector<double> found = values_of(y.value());
  for (std::size_t k = 0; k < channels; ++k) {
    const double largest = of_channel(k).window[of_channel(k).winner];
    CHECK((std::isnan(largest) ? std::isnan(found[k]) : found[k] == largest));
  }
  CHECK_THAT(values_of(gradient(y, x, {.gy = Tensor::full(y.shape(), 1, dtype)}).value()), Equals(expected));
}

TEST_CASE("pooling over several threads is that of each image alone", "[pool2d]") {
  const PoolKind kind = GENERATE(PoolKind::max, PoolKind::average);
  const Pool2dOptions options{.window = {3, 2}, .stride = 2, .padding = {1, 0, 0, 1}, .kind = kind};
  const auto pooled = [&](const Tensor& images) {
    Graph g;
    const Var x = g.input(images);
    const Var y = pool2d(x, options);
    auto found = values_of(y.value());
    for (const double value : values_of(gradient(sum(y * y), x).value())) found.push_back(value);
    return found;
  };
  const Tensor x = integers({16, 33, 40, 8}, DType::f32, 17);
  const auto all = pooled(x);
  const std::size_t y_image = 16 * 20 * 8, x_image = 33 * 40 * 8;
  for (const std::int64_t n : {0, 7, 15}) {
    std::vector<double> values = values_of(x);
    const auto begin = values.begin() + n * static_cast<std::int64_t>(x_image);
    const std::vector<double> image(begin, begin + static_cast<std::int64_t>(x_image));
    const auto alone = pooled(Tensor::of<double>({1, 33, 40, 8}, image).to(DType::f32));
    const auto expected = [&](std::size_t from, std::size_t count) {
      const auto first = all.begin() + static_cast<std::int64_t>(from);
      return std::vector<double>(first, first + static_cast<std::int64_t>(count));
    };
    std::vector<double> part = expected(static_cast<std::size_t>(n) * y_image, y_image);
    const auto gradient_part = expected(16 * y_image + static_cast<std::size_t>(n) * x_image, x_image);
    part.insert(part.end(), gradient_part.begin(), gradient_part.end());
    CHECK_THAT(alone, Equals(part));
  }
}

TEST_CASE("max pooling gives the same maxima whether it keeps positions or not", "[pool2d]") {
  const Tensor x = integers({3, 11, 9, 5}, DType::f32, 18);
  const Pool2dOptions options{.window = {3, 2}, .stride = Size2{2, 1}, .padding = {1, 1, 0, 1}};
  Graph g;
  const Var recorded = pool2d(g.input(x), options);
  CHECK_THAT(values_of(recorded.value()), Equals(values_of(pool2d(x, options).value())));
}

TEST_CASE("sizes and paddings read their attributes, and errors say what they take", "[pool2d]") {
  CHECK(Size2::from_attribute(3) == Size2(3, 3));
  CHECK(Size2::from_attribute(Size2(2, 5).to_attribute()) == Size2(2, 5));
  CHECK(Padding::from_attribute("same") == same);
  CHECK(Padding::from_attribute("valid") == valid);
  CHECK(Padding::from_attribute(2) == Padding(2));
  CHECK(Padding::from_attribute(Padding(1, 2, 3, 4).to_attribute()) == Padding(1, 2, 3, 4));
  CHECK(Padding::from_attribute(same.to_attribute()) == same);
  CHECK_THROWS_WITH(Size2::from_attribute({1, 2, 3}),
                    "a size is one number or (height, width), found (1, 2, 3)");
  CHECK_THROWS_WITH(Padding::from_attribute("full"),
                    "a padding is 'same', 'valid', one number or (top, bottom, left, right), found full");
  CHECK_THROWS_WITH(Padding::from_attribute({1, 2}),
                    "a padding is 'same', 'valid', one number or (top, bottom, left, right), found (1, 2)");
}

TEST_CASE("positions outside an image are an error before anything is read", "[pool2d]") {
  const Var x = Tensor::zeros({1, 2, 3, 1});
  const auto error = [&](std::int32_t position) {
    const Var index = Tensor::of<std::int32_t>({1, 1, 1, 1}, {position});
    return error_of<Error>([&] { max_pool2d_gather(x, index, model); });
  };
  CHECK(error(5) == "no such error");
  CHECK(error(6) ==
        "max_pool2d_gather: index 6 lies outside an image of 2 x 3 (x: f32[1, 2, 3, 1], index: i32[1, 1, 1, "
        "1]), at "
        "model.cpp:21");
  CHECK(error(-1) ==
        "max_pool2d_gather: index -1 lies outside an image of 2 x 3 (x: f32[1, 2, 3, 1], index: i32[1, 1, 1, "
        "1]), at "
        "model.cpp:21");
}
