// NumPy's broadcasting rules, over every pair of shapes of rank 0 to 3 with extents 0 to 3.
#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "weft/weft.hpp"

using namespace weft;

namespace {

std::vector<Shape> all_shapes(int most_axes, std::initializer_list<std::int64_t> extents) {
  std::vector<Shape> shapes{Shape{}};
  std::vector<Ints> longest{Ints{}};
  for (int rank = 1; rank <= most_axes; ++rank) {
    std::vector<Ints> longer;
    for (const Ints& shape : longest) {
      for (const std::int64_t extent : extents) {
        longer.push_back(shape);
        longer.back().push_back(extent);
        shapes.emplace_back(longer.back());
      }
    }
    longest = longer;
  }
  return shapes;
}

// "Broadcasting" in the NumPy manual: the shorter shape gets ones in front, then each pair of extents has to
// be equal or one of them 1, and the other one is the result's.
std::optional<Ints> numpy_broadcast(Ints a, Ints b) {
  const auto padded = [](const Ints& shape, int rank) {
    Ints result = Ints::filled(rank - shape.size(), 1);
    for (const std::int64_t extent : shape) result.push_back(extent);
    return result;
  };
  const int rank = a.size() > b.size() ? a.size() : b.size();
  a = padded(a, rank);
  b = padded(b, rank);
  Ints result;
  for (int axis = 0; axis < rank; ++axis) {
    if (a[axis] != b[axis] && a[axis] != 1 && b[axis] != 1) return std::nullopt;
    result.push_back(a[axis] == 1 ? b[axis] : a[axis]);
  }
  return result;
}

// The element of an array of shape `from` that numpy.broadcast_to(array, to) shows at `index`.
std::int64_t source_of(const Ints& index, const Shape& from, const Shape& to) {
  std::int64_t position = 0;
  for (int axis = 0; axis < from.rank(); ++axis) {
    const std::int64_t i = from[axis] == 1 ? 0 : index[axis + to.rank() - from.rank()];
    position = position * from[axis] + i;
  }
  return position;
}

Tensor counting(const Shape& shape, double first) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.elements(); ++i) values.push_back(first + static_cast<double>(i));
  return Tensor::of(shape, values);
}

}  // namespace

TEST_CASE("any two shapes broadcast as NumPy's do", "[broadcast]") {
  const std::vector<Shape> shapes = all_shapes(3, {0, 1, 2, 3});
  REQUIRE(shapes.size() == 85);
  for (const Shape& a : shapes) {
    for (const Shape& b : shapes) {
      const std::optional<Ints> expected = numpy_broadcast(a.extents(), b.extents());
      CAPTURE(to_string(a), to_string(b));
      REQUIRE(broadcastable(a, b) == expected.has_value());
      if (expected)
        REQUIRE(broadcast(a, b) == Shape(*expected));
      else
        REQUIRE_THROWS_AS(broadcast(a, b), ShapeError);
      REQUIRE(broadcastable_to(a, b) == (expected && Shape(*expected) == b));
    }
  }
}

// Of the 85^2 pairs numpy.broadcast_shapes (1.24.2) accepts 2479; the number is FNV-1a over its results in
// order: rank and extents, or 255 where it raises ValueError.
TEST_CASE("the results for all pairs have the digest of NumPy's", "[broadcast]") {
  std::uint64_t digest = 14695981039346656037u;
  const auto mix = [&](std::int64_t value) {
    digest = (digest ^ static_cast<std::uint64_t>(value)) * 1099511628211u;
  };
  int accepted = 0;
  const std::vector<Shape> shapes = all_shapes(3, {0, 1, 2, 3});
  for (const Shape& a : shapes) {
    for (const Shape& b : shapes) {
      if (!broadcastable(a, b)) {
        mix(255);
        continue;
      }
      const Shape y = broadcast(a, b);
      ++accepted;
      mix(y.rank());
      for (const std::int64_t extent : y) mix(extent);
    }
  }
  CHECK(accepted == 2479);
  CHECK(digest == 1824294867576850445u);
}

TEST_CASE("broadcast strides read the element that NumPy shows", "[broadcast]") {
  const std::vector<Shape> shapes = all_shapes(3, {0, 1, 2, 3});
  for (const Shape& from : shapes) {
    for (const Shape& to : shapes) {
      if (!broadcastable_to(from, to)) continue;
      CAPTURE(to_string(from), to_string(to));
      const Ints strides = broadcast_strides(from, to);
      REQUIRE(strides.size() == to.rank());
      for_each_index(to, [&](const Ints& index) {
        std::int64_t position = 0;
        for (int axis = 0; axis < to.rank(); ++axis) position += index[axis] * strides[axis];
        REQUIRE(position == source_of(index, from, to));
      });
    }
  }
}

TEST_CASE("an op of two operands combines the elements that broadcasting pairs", "[broadcast]") {
  const std::vector<Shape> shapes = all_shapes(3, {0, 1, 2, 3});
  for (const Shape& a : shapes) {
    for (const Shape& b : shapes) {
      if (!broadcastable(a, b)) continue;
      CAPTURE(to_string(a), to_string(b));
      const Tensor y = subtract(counting(a, 1), counting(b, 100)).value();
      REQUIRE(y.shape() == broadcast(a, b));
      for_each_index(y.shape(), [&](const Ints& index) {
        const std::int64_t i = source_of(index, a, y.shape()), j = source_of(index, b, y.shape());
        REQUIRE(y.at(index) == static_cast<double>(1 + i) - static_cast<double>(100 + j));
      });
    }
  }
}

TEST_CASE("where combines three operands that all broadcast", "[broadcast]") {
  const std::vector<Shape> shapes = all_shapes(2, {1, 2, 3});
  for (const Shape& c : shapes) {
    Tensor condition(c, DType::boolean);
    for (std::size_t i = 0; bool& value : condition.mutable_values<bool>()) value = i++ % 3 != 1;
    for (const Shape& a : shapes) {
      for (const Shape& b : shapes) {
        if (!broadcastable(a, b) || !broadcastable(c, broadcast(a, b))) continue;
        CAPTURE(to_string(c), to_string(a), to_string(b));
        const Tensor y = where(condition, counting(a, 1), counting(b, 100)).value();
        REQUIRE(y.shape() == broadcast(c, broadcast(a, b)));
        for_each_index(y.shape(), [&](const Ints& index) {
          const std::int64_t i = source_of(index, a, y.shape()), j = source_of(index, b, y.shape());
          const bool chosen = source_of(index, c, y.shape()) % 3 != 1;
          REQUIRE(y.at(index) == static_cast<double>(chosen ? 1 + i : 100 + j));
        });
      }
    }
  }
}

TEST_CASE("shapes that do not broadcast are an error that shows both", "[broadcast]") {
  CHECK_THROWS_WITH(broadcast({2, 3}, {4, 3}),
                    "shapes [2, 3] and [4, 3] do not broadcast: extents must agree or be 1, from the last "
                    "axis on");
  CHECK_THROWS_AS(broadcast({2}, {0}), ShapeError);
}
