// Sums and maxima over axes, and elementwise ops with broadcasting, at sizes at which kernels work in blocks
// and on several threads, against loops that are written again here.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "integer_tensors.hpp"
#include "threads_restored.hpp"
#include "weft/gradient.hpp"
#include "weft/ops.hpp"
#include "weft/random.hpp"

using namespace weft;
using Catch::Matchers::Equals;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

// Of each element of `shape`, in row-major order, its position in a tensor whose extents are 1 where `kept`
// is false.
std::vector<std::size_t> positions(const Shape& shape, const std::vector<bool>& kept) {
  std::vector<std::size_t> result;
  for (std::int64_t linear = 0; linear < shape.elements(); ++linear) {
    std::int64_t rest = linear, position = 0, stride = 1;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const std::int64_t index = rest % shape[axis];
      rest /= shape[axis];
      if (!kept[static_cast<std::size_t>(axis)]) continue;
      position += index * stride;
      stride *= shape[axis];
    }
    result.push_back(static_cast<std::size_t>(position));
  }
  return result;
}

std::vector<bool> all_but(const Ints& axes, int rank) {
  std::vector<bool> kept;
  for (int axis = 0; axis < rank; ++axis) kept.push_back(!axes.contains(axis));
  return kept;
}

struct Reduced {
  Shape shape;
  Ints axes;
};

}  // namespace

