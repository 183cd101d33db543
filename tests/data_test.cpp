// Batches, rows, labels, accuracy, augmentation.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <weft/data.hpp>

#include "kernels/parallel.hpp"

using namespace weft;

namespace {

using Rows = std::vector<std::int64_t>;

// [1, h, w, 1]: 10 i + j at row i, column j.
Tensor ramp(std::int64_t h, std::int64_t w, DType dtype = DType::f64) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < h; ++i) {
    for (std::int64_t j = 0; j < w; ++j) values.push_back(static_cast<double>(10 * i + j));
  }
  return Tensor::of({1, h, w, 1}, values).to(dtype);
}

bool same_values(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.values<double>(), b.values<double>());
}

}  // namespace

TEST_CASE("random_mini_batches are NumPy's permutation in slices, the last one smaller", "[data]") {
  // numpy.random.seed(0); numpy.random.permutation(10), NumPy 1.24.2.
  CHECK(random_mini_batches(10, 4, 0) == std::vector<Rows>{{2, 8, 4, 9}, {1, 6, 7, 3}, {0, 5}});
  CHECK(random_mini_batches(10, 5, 0) == std::vector<Rows>{{2, 8, 4, 9, 1}, {6, 7, 3, 0, 5}});
  CHECK(random_mini_batches(10, 64, 0) == std::vector<Rows>{{2, 8, 4, 9, 1, 6, 7, 3, 0, 5}});
  CHECK(random_mini_batches(0, 64, 0).empty());

  const auto batches = random_mini_batches(1080, 64, 3);
  REQUIRE(batches.size() == 17);
  CHECK(batches.back().size() == 1080 - 16 * 64);
  Rows all;
  for (const Rows& rows : batches) all.insert(all.end(), rows.begin(), rows.end());
  std::ranges::sort(all);
  for (std::size_t i = 0; i < all.size(); ++i) REQUIRE(all[i] == static_cast<std::int64_t>(i));
}

TEST_CASE("mini_batches keep the order", "[data]") {
  CHECK(mini_batches(5, 2) == std::vector<Rows>{{0, 1}, {2, 3}, {4}});
  CHECK_THROWS_WITH(mini_batches(5, 0),
                    "mini_batches: 5 rows in batches of 0: needed 0 rows and batches of 1 at least");
  CHECK_THROWS_AS(random_mini_batches(-1, 2, 0), Error);
}

