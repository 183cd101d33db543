// Ops that move, select and reduce elements, against arrays that NumPy 1.24 printed: x is numpy.arange where
// it counts from 0 or 1, and each test names the call.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "threads_restored.hpp"
#include "weft/weft.hpp"

using namespace weft;

namespace {

using Numbers = std::vector<double>;

Tensor counting(const Shape& shape, double first = 0, DType dtype = DType::f64) {
  Numbers numbers;
  for (std::int64_t i = 0; i < shape.elements(); ++i) numbers.push_back(first + static_cast<double>(i));
  return Tensor::of(shape, numbers).to(dtype);
}

Numbers numbers(const Var& x) {
  const Tensor values = x.value().to(DType::f64);
  return {values.values<double>().begin(), values.values<double>().end()};
}

Tensor indices(const Shape& shape, std::initializer_list<std::int64_t> values) {
  return Tensor::of(shape, values);
}

constexpr double quiet_nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

// ---- pad --------------------------------------------------------------------------------------------------

// RandomState(1).randn(4, 3, 3, 2) padded by 2 in height and width; the values of x[1, 1] are the article's.
TEST_CASE("pad is the seed article's zero_pad", "[shape][seed]") {
  const Tensor x = NumpyRandom(1).randn({4, 3, 3, 2});
  const Var y = pad(x, {.before = {0, 2, 2}, .after = {0, 2, 2}});
  REQUIRE(y.shape() == Shape{4, 7, 7, 2});
  CHECK(numbers(slice(x, {.begin = {1, 1}, .size = {1, 1}})) ==
        Numbers{0.9008559492644118, -0.6837278591743331, -0.12289022551864817, -0.9357694342590688,
                -0.2678880796260159, 0.530355466738186});
  CHECK(numbers(slice(y, {.begin = {1, 1}, .size = {1, 1}})) == Numbers(14, 0.0));
  CHECK(numbers(slice(y, {.begin = {1, 3}, .size = {1, 1}})) ==
        Numbers{0, 0, 0, 0, 0.9008559492644118, -0.6837278591743331, -0.12289022551864817,
                -0.9357694342590688, -0.2678880796260159, 0.530355466738186, 0, 0, 0, 0});
  CHECK(numbers(slice(y, {.begin = {0, 2, 2}, .size = {-1, 3, 3}})) == numbers(x));
}

// numpy.pad(numpy.arange(1, 13).reshape(3, 4), ..., mode="constant", "reflect" and "edge")
TEST_CASE("pad fills by its modes as numpy.pad does", "[shape]") {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
    const Var x = counting({3, 4}, 1, dtype);
    CHECK(numbers(pad(x, {.before = {0, 2}, .after = {1}, .value = 9})) ==
          Numbers{9, 9, 1, 2, 3, 4, 9, 9, 5, 6, 7, 8, 9, 9, 9, 10, 11, 12, 9, 9, 9, 9, 9, 9});
    CHECK(numbers(pad(x, {.before = {2, 1}, .after = {1, 3}, .mode = PadMode::reflect})) ==
          Numbers{10, 9, 10, 11, 12, 11, 10, 9, 6,  5, 6,  7,  8,  7,  6,  5, 2, 1, 2, 3, 4, 3, 2, 1,
                  6,  5, 6,  7,  8,  7,  6,  5, 10, 9, 10, 11, 12, 11, 10, 9, 6, 5, 6, 7, 8, 7, 6, 5});
    CHECK(numbers(pad(x, {.before = {2, 1}, .after = {1, 3}, .mode = PadMode::replicate})) ==
          Numbers{1, 1, 2, 3, 4, 4, 4, 4, 1, 1, 2,  3,  4,  4,  4,  4,  1, 1, 2,  3,  4,  4,  4,  4,
                  5, 5, 6, 7, 8, 8, 8, 8, 9, 9, 10, 11, 12, 12, 12, 12, 9, 9, 10, 11, 12, 12, 12, 12});
    CHECK(pad(x, {}).dtype() == dtype);
  }
}

