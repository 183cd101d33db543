// Whether the likely mistake is named.
#include <catch2/catch.hpp>

#include "diagnosis_problem.hpp"

using namespace weft;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

TEST_CASE("a crop that starts at the wrong padding is named", "[diagnosis]") {  // M25
  const Problem problem{.op = "pad",
                        .shapes = {{3, 4}},
                        .y_shape = {3, 7},
                        .attributes = {{"before", Ints{0, 2}}, {"after", Ints{0, 1}}}};
  const auto cropped = [](std::int64_t begin) {
    return [begin](const Ints& y, const Ints& x) { return y[0] == x[0] && y[1] == x[1] + begin ? 1.0 : 0.0; };
  };
  CHECK_THAT(with_entries(problem, cropped(1), cropped(2)).likely(),
             StartsWith("the crop begins at the padding behind"));
}

TEST_CASE("a crop that starts at the wrong padding along several axes is named", "[diagnosis]") {  // M25
  const Problem problem{.op = "pad",
                        .shapes = {{3, 4, 5}},
                        .y_shape = {4, 6, 9},
                        .attributes = {{"before", Ints{0, 2, 1}}, {"after", Ints{1, 0, 3}}}};
  const auto cropped = [](const Ints& begin) {
    return [begin](const Ints& y, const Ints& x) {
      return y[0] == x[0] + begin[0] && y[1] == x[1] + begin[1] && y[2] == x[2] + begin[2] ? 1.0 : 0.0;
    };
  };
  CHECK(with_entries(problem, cropped({1, 0, 3}), cropped({0, 2, 1})).likely() ==
        "the crop begins at the padding behind, not at the one in front");
  CHECK(with_entries(problem, cropped({0, 1, 2}), cropped({0, 2, 1})).likely() ==
        "shifted by 1 along axis 1 of x, by -1 along axis 2 of x");
}

TEST_CASE("a softmax without its sum, or along the wrong axis, is named", "[diagnosis]") {  // M29, M30
  const Problem problem{.op = "softmax", .shapes = {{4, 3}}, .y_shape = {4, 3}, .attributes = {{"axis", 1}}};
  const auto softmax = [](int axis, bool has_sum) {
    return [axis, has_sum](const Ints& y, const Ints& x) {
      if (y[1 - axis] != x[1 - axis]) return 0.0;
      const double p = value_at(y) + 2, q = value_at(x) + 2;
      return (y == x ? p : 0) - (has_sum ? p * q : 0);
    };
  };
  CHECK_THAT(with_entries(problem, softmax(1, false), softmax(1, true)).likely(),
             StartsWith("elements along axis 1 of x do not depend on each other"));
  CHECK(with_entries(problem, softmax(0, true), softmax(1, true)).likely() ==
        "the wrong axis: elements depend on each other along axis 0 of x, not along axis 1 of x");
}

namespace {

constexpr std::int64_t label_of[] = {3, 1, 1, 0, 4, 3, 1};

Problem crossentropy(bool mean, std::int64_t label_shift, double factor, bool uses_gy = true) {
  const Problem problem{.op = "softmax_crossentropy",
                        .shapes = {{7, 5}, {7}},
                        .y_shape = mean ? Shape{} : Shape{7},
                        .attributes = {{"reduction", mean ? "mean" : "none"}, {"label_smoothing", 0.0}}};
  const auto loss = [mean](std::int64_t shift, bool uses) {
    return [=](const Ints& y, const Ints& x) {
      if (!mean && uses && y[0] != x[0]) return 0.0;
      const std::int64_t label = (label_of[x[0]] + shift) % 5;
      const double p = 0.1 + 0.03 * static_cast<double>(x[0]) + 0.01 * static_cast<double>(x[1]);
      return (p - (x[1] == label ? 1 : 0)) / (mean ? 7 : 1);
    };
  };
  Problem result = with_entries(problem, loss(label_shift, uses_gy), loss(0, true));
  for (double& value : result.found) value *= factor;
  return result;
}

}  // namespace

TEST_CASE("a loss that is not divided by n, or by c too, or ignores gy, is named", "[diagnosis]") {
  CHECK(crossentropy(true, 0, 7).likely() == "off by n (7)");                          // M31
  CHECK(crossentropy(true, 0, 1.0 / 5).likely() == "off by 1/c (1/5)");                // M32
  CHECK_THAT(crossentropy(false, 0, 1, false).likely(), Contains("does not use gy"));  // M33
}