TEST_CASE("sums of many elements have every element in them once", "[reduction]") {
  const ThreadsRestored three(3);
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const auto [shape, axes] = GENERATE(values<Reduced>({{{70'001}, {0}},
                                                       {{3, 40'000}, {1}},
                                                       {{2, 70'001, 1}, {1}},
                                                       {{700, 5}, {0}},
                                                       {{66'000, 3}, {0}},
                                                       {{257, 4'099}, {0}},
                                                       {{2, 259, 4'097}, {1}},
                                                       {{5, 300, 7, 11}, {0, 1, 2}},
                                                       {{6, 70, 5, 90}, {1, 3}}}));
  CAPTURE(shape, axes, dtype);
  const Tensor x = integers(shape, dtype, 1);
  const std::vector<std::size_t> to = positions(shape, all_but(axes, shape.rank()));
  const Tensor y = sum(x, {.axes = axes}).value();
  std::vector<double> expected(static_cast<std::size_t>(y.elements()));
  const std::vector<double> from = values_of(x);
  for (std::size_t i = 0; i < from.size(); ++i) expected[to[i]] += from[i];
  CHECK_THAT(values_of(y), Equals(expected));
}

// 2^20, 4,096 and 16 rows, in rounds of blocks of 256, four rows at once: at most 66 + 66 + 6 additions
// behind one another, each with an error of half a unit.
TEST_CASE("a sum of many rows keeps small addends", "[reduction]") {
  const Tensor y = sum(Tensor::full({1 << 20, 2}, 0.1), {.axes = {0}}).value();
  const double exact = static_cast<double>(0.1f) * (1 << 20);
  for (const double value : values_of(y)) CHECK(value == Approx(exact).epsilon(138 * 0x1p-24));
}

TEST_CASE("a sum has the same bits for every number of threads", "[reduction]") {
  const Shape shape = GENERATE(Shape{100'003, 7}, Shape{1'000'003}, Shape{300, 9'001});
  const Tensor x = Random(1, "x").normal(shape, 0, 1);
  const auto summed = [&](int threads) {
    const ThreadsRestored until_then(threads);
    return values_of(sum(x, {.axes = {0}}).value());
  };
  const std::vector<double> alone = summed(1);
  for (const int threads : {2, 7}) CHECK_THAT(summed(threads), Equals(alone));
}

// Ties, the largest at the edges of blocks, and NaN in front of it and behind.
TEST_CASE("the first largest of a long row is found wherever it is", "[reduction]") {
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const std::int64_t count = GENERATE(1, 31, 32, 33, 63, 64, 65, 95, 128, 129, 1000);
  const std::int64_t first =
      GENERATE_COPY(values({std::int64_t{0}, count / 2, count - 1, (count - 1) / 64 * 64}));
  const double largest = GENERATE(7.0, std::numeric_limits<double>::infinity(), not_a_number);
  std::vector<double> row = values_of(integers({count}, DType::f64, 3));
  row[static_cast<std::size_t>(first)] = largest;
  row.back() = largest;
  if (first > 0 && std::isnan(largest)) row[0] = 9;
  CAPTURE(count, first, largest, dtype);
  Graph g;
  const Var x = g.input(Tensor::of<double>({1, count}, row).to(dtype));
  CHECK(argmax(x).item() == static_cast<double>(first));
  const Var y = max(x, {.axes = {1}});
  const double found = y.value().at({0});
  CHECK((std::isnan(largest) ? std::isnan(found) : found == largest));
  std::vector<double> expected(static_cast<std::size_t>(count));
  expected[static_cast<std::size_t>(first)] = 1;
  CHECK_THAT(values_of(gradient(sum(y), x, {.gy = Tensor::full({}, 1, dtype)}).value()), Equals(expected));
}

TEST_CASE("the first largest over axes in front of others is found in every column", "[reduction]") {
  const ThreadsRestored three(3);
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const auto [shape, axes] = GENERATE(values<Reduced>({{{700, 5}, {0}},
                                                       {{257, 1'030}, {0}},
                                                       {{2, 300, 1'025}, {1}},
                                                       {{4, 17, 18, 9}, {1, 2}},
                                                       {{3, 4, 5, 6}, {0, 2}}}));
  CAPTURE(shape, axes, dtype);
  std::vector<double> from = values_of(integers(shape, DType::f64, 6));  // of nine values: ties everywhere
  for (std::size_t i = 0; i < from.size(); i += 1'237) from[i] = not_a_number;
  const std::vector<std::size_t> to = positions(shape, all_but(axes, shape.rank()));
  Graph g;
  const Var x = g.input(Tensor::of<double>(shape, from).to(dtype));
  const Var y = max(x, {.axes = axes});

  constexpr auto none = static_cast<std::size_t>(-1);
  std::vector<std::size_t> winner(static_cast<std::size_t>(y.shape().elements()), none);
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t& best = winner[to[i]];
    if (best == none || (!std::isnan(from[best]) && (std::isnan(from[i]) || from[i] > from[best]))) best = i;
  }
  std::vector<double> expected(from.size());
  std::size_t wrong = 0;
  const std::vector<double> found = values_of(y.value());
  for (std::size_t o = 0; o < winner.size(); ++o) {
    expected[winner[o]] = 1;
    const double largest = from[winner[o]];
    if (std::isnan(largest) ? !std::isnan(found[o]) : found[o] != largest) ++wrong;
  }
  CHECK(wrong == 0);
  const Tensor gx = gradient(y, x, {.gy = Tensor::full(y.shape(), 1, dtype)}).value();
  CHECK_THAT(values_of(gx), Equals(expected));
}

TEST_CASE("large operands that broadcast meet the elements that they are aligned with", "[broadcast]") {
  const ThreadsRestored three(3);
  struct Operands {
    Shape a, b;
    std::vector<bool> a_kept, b_kept;  // axes of the result along which they are not stretched
    Shape y;
  };
  const bool yes = true, no = false;
  const auto c = GENERATE_COPY(values<Operands>({
      {{40, 33, 31, 5}, {5}, {yes, yes, yes, yes}, {no, no, no, yes}, {40, 33, 31, 5}},
      {{40, 1, 1, 17}, {40, 9, 13, 17}, {yes, no, no, yes}, {yes, yes, yes, yes}, {40, 9, 13, 17}},
      {{300, 301}, {300, 1}, {yes, yes}, {yes, no}, {300, 301}},
      {{300, 1}, {301}, {yes, no}, {no, yes}, {300, 301}},
      {{1, 1, 70'001}, {70'001}, {no, no, yes}, {no, no, yes}, {1, 1, 70'001}},
      {{7, 1, 50, 1, 3}, {90, 1, 4, 1}, {yes, no, yes, no, yes}, {no, yes, no, yes, no}, {7, 90, 50, 4, 3}},
  }));
  const DType dtype = GENERATE(DType::f32, DType::f64);
  CAPTURE(c.a, c.b, dtype);
  const Tensor a = integers(c.a, dtype, 4), b = integers(c.b, dtype, 5);
  const std::vector<double> of_a = values_of(a), of_b = values_of(b);
  const auto from_a = positions(c.y, c.a_kept), from_b = positions(c.y, c.b_kept);
  std::vector<double> differences, chosen;
  for (std::size_t i = 0; i < from_a.size(); ++i) {
    const double x = of_a[from_a[i]], y = of_b[from_b[i]];
    differences.push_back(x - y);
    chosen.push_back(i % 3 == 0 ? x : y);
  }
  CHECK_THAT(values_of(subtract(a, b).value()), Equals(differences));

  Tensor condition(c.y, DType::boolean);
  const auto flags = condition.mutable_values<bool>();
  for (std::size_t i = 0; i < flags.size(); ++i) flags[i] = i % 3 == 0;
  CHECK_THAT(values_of(where(condition, a, b).value()), Equals(chosen));
  CHECK_THAT(values_of(broadcast_to(b, c.y).value()), Equals([&] {
               std::vector<double> stretched;
               for (const std::size_t i : from_b) stretched.push_back(of_b[i]);
               return stretched;
             }()));
}