TEST_CASE("large tensors are padded, cropped, sliced and put back element by element", "[shape]") {
  const ThreadsRestored three(3);
  struct Padding {
    Shape x;
    Ints before, after;
  };
  const auto p = GENERATE(values<Padding>({{{300, 301}, {1, 2}, {3, 0}},
                                           {{9, 40, 41, 3}, {0, 1, 2}, {0, 1, 1}},
                                           {{5, 1, 70, 64}, {2, 3, 0, 0}, {0, 1, 0, 5}},
                                           {{70'000}, {3}, {1}},
                                           {{40'000, 2}, {0, 1}, {}},
                                           {{2, 3, 4}, {50, 60, 70}, {}}}));
  const DType dtype = GENERATE(DType::f32, DType::u8);
  const int rank = p.x.rank();
  const auto entry = [](const Ints& of, int axis) { return axis < of.size() ? of[axis] : 0; };
  Ints extents = p.x.extents(), begin;
  for (int axis = 0; axis < rank; ++axis) {
    extents[axis] += entry(p.before, axis) + entry(p.after, axis);
    begin.push_back(entry(p.before, axis));
  }
  const Shape padded(extents);
  CAPTURE(p.x, padded, dtype);
  Tensor x(p.x, dtype);
  visit_dtype(dtype, [&]<class T>() {
    for (std::size_t i = 0; T & value : x.mutable_values<T>()) value = static_cast<T>(i++ % 199);
  });
  const auto expected = [&](double outside) {
    Numbers y;
    for (std::int64_t i = 0; i < padded.elements(); ++i) {
      std::int64_t rest = i, from = 0, step = 1;
      for (int axis = rank - 1; axis >= 0; rest /= extents[axis--]) {
        const std::int64_t index = rest % extents[axis] - begin[axis];
        if (index < 0 || index >= p.x[axis]) from = -1;
        if (from >= 0) from += index * step;
        step *= p.x[axis];
      }
      y.push_back(from < 0 ? outside : static_cast<double>(from % 199));
    }
    return y;
  };
  const Var y = pad(x, {.before = p.before, .after = p.after, .value = 200});
  CHECK(numbers(y) == expected(200));
  const SliceOptions middle{.begin = begin, .size = p.x.extents()};
  CHECK(numbers(slice(y, middle)) == numbers(x));
  CHECK(numbers(unslice(x, padded, middle)) == expected(0));
}

// numpy.pad(numpy.arange(1, 19).reshape(2, 3, 3), ((1, 0), (2, 1), (0, 2)), mode="reflect")
TEST_CASE("pad reflects corners of three axes", "[shape]") {
  const Var y =
      pad(counting({2, 3, 3}, 1), {.before = {1, 2, 0}, .after = {0, 1, 2}, .mode = PadMode::reflect});
  CHECK(numbers(y) == Numbers{16, 17, 18, 17, 16, 13, 14, 15, 14, 13, 10, 11, 12, 11, 10, 13, 14, 15,
                              14, 13, 16, 17, 18, 17, 16, 13, 14, 15, 14, 13, 7,  8,  9,  8,  7,  4,
                              5,  6,  5,  4,  1,  2,  3,  2,  1,  4,  5,  6,  5,  4,  7,  8,  9,  8,
                              7,  4,  5,  6,  5,  4,  16, 17, 18, 17, 16, 13, 14, 15, 14, 13, 10, 11,
                              12, 11, 10, 13, 14, 15, 14, 13, 16, 17, 18, 17, 16, 13, 14, 15, 14, 13});
}

// The entry for element e of the input is (numpy.pad(unit vector e, ((2, 1), (1, 3)), mode) * gy).sum(), gy
// counting from 1.
TEST_CASE("unpad adds up every place that pad filled from an element", "[shape]") {
  const Var gy = counting({6, 8}, 1);
  const auto folded = [&](PadMode mode) {
    return numbers(unpad(gy, {3, 4}, {.before = {2, 1}, .after = {1, 3}, .mode = mode}));
  };
  CHECK(folded(PadMode::constant) == Numbers{18, 19, 20, 21, 26, 27, 28, 29, 34, 35, 36, 37});
  CHECK(folded(PadMode::reflect) == Numbers{42, 59, 42, 21, 174, 249, 174, 87, 84, 118, 84, 42});
  CHECK(folded(PadMode::replicate) == Numbers{57, 33, 36, 174, 51, 27, 28, 122, 150, 78, 80, 340});
}

TEST_CASE("pad refuses what it cannot fill, and says what was found", "[shape]") {
  const Var x = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH(
      pad(x, {.after = {0, 3}, .mode = PadMode::reflect}, {"net/model.cpp", 21}),
      "pad: axis 1 has 3 elements but reflect needs more than its padding of 3 (x: f32[2, 3]), at "
      "model.cpp:21");
  CHECK_THROWS_WITH(pad(x, {.before = {-1}}), Catch::Contains("before is -1 along axis 0"));
  CHECK_THROWS_AS(pad(x, {.before = {std::numeric_limits<std::int64_t>::max()}}), ShapeError);
  CHECK_THROWS_AS(pad(Tensor::zeros({0}), {.before = {1}, .mode = PadMode::replicate}), ShapeError);
  const Var image = Tensor::zeros({2, 3}, DType::u8);
  CHECK(numbers(pad(image, {.after = {0, 1}, .value = 255})) == Numbers{0, 0, 0, 255, 0, 0, 0, 255});
  for (const double value : {256.0, -1.0, 0.5, quiet_nan})
    CHECK_THROWS_AS(pad(image, {.value = value}), DTypeError);
  CHECK_THROWS_WITH(pad(image, {.value = 256}), Catch::Contains("pad: value 256 is no u8 (x: u8[2, 3])"));
}

// ---- broadcast_to, flatten, transpose ---------------------------------------------------------------------

// numpy.broadcast_to([[1], [2], [3]], (2, 3, 2))
TEST_CASE("broadcast_to repeats along axes that are missing or 1", "[shape]") {
  CHECK(numbers(broadcast_to(counting({3, 1}, 1), {2, 3, 2})) == Numbers{1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3});
  const Tensor flags = Tensor::of<bool>({2}, {true, false});
  CHECK(numbers(broadcast_to(flags, {3, 2})) == Numbers{1, 0, 1, 0, 1, 0});
  CHECK_THROWS_WITH(
      broadcast_to(Tensor::zeros({2, 3}), {3}, {"model.cpp", 4}),
      "broadcast_to: x does not broadcast to [3]: extents must agree or be 1, from the last axis on (x: "
      "f32[2, 3]), at model.cpp:4");
}

TEST_CASE("flatten is a view that records its own name", "[shape]") {
  Graph g;
  const Var x = g.input(counting({2, 3, 5}));
  const Var y = flatten(x);
  CHECK(y.shape() == Shape{2, 15});
  CHECK(y.value().shares_storage(x.value()));
  CHECK(g.op(y.id())->info().name == "flatten");
  CHECK(flatten(x, 0).shape() == Shape{30});
  CHECK(flatten(x, -1).shape() == Shape{2, 3, 5});
  CHECK(flatten(x, 3).shape() == Shape{2, 3, 5, 1});
  CHECK(flatten(counting({4})).shape() == Shape{4, 1});
  CHECK_THROWS_WITH(flatten(counting({})),
                    Catch::Contains("flatten: first_axis 1 is outside [0, 0] (x: f64[])"));
}

// numpy.arange(24).reshape(2, 3, 4).transpose(...)
TEST_CASE("transpose permutes axes as numpy.transpose does", "[shape]") {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
    const Var x = counting({2, 3, 4}, 0, dtype);
    CHECK(transpose(x, {1, 2, 0}).shape() == Shape{3, 4, 2});
    CHECK(numbers(transpose(x, {1, 2, 0})) ==
          Numbers{0, 12, 1, 13, 2, 14, 3, 15, 4, 16, 5, 17, 6, 18, 7, 19, 8, 20, 9, 21, 10, 22, 11, 23});
    CHECK(numbers(transpose(x, {2, 0, 1})) ==
          Numbers{0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23});
    CHECK(numbers(transpose(x)) ==
          Numbers{0, 12, 4, 16, 8, 20, 1, 13, 5, 17, 9, 21, 2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23});
    CHECK(numbers(transpose(x, {0, -1, 1})) ==
          Numbers{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 12, 16, 20, 13, 17, 21, 14, 18, 22, 15, 19, 23});
  }
}

// numpy.arange(72).reshape(2, 3, 2, 1, 2, 3).transpose(5, 2, 0, 4, 3, 1)
TEST_CASE("transpose permutes six axes", "[shape]") {
  const Var y = transpose(counting({2, 3, 2, 1, 2, 3}), {5, 2, 0, 4, 3, 1});
  REQUIRE(y.shape() == Shape{3, 2, 2, 2, 1, 3});
  CHECK(numbers(y) == Numbers{0,  12, 24, 3,  15, 27, 36, 48, 60, 39, 51, 63, 6,  18, 30, 9,  21, 33,
                              42, 54, 66, 45, 57, 69, 1,  13, 25, 4,  16, 28, 37, 49, 61, 40, 52, 64,
                              7,  19, 31, 10, 22, 34, 43, 55, 67, 46, 58, 70, 2,  14, 26, 5,  17, 29,
                              38, 50, 62, 41, 53, 65, 8,  20, 32, 11, 23, 35, 44, 56, 68, 47, 59, 71});
}

// y[i, j, k] is x at the position that the permutation says, computed from x's strides; large enough for two
// threads, and no multiple of the blocks that the copy works in.
TEST_CASE("transposes of large tensors reach every element", "[shape]") {
  const Shape shape{19, 67, 131};
  const Tensor x = counting(shape, 0, DType::f32);
  const std::int64_t strides[] = {67 * 131, 131, 1};
  for (const Ints& p : {Ints{0, 2, 1}, Ints{2, 0, 1}, Ints{1, 2, 0}, Ints{2, 1, 0}, Ints{1, 0, 2}}) {
    const Tensor y = transpose(x, p).value();
    const auto values = y.values<float>();
    std::size_t wrong = 0, position = 0;
    for (std::int64_t i = 0; i < y.extent(0); ++i) {
      for (std::int64_t j = 0; j < y.extent(1); ++j) {
        for (std::int64_t k = 0; k < y.extent(2); ++k) {
          const std::int64_t from = i * strides[p[0]] + j * strides[p[1]] + k * strides[p[2]];
          if (values[position++] != static_cast<float>(from)) ++wrong;
        }
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("transpose refuses what is no permutation", "[shape]") {
  const Var x = Tensor::zeros({2, 3, 5});
  CHECK_THROWS_WITH(transpose(x, {0, 2, 2}, {"model.cpp", 9}),
                    "transpose: (0, 2, 2) is no permutation of 3 axes (x: f32[2, 3, 5]), at model.cpp:9");
  CHECK_THROWS_AS(transpose(x, {0, 1}), ShapeError);
  CHECK_THROWS_AS(transpose(x, {0, 1, 2, 3}), ShapeError);
  CHECK_THROWS_AS(transpose(x, {0, 1, -4}), ShapeError);
}

// ---- slice, concat ----------------------------------------------------------------------------------------

// x = numpy.arange(60).reshape(3, 4, 5); x[1:, 0:4:2, -3:] and x[0:3:2, 1:3, 0:5:3]
TEST_CASE("slice reads what NumPy's slices read", "[shape]") {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
    const Var x = counting({3, 4, 5}, 0, dtype);
    CHECK(numbers(slice(x, {.begin = {1, 0, -3}, .step = {1, 2}})) ==
          Numbers{22, 23, 24, 32, 33, 34, 42, 43, 44, 52, 53, 54});
    CHECK(numbers(slice(x, {.begin = {0, 1}, .size = {2, 2, 2}, .step = {2, 1, 3}})) ==
          Numbers{5, 8, 10, 13, 45, 48, 50, 53});
  }
}

TEST_CASE("a slice of nothing is empty, also at the very end", "[shape]") {
  const Var x = counting({3, 4});
  CHECK(slice(x, {.begin = {3}}).shape() == Shape{0, 4});
  CHECK(slice(x, {.size = {2, 0}}).shape() == Shape{2, 0});
  CHECK(numbers(unslice(slice(x, {.begin = {3}}), {2, 4}, {.begin = {2}})) == Numbers(8, 0.0));
}

// zeros = numpy.zeros((3, 5)); zeros[1:, 0:5:2] = [[1, 2, 3], [4, 5, 6]]
TEST_CASE("unslice puts zeros around what slice would read", "[shape]") {
  const Var y = unslice(counting({2, 3}, 1), {3, 5}, {.begin = {1}, .step = {1, 2}});
  CHECK(numbers(y) == Numbers{0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 4, 0, 5, 0, 6});
}

TEST_CASE("slice names the axis that it would leave", "[shape]") {
  const Var x = Tensor::zeros({3, 5});
  CHECK_THROWS_WITH(
      slice(x, {.begin = {0, 2}, .size = {3, 4}}, {"model.cpp", 12}),
      "slice: begin 2, size 4 and step 1 reach outside axis 1, which has 5 elements (x: f32[3, 5]), at "
      "model.cpp:12");
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  CHECK_THROWS_AS(slice(x, {.size = {huge}, .step = {huge}}), ShapeError);
  CHECK_THROWS_AS(slice(x, {.begin = {std::numeric_limits<std::int64_t>::min()}}), ShapeError);
  CHECK(slice(x, {.step = {huge}}).shape() == Shape{1, 5});
}

// numpy.concatenate([arange(4).reshape(2, 2), 10 + arange(6).reshape(2, 3), 20 + arange(2).reshape(2, 1)],
// axis=1)
TEST_CASE("concat puts parts behind one another as numpy.concatenate does", "[shape]") {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
    const Var a = counting({2, 2}, 0, dtype), b = counting({2, 3}, 10, dtype),
              c = counting({2, 1}, 20, dtype);
    CHECK(numbers(concat({a, b, c}, -1)) == Numbers{0, 1, 10, 11, 12, 20, 2, 3, 13, 14, 15, 21});
    CHECK(numbers(concat({a, a}, 0)) == Numbers{0, 1, 2, 3, 0, 1, 2, 3});
  }
}

TEST_CASE("each part of concat gets its part of the gradient, a part given twice both", "[shape]") {
  Graph g;
  const Var a = g.input(counting({2, 1})), b = g.input(counting({2, 2}));
  const Var y = concat({a, b, a}, 1);
  const std::vector<Var> gx = gradient(y, {a, b}, {.gy = counting({2, 4}, 1)});
  CHECK(numbers(gx[0]) == Numbers{1 + 4, 5 + 8});
  CHECK(numbers(gx[1]) == Numbers{2, 3, 6, 7});
}

TEST_CASE("concat takes more parts than a rule's bit set has bits", "[shape]") {
  Graph g;
  std::vector<Var> parts;
  Numbers expected;
  for (int i = 0; i < 100; ++i) {
    parts.push_back(g.input(Tensor::scalar(i, DType::f64).reshape({1})));
    expected.push_back(i);
  }
  const Var y = concat(parts, 0);
  CHECK(numbers(y) == expected);
  CHECK(numbers(gradient(y, parts[77], {.gy = counting({100})})) == Numbers{77});
}

TEST_CASE("concat names the part that does not fit", "[shape]") {
  const Var a = Tensor::zeros({2, 3}), b = Tensor::zeros({3, 3});
  CHECK_THROWS_WITH(
      concat({a, a, b}, 1, {"model.cpp", 5}),
      "concat: part 0 and part 2 need the same extents except along axis 1 (part 0: f32[2, 3], part 2: "
      "f32[3, 3]), at model.cpp:5");
  CHECK_THROWS_AS(concat({a, a.value().to(DType::f64)}, 0), DTypeError);
  CHECK_THROWS_WITH(concat(std::vector<Var>{}, 0), Catch::Contains("concat: no parts were given"));
}

// ---- gather, scatter_add, one_hot -------------------------------------------------------------------------

// numpy.take(arange(12).reshape(4, 3), [[3, 0], [1, 3]], axis=0), numpy.take(arange(24).reshape(2, 4, 3), [2,
// 0, 2], axis=1)
TEST_CASE("gather reads slices as numpy.take does", "[shape]") {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
    const Var y = gather(counting({4, 3}, 0, dtype), indices({2, 2}, {3, 0, 1, 3}));
    CHECK(y.shape() == Shape{2, 2, 3});
    CHECK(numbers(y) == Numbers{9, 10, 11, 0, 1, 2, 3, 4, 5, 9, 10, 11});
    const Var z = gather(counting({2, 4, 3}, 0, dtype), indices({3}, {2, 0, 2}).to(DType::u8), -2);
    CHECK(numbers(z) == Numbers{6, 7, 8, 0, 1, 2, 6, 7, 8, 18, 19, 20, 12, 13, 14, 18, 19, 20});
  }
  CHECK(numbers(gather(counting({4, 3}), indices({}, {2}))) == Numbers{6, 7, 8});
}

// numpy.add.at(zeros((4, 3)), [[3, 0], [1, 3]], arange(1, 13).reshape(2, 2, 3)); the second likewise in each
// of two rows
TEST_CASE("scatter_add adds what meets in one place, as numpy.add.at does", "[shape]") {
  const Var y = scatter_add(counting({2, 2, 3}, 1), indices({2, 2}, {3, 0, 1, 3}), 4);
  CHECK(y.shape() == Shape{4, 3});
  CHECK(numbers(y) == Numbers{4, 5, 6, 7, 8, 9, 0, 0, 0, 11, 13, 15});
  const Var z = scatter_add(counting({2, 3, 3}, 1), indices({3}, {2, 0, 2}), 4, 1);
  CHECK(numbers(z) ==
        Numbers{4, 5, 6, 0, 0, 0, 8, 10, 12, 0, 0, 0, 13, 14, 15, 0, 0, 0, 26, 28, 30, 0, 0, 0});
}

// numpy.eye(4)[[[2, 0], [3, 2]]]
TEST_CASE("one_hot writes rows of the unit matrix", "[shape]") {
  const Var y = one_hot(indices({2, 2}, {2, 0, 3, 2}).to(DType::u8), 4);
  CHECK(y.dtype() == DType::f32);
  CHECK(y.shape() == Shape{2, 2, 4});
  CHECK(numbers(y) == Numbers{0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0});
  CHECK(one_hot(indices({1}, {1}), 2, DType::f64).dtype() == DType::f64);
  CHECK_THROWS_AS(one_hot(indices({1}, {1}), 2, DType::i32), DTypeError);
}

TEST_CASE("an index out of range is an error with value, position and bound", "[shape]") {
  const Var x = Tensor::zeros({5, 3});
  CHECK_THROWS_WITH(gather(x, indices({2, 2}, {0, 1, 5, 7}), 0, {"model.cpp", 30}),
                    "gather: index 5 at (1, 0) is outside [0, 5) (index: i64[2, 2]), at model.cpp:30");
  CHECK_THROWS_WITH(gather(x, indices({1}, {-1})), Catch::Contains("index -1 at (0) is outside [0, 5)"));
  CHECK_THROWS_WITH(scatter_add(x, indices({5}, {0, 1, 2, 3, 4}), 4),
                    Catch::Contains("scatter_add: index 4 at (4) is outside [0, 4)"));
  CHECK_THROWS_WITH(one_hot(indices({3}, {0, 1, 6}), 6),
                    Catch::Contains("one_hot: labels 6 at (2) is outside [0, 6)"));
  CHECK_THROWS_AS(gather(x, Tensor::zeros({2})), DTypeError);
  CHECK_THROWS_AS(gather(x, Tensor::zeros({2}, DType::boolean)), DTypeError);
}

// ---- mean, max, argmax ------------------------------------------------------------------------------------

// numpy.arange(24).reshape(2, 3, 4).mean(axis=(0, 2))
TEST_CASE("mean divides by the number of elements that it reduced", "[shape]") {
  CHECK(numbers(mean(counting({2, 3, 4}), {.axes = {0, 2}})) == Numbers{7.5, 11.5, 15.5});
  CHECK(mean(counting({2, 3, 4}), {.axes = {0, 2}, .keep_axes = true}).shape() == Shape{1, 3, 1});
  CHECK(mean(counting({2, 3, 4})).item() == 11.5);
  CHECK(std::isnan(mean(Tensor::zeros({0})).item()));
  CHECK(mean(Tensor::zeros({0, 3}), {.axes = {1}}).shape() == Shape{0});
}

// numpy.argmax of [[3, 1, 3, 2], [5, 5, 4, 5], [-1, -1, -2, -1]]
TEST_CASE("argmax gives the first of equal largest elements", "[shape]") {
  const Var x = Tensor::of<double>({3, 4}, {3, 1, 3, 2, 5, 5, 4, 5, -1, -1, -2, -1});
  CHECK(argmax(x).dtype() == DType::i64);
  CHECK(numbers(argmax(x)) == Numbers{0, 0, 0});
  CHECK(numbers(argmax(x, 0)) == Numbers{1, 1, 1, 1});
  CHECK(numbers(max(x, {.axes = {0}})) == Numbers{5, 5, 4, 5});
  CHECK(argmax(Tensor::zeros({3, 1, 0, 4}), 1).shape() == Shape{3, 0, 4});
}

// numpy.argmax of [[1, nan, 7, nan], [inf, 2, 3, inf], [-inf, -inf, -inf, -inf]]
TEST_CASE("NaN is the largest, the first one wins", "[shape]") {
  const Var x = Tensor::of<double>({3, 4}, {1, quiet_nan, 7, quiet_nan, infinity, 2, 3, infinity, -infinity,
                                            -infinity, -infinity, -infinity});
  CHECK(numbers(argmax(x)) == Numbers{1, 0, 0});
  CHECK(numbers(argmax(x, 0)) == Numbers{1, 0, 0, 0});
  const Numbers largest = numbers(max(x, {.axes = {1}}));
  CHECK(std::isnan(largest[0]));
  CHECK(largest[1] == infinity);
  CHECK(largest[2] == -infinity);
  CHECK(std::isnan(max(x).item()));
  const Numbers of_columns = numbers(max(x, {.axes = {0}}));
  CHECK(of_columns[0] == infinity);
  CHECK(std::isnan(of_columns[1]));
  CHECK(of_columns[2] == 7);
  CHECK(std::isnan(of_columns[3]));
}

TEST_CASE("the gradient of a tied maximum goes to the first in row-major order", "[shape]") {
  Graph g;
  const Var x = g.input(Tensor::of<double>({2, 2, 3}, {1, 4, 4, 2, 2, 2, 4, 1, 4, 2, 3, 0}));
  CHECK(numbers(gradient(max(x), x)) == Numbers{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(numbers(gradient(max(x, {.axes = {0, 2}}), x, {.gy = counting({2}, 5)})) ==
        Numbers{0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0});
  CHECK(numbers(gradient(max(x, {.axes = {1}}), x, {.gy = counting({2, 3}, 1)})) ==
        Numbers{0, 2, 3, 1, 0, 0, 4, 0, 6, 0, 5, 0});
}

TEST_CASE("the largest of nothing is an error", "[shape]") {
  CHECK_THROWS_WITH(max(Tensor::zeros({0, 3}), {.axes = {0}}, {"model.cpp", 3}),
                    "max: no elements along axes (0) to take the largest of (x: f32[0, 3]), at model.cpp:3");
  CHECK(max(Tensor::zeros({0, 3}), {.axes = {1}}).shape() == Shape{0});
  CHECK_THROWS_WITH(argmax(Tensor::zeros({3, 0})), Catch::Contains("argmax: no elements along axis 1"));
}