TEST_CASE("labels that are off by one are named", "[diagnosis]") {  // M35
  CHECK(crossentropy(true, 1, 1).likely() == "an index along axis 1 of logits is off by 1");
  Problem once = crossentropy(true, 0, 1);
  once.found[5 + 1] += 1.0 / 7;  // row 1 has label 1
  CHECK_THAT(once.likely(), StartsWith("the targets of some rows count for nothing"));
  CHECK(crossentropy(false, 4, 1).likely() == "an index along axis 1 of logits is off by -1");
}

TEST_CASE("a missing transpose and exchanged gradients of a product are named", "[diagnosis]") {  // M36, M38
  const Problem problem{.op = "matmul",
                        .shapes = {{3, 3}, {3, 3}},
                        .y_shape = {3, 3},
                        .attributes = {{"transpose_a", false}, {"transpose_b", false}}};
  const auto by_a = [](const Ints& y, const Ints& a) { return y[0] == a[0] ? value_at({a[1], y[1]}) : 0; };
  const auto by_b = [](const Ints& y, const Ints& b) {
    return y[1] == b[1] ? value_at({y[0], b[0]}, 0.8) : 0;
  };
  const auto untransposed = [](const Ints& y, const Ints& a) {
    return y[0] == a[0] ? value_at({y[1], a[1]}) : 0;
  };
  CHECK(with_entries(problem, untransposed, by_a).likely() ==
        "axis 1 of y and axis 1 of a are exchanged: a transpose is missing or superfluous");
  Problem exchanged = with_entries(problem, by_b, by_a);
  exchanged.all_expected = {jacobian_of({3, 3}, {3, 3}, by_a), jacobian_of({3, 3}, {3, 3}, by_b)};
  CHECK(exchanged.likely() == "this is the gradient of b: two gradients are exchanged");
}

TEST_CASE("broadcasting that is undone along the wrong axis, or not at all, is named", "[diagnosis]") {
  const Problem problem{.op = "add", .shapes = {{3, 1}, {1, 3}}, .y_shape = {3, 3}};  // M39
  const auto follows = [](int axis) {
    return [axis](const Ints& y, const Ints& x) { return y[axis] == x[0] ? 1.0 : 0.0; };
  };
  CHECK(with_entries(problem, follows(1), follows(0)).likely() == "summed over axes (0) of y, not over (1)");

  const Problem scalar{.op = "add", .shapes = {{}, {2, 3}}, .y_shape = {2, 3}};  // M37, M40
  const auto first_only = [](const Ints& y, const Ints&) { return y[0] == 0 && y[1] == 0 ? 1.0 : 0.0; };
  CHECK_THAT(with_entries(scalar, first_only, [](const Ints&, const Ints&) { return 1.0; }).likely(),
             StartsWith("only the first of the outputs that read an element of a counts"));
}

TEST_CASE("a sum over a batch or a column that takes the first one only is named", "[diagnosis]") {
  const Problem batch{.op = "matmul", .shapes = {{3, 4}, {2, 4, 5}}, .y_shape = {2, 3, 5}};  // M37
  const auto right = [](const Ints& y, const Ints& a) {
    return y[1] == a[0] ? value_at({y[0], a[1], y[2]}) : 0;
  };
  const auto first = [&](const Ints& y, const Ints& a) { return y[0] == 0 ? right(y, a) : 0; };
  CHECK(with_entries(batch, first, right).likely() ==
        "only the first index along axis 0 of y counts: the sum over the others is missing");
  const Problem bias{
      .op = "conv2d", .shapes = {{2, 5, 5, 3}, {2, 2, 3, 3}, {3}}, .argument = 2, .y_shape = {2, 4, 2, 3}};
  const auto by_b = [](const Ints& y, const Ints& b) { return y[3] == b[0] ? 1.0 : 0.0; };
  const auto first_column = [&](const Ints& y, const Ints& b) { return y[2] == 0 ? by_b(y, b) : 0; };
  CHECK(with_entries(bias, first_column, by_b).likely() ==  // M10
        "only the first column along w of y counts: the sum over the others is missing");
}

TEST_CASE("f32 in f64, a wrong exponent and a gy of which one element is read are named", "[diagnosis]") {
  const Problem problem{.op = "sqrt", .shapes = {{2, 4}}, .y_shape = {2, 4}};
  const auto right = [](const Ints& y, const Ints& x) { return y == x ? 1.5 + value_at(x) : 0; };
  const auto rounded = [&](const Ints& y, const Ints& x) {
    return static_cast<double>(static_cast<float>(right(y, x)));
  };
  const auto cubed = [&](const Ints& y, const Ints& x) { return std::pow(right(y, x), 3); };
  const auto first = [&](const Ints& y, const Ints& x) { return y == Ints{0, 0} ? right(x, x) : 0; };
  CHECK_THAT(with_entries(problem, rounded, right).likely(), EndsWith("a constant or a sum in f32"));  // G09
  CHECK_THAT(with_entries(problem, cubed, right).likely(),
             StartsWith("every entry stands where it should"));  // M43
  CHECK(with_entries(problem, first, right).likely() == "only the first element of gy is read");
}