TEST_CASE("take_rows copies rows of any dtype in the order asked for", "[data]") {
  const Tensor x = Tensor::of<std::int64_t>({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor y = take_rows(x, Rows{2, 0, 2, 1});
  CHECK(to_string(y) == "i64[4, 2] {{5, 6}, {1, 2}, {5, 6}, {3, 4}}");
  CHECK(take_rows(x, Rows{}).shape() == Shape{0, 2});
  CHECK(take_rows(Tensor::zeros({3, 0}), Rows{1, 2}).shape() == Shape{2, 0});
  CHECK_THROWS_WITH(take_rows(x, Rows{0, 3}), "take_rows: row 3 of x, which has 3 (x: i64[3, 2])");
  CHECK_THROWS_AS(take_rows(x, Rows{-1}), Error);
  CHECK_THROWS_WITH(take_rows(Tensor::scalar(1), Rows{0}), "take_rows: x is a scalar, which has no rows");
}

TEST_CASE("images_to_f32 divides grey levels by 255", "[data]") {
  const Tensor y = images_to_f32(Tensor::of<std::uint8_t>({1, 1, 4, 1}, {0, 51, 100, 255}));
  CHECK(y.dtype() == DType::f32);
  CHECK(
      std::ranges::equal(y.values<float>(), std::vector<float>{0.0f, 51.0f / 255.0f, 100.0f / 255.0f, 1.0f}));
  CHECK_THROWS_WITH(images_to_f32(Tensor::zeros({2, 3})), "images_to_f32: images are f32[2, 3], needed u8");
}

TEST_CASE("require_labels names what is wrong with labels", "[data]") {
  const Tensor labels = Tensor::of<std::int64_t>({3}, {0, 5, 2});
  CHECK_NOTHROW(require_labels(labels, 3, 6));
  CHECK_NOTHROW(require_labels(labels.to(DType::u8), 3, 6));
  CHECK_THROWS_WITH(require_labels(labels, 3, 5), "label 5 at position 1, needed one of 0 .. 4");
  CHECK_THROWS_WITH(require_labels(labels, 4, 6), "labels are i64[3], needed shape [4]");
  CHECK_THROWS_WITH(require_labels(labels.to(DType::f32), 3, 6), "labels are f32[3], needed integers");
  CHECK_THROWS_WITH(require_labels(Tensor::of<std::int32_t>({1}, {-1}), 1, 6),
                    "label -1 at position 0, needed one of 0 .. 5");
}

TEST_CASE("accuracy is the share of rows whose largest is at the label", "[data]") {
  const Tensor logits = Tensor::of<float>({4, 3}, {1, 2, 0, 5, 4, 3, 0, 0, 1, -1, -2, -3});
  CHECK(accuracy(logits, Tensor::of<std::int64_t>({4}, {1, 0, 2, 0})) == 1);
  CHECK(accuracy(logits, Tensor::of<std::int64_t>({4}, {1, 1, 2, 1})) == 0.5);
  CHECK(accuracy(logits.to(DType::f64), Tensor::of<std::uint8_t>({4}, {0, 1, 0, 0})) == 0.25);
  CHECK(std::isnan(accuracy(Tensor::zeros({0, 3}), Tensor::zeros({0}, DType::i64))));
  CHECK_THROWS_AS(accuracy(logits, Tensor::of<std::int64_t>({4}, {1, 1, 3, 1})), Error);
}

TEST_CASE("augment without options is a copy", "[data]") {
  Random random(1);
  const Tensor x = ramp(5, 7);
  const Tensor y = augment(x, {}, random);
  CHECK(same_values(x, y));
  CHECK_FALSE(y.shares_storage(x));
}

TEST_CASE("a shift reads the ramp elsewhere and the border as its edge", "[data]") {
  Random random(3);
  const std::int64_t h = 9, w = 11;
  const Tensor y = augment(ramp(h, w), {.shift = 0.2}, random);
  // Inside, the ramp moved by (di, dj) is 10 (i - di) + j - dj.
  const double moved = y.at({0, 4, 5, 0}) - 45;
  CHECK(moved != 0);
  CHECK(std::fabs(moved) <= 10 * 0.2 * h + 0.2 * w);
  CHECK(y.at({0, 3, 4, 0}) - 34 == Approx(moved));
  CHECK(y.at({0, 5, 6, 0}) - 56 == Approx(moved));
  const auto values = y.values<double>();
  CHECK(*std::ranges::min_element(values) >= 0);
  CHECK(*std::ranges::max_element(values) <= 98);
}

TEST_CASE("a rotation and a scale keep the centre and distances from it", "[data]") {
  Random random(5);
  const Tensor x = ramp(9, 9);
  const Tensor turned = augment(x, {.rotation = 20}, random);
  CHECK(turned.at({0, 4, 4, 0}) == Approx(44));
  // One step down the output moves (cos, -sin) in the input, one step right (sin, cos).
  const double down = turned.at({0, 5, 4, 0}) - 44, right = turned.at({0, 4, 5, 0}) - 44;
  CHECK(std::hypot(down, right) == Approx(std::hypot(10, 1)));
  const double angle = std::atan2(10, 1) - std::atan2(down, right);
  CHECK(std::fabs(angle) > 0.001);
  CHECK(std::fabs(angle) <= 20 * std::numbers::pi / 180);

  const Tensor scaled = augment(x, {.scale = 0.3}, random);
  const double step = scaled.at({0, 5, 4, 0}) - 44;
  CHECK(scaled.at({0, 4, 4, 0}) == Approx(44));
  CHECK(scaled.at({0, 4, 5, 0}) - 44 == Approx(step / 10));
  CHECK(step >= 10 / 1.3 - 1e-9);
  CHECK(step <= 10 / 0.7 + 1e-9);
}

TEST_CASE("brightness adds a number, contrast stretches about the mean", "[data]") {
  Random random(7);
  const Tensor x = ramp(3, 5);  // mean 12
  const Tensor brighter = augment(x, {.brightness = 4}, random);
  const double added = brighter.at({0, 0, 0, 0});
  CHECK(std::fabs(added) <= 4);
  CHECK(brighter.at({0, 2, 3, 0}) == Approx(23 + added));

  const Tensor stretched = augment(x, {.contrast = 0.5}, random);
  CHECK(stretched.at({0, 1, 2, 0}) == Approx(12));
  const double factor = (stretched.at({0, 0, 0, 0}) - 12) / -12;
  CHECK(factor != 1);
  CHECK(std::fabs(factor - 1) <= 0.5);
  CHECK(stretched.at({0, 2, 4, 0}) == Approx(12 + 12 * factor));
}

TEST_CASE("each image of a batch is changed by its own numbers, whatever the batch around it", "[data]") {
  const AugmentOptions options{
      .shift = 0.1, .rotation = 15, .scale = 0.1, .brightness = 0.1, .contrast = 0.1};
  const Tensor one = ramp(8, 6);
  Tensor many({65, 8, 6, 1}, DType::f64);
  for (std::size_t i = 0; i < 65 * 48; ++i) many.mutable_values<double>()[i] = one.values<double>()[i % 48];
  Random first(11), second(11);
  const Tensor batch = augment(many, options, first), alone = augment(one, options, second);
  CHECK(same_values(take_rows(batch, Rows{0}), alone));
  for (std::int64_t i = 1; i < 65; ++i) CHECK_FALSE(same_values(take_rows(batch, Rows{i}), alone));
  CHECK_FALSE(same_values(augment(one, options, second), alone));
}

TEST_CASE("any number of threads gives the same augmented images", "[data]") {
  const Tensor x = Random(2).uniform({37, 9, 7, 3}, 0, 1);
  const AugmentOptions options{.shift = 0.1,
                               .rotation = 15,
                               .scale = 0.1,
                               .brightness = 0.1,
                               .contrast = 0.1,
                               .flip = true,
                               .cut_out = 0.3};
  std::vector<Tensor> results;
  for (const int threads : {1, 2, 3, 8}) {
    const ForcedThreads forced(threads);
    Random random(19);
    results.push_back(augment(x, options, random));
  }
  for (const Tensor& result : results)
    CHECK(std::ranges::equal(result.values<float>(), results[0].values<float>()));
}

TEST_CASE("a flip exchanges left and right in about half of the images", "[data]") {
  Tensor x({200, 2, 3, 2}, DType::f64);
  const std::vector<double> row{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const std::vector<double> mirrored{5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8};
  for (std::size_t i = 0; i < x.mutable_values<double>().size(); ++i)
    x.mutable_values<double>()[i] = row[i % 12];
  Random random(1);
  const Tensor y = augment(x, {.flip = true}, random);
  int flipped = 0;
  for (std::size_t n = 0; n < 200; ++n) {
    const auto image = y.values<double>().subspan(12 * n, 12);
    const bool is_mirrored = std::ranges::equal(image, mirrored);
    CHECK((is_mirrored || std::ranges::equal(image, row)));
    flipped += is_mirrored;
  }
  CHECK(flipped > 70);  // 100 expected, deviation 7
  CHECK(flipped < 130);
}

TEST_CASE("cut-out leaves a square of zeros about any pixel, cut off at the border", "[data]") {
  Random random(1);
  const Tensor y = augment(Tensor::full({300, 10, 20, 2}, 1), {.cut_out = 0.4}, random);  // 4 x 8 pixels
  std::int64_t whole = 0;
  for (std::int64_t n = 0; n < 300; ++n) {
    std::int64_t zeros = 0, top = 10, left = 20, bottom = -1, right = -1;
    for (std::int64_t i = 0; i < 10; ++i) {
      for (std::int64_t j = 0; j < 20; ++j) {
        REQUIRE(y.at({n, i, j, 0}) == y.at({n, i, j, 1}));
        if (y.at({n, i, j, 0}) != 0) continue;
        ++zeros;
        top = std::min(top, i);
        left = std::min(left, j);
        bottom = std::max(bottom, i);
        right = std::max(right, j);
      }
    }
    const std::int64_t h = bottom - top + 1, w = right - left + 1;
    CHECK(zeros == h * w);
    CHECK((h == 4 || (h >= 2 && h < 4 && (top == 0 || bottom == 9))));
    CHECK((w == 8 || (w >= 4 && w < 8 && (left == 0 || right == 19))));
    whole += h == 4 && w == 8;
  }
  CHECK(whole > 80);  // 7 x 13 of 10 x 20 centres: 136
  CHECK(whole < 200);
}

TEST_CASE("augment takes images of f32 and f64, also empty ones, and refuses others", "[data]") {
  Random random(1);
  CHECK(augment(ramp(4, 4, DType::f32), {.rotation = 5}, random).dtype() == DType::f32);
  CHECK(augment(Tensor::zeros({0, 4, 4, 3}), {.rotation = 5}, random).shape() == Shape{0, 4, 4, 3});
  CHECK_THROWS_AS(augment(ramp(4, 4, DType::u8), {}, random), DTypeError);
  CHECK_THROWS_WITH(augment(Tensor::zeros({4, 4}), {}, random),
                    "augment: images have shape [4, 4], needed [n, h, w, c]");
  CHECK_THROWS_WITH(augment(ramp(4, 4), {.scale = 1}, random),
                    "augment: scale is 1, needed a number below 1");
  CHECK_THROWS_WITH(augment(ramp(4, 4), {.shift = -0.1}, random),
                    "augment: shift is -0.1, needed a number that is not negative");
}