TEST_CASE("a mean that is divided by the size of its result is named", "[diagnosis]") {  // M41
  const Problem problem{.op = "mean",
                        .shapes = {{3, 5, 7}},
                        .y_shape = {3},
                        .attributes = {{"axes", Ints{1, 2}}, {"keep_axes", false}}};
  const auto mean = [](double divisor) {
    return [divisor](const Ints& y, const Ints& x) { return y[0] == x[0] ? 1 / divisor : 0; };
  };
  CHECK(with_entries(problem, mean(3), mean(35)).likely() ==
        "off by 35/3: the size of y (3) in place of the number of elements of x that one of y reads (35)");
}

TEST_CASE("a permutation in place of its inverse is named", "[diagnosis]") {  // M44
  const Problem problem{.op = "transpose",
                        .shapes = {{3, 3, 3}},
                        .y_shape = {3, 3, 3},
                        .attributes = {{"permutation", Ints{1, 2, 0}}}};
  const auto right = [](const Ints& y, const Ints& x) {
    return y[0] == x[1] && y[1] == x[2] && y[2] == x[0] ? 1.0 : 0.0;
  };
  const auto wrong = [](const Ints& y, const Ints& x) {
    return x[0] == y[1] && x[1] == y[2] && x[2] == y[0] ? 1.0 : 0.0;
  };
  CHECK(with_entries(problem, wrong, right).likely() ==
        "the permutation is applied where its inverse belongs");
}

TEST_CASE("a repeated index that is assigned, and a slice that is off by one, are named",
          "[diagnosis]") {  // M45
  constexpr std::int64_t indices[] = {2, 0, 2, 1, 2};
  const Problem gather{
      .op = "gather", .shapes = {{4, 3}, {5}}, .y_shape = {5, 3}, .attributes = {{"axis", 0}}};
  const auto right = [&](const Ints& y, const Ints& x) {
    return indices[y[0]] == x[0] && y[1] == x[1] ? 1.0 : 0.0;
  };
  const auto assigned = [&](const Ints& y, const Ints& x) {
    return indices[y[0]] == 2 && y[0] < 4 ? 0.0 : right(y, x);
  };
  CHECK_THAT(with_entries(gather, assigned, right).likely(),
             StartsWith("overwritten, not added") && EndsWith("only the last's gradient is kept"));

  const Problem slice{.op = "slice", .shapes = {{7}}, .y_shape = {4}, .attributes = {{"begin", Ints{2}}}};
  const auto from = [](std::int64_t begin) {
    return [begin](const Ints& y, const Ints& x) { return x[0] == y[0] + begin ? 1.0 : 0.0; };
  };
  CHECK_THAT(with_entries(slice, from(3), from(2)).likely(), StartsWith("shifted by 1 along axis 0 of x"));
}

TEST_CASE("dropout with a fresh mask, or without its factor, is named", "[diagnosis]") {  // M46
  const Problem problem{.op = "dropout", .shapes = {{11}}, .y_shape = {11}, .attributes = {{"p", 0.25}}};
  const auto masked = [](std::int64_t modulus, double factor) {
    return [=](const Ints& y, const Ints& x) { return y == x && x[0] % modulus != 0 ? factor : 0.0; };
  };
  CHECK(with_entries(problem, masked(5, 4.0 / 3), masked(3, 4.0 / 3)).likely() ==
        "another mask than the forward's");
  CHECK(with_entries(problem, masked(3, 1), masked(3, 4.0 / 3)).likely() == "off by (1 - p) (0.75)");
}

TEST_CASE("zero, NaN, signs, masks and parts of an elementwise gradient are named", "[diagnosis]") {
  const Problem problem{.op = "relu", .shapes = {{2, 6}}, .y_shape = {2, 6}};
  const auto diagonal = [](const std::function<double(const Ints&)>& entry) {
    return [entry](const Ints& y, const Ints& x) { return y == x ? entry(x) : 0.0; };
  };
  const auto right = diagonal([](const Ints& x) { return x[1] % 2 == 0 ? 1.0 : 0.0; });
  const auto likely = [&](const std::function<double(const Ints&)>& found) {
    return with_entries(problem, diagonal(found), right).likely();
  };
  CHECK_THAT(likely([](const Ints&) { return 0.0; }), StartsWith("the gradient of x is 0 everywhere"));
  CHECK_THAT(likely([](const Ints& x) { return x[1] == 4 ? NAN : 1.0; }),
             StartsWith("2 of 144 entries are NaN"));
  CHECK_THAT(likely([](const Ints&) { return 1.0; }),
             StartsWith("the gradient passes where it should be stopped"));  // M26, M27
  const auto all = diagonal([](const Ints& x) { return value_at(x); });
  const auto half_signs = diagonal([](const Ints& x) { return value_at(x) * (x[0] == 0 ? -1 : 1); });
  CHECK(with_entries(problem, half_signs, all).likely() == "the sign of the wrong entries is wrong");
  const auto noisy =
      diagonal([](const Ints& x) { return value_at(x) + (x[0] == 1 ? 0.1 * value_at(x, 0.77) : 0); });
  CHECK(with_entries(problem, noisy, all).likely() == "wrong only where axis 0 of y is 1");
}

TEST_CASE("rolled, reversed and transposed gradients are named", "[diagnosis]") {
  const Problem problem{.op = "tanh", .shapes = {{4, 4}}, .y_shape = {4, 4}};
  const auto right = [](const Ints& y, const Ints& x) { return y == x ? value_at(x) : 0; };
  const auto read_at = [&](const std::function<Ints(const Ints&)>& from) {
    return with_entries(
               problem, [&](const Ints& y, const Ints& x) { return right(y, from(x)); }, right)
        .likely();
  };
  CHECK(read_at([](const Ints& x) { return Ints{(x[0] + 3) % 4, x[1]}; }) == "rolled by 1 along axis 0 of x");
  CHECK(read_at([](const Ints& x) {
          return Ints{x[0], (x[1] + 1) % 4};
        }) == "rolled by -1 along axis 1 of x");
  CHECK(read_at([](const Ints& x) { return Ints{x[0], 3 - x[1]}; }) == "reversed along axis 1 of x");
  CHECK(read_at([](const Ints& x) {
          return Ints{x[1], x[0]};
        }) == "axis 0 of x and axis 1 of x are exchanged: transposed");
}

TEST_CASE("what tells failing samples from passing ones is named", "[diagnosis]") {
  const auto sample = [](Shape x, Attributes attributes, Pattern pattern = Pattern::generic) {
    Sample s;
    s.shapes = {std::move(x)};
    s.attributes = std::move(attributes);
    s.pattern = pattern;
    return s;
  };
  const OpInfo& info = info_of("pool2d");
  const auto between = [&](const std::vector<Sample>& passing, const std::vector<Sample>& failing) {
    std::vector<const Sample*> good, bad;
    for (const Sample& s : passing) good.push_back(&s);
    for (const Sample& s : failing) bad.push_back(&s);
    return distinguishing_attribute(info, good, bad);
  };
  const Shape x{2, 7, 5, 3};
  const Ints unit{1, 1}, larger{2, 3};
  CHECK(between({sample(x, {{"stride", unit}}), sample({1, 7, 5, 3}, {{"stride", unit}})},
                {sample(x, {{"stride", larger}}), sample(x, {{"stride", Ints{3, 2}}})}) ==
        "every sample with stride (1, 1) agrees, and no other");
  CHECK(between({sample(x, {}), sample(x, {{"stride", larger}})},
                {sample(x, {{"padding", "same"}}), sample(x, {{"padding", "same"}, {"stride", larger}})}) ==
        "only samples with padding same disagree, and all of them");
  CHECK(between({sample(x, {}), sample(x, {{"kind", "average"}})}, {sample(x, {}, Pattern::ties)}) ==
        "only samples with ties disagree, and all of them");
  CHECK(between({sample({1, 7, 5, 3}, {}), sample({1, 5, 5, 2}, {})},
                {sample(x, {}), sample({3, 7, 5, 3}, {})}) ==
        "every sample with extent 1 along axis n of x agrees, and no other");
  std::vector<Sample> mostly_unit(4, sample(x, {{"stride", unit}}));
  mostly_unit.push_back(sample(x, {{"stride", larger}}));
  CHECK(between(mostly_unit, std::vector<Sample>(6, sample(x, {{"stride", larger}}))) ==
        "every sample with stride (1, 1) agrees");
  CHECK(between(mostly_unit, {sample(x, {{"stride", larger}})}).empty());  // one failure says little
  CHECK(between({}, {sample(x, {})}).empty());
  CHECK(between({sample(x, {})}, {sample(x, {})}).empty());
}
