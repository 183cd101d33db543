// transpose(x, permutation): y's axis i is x's axis permutation[i]; none given reverses the axes.
//   y_(i_p(0), i_p(1), ..) = x_(i_0, i_1, ..)
//   gx = transpose(gy, the inverse of the permutation)
// A copy. Any element type.
#include <fmt/format.h>

#include "kernels/strided.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& transpose_info();

namespace {

struct Transpose final : Op {
  Ints permutation;  // every axis, counted from the front
  explicit Transpose(const Ints& permutation) : permutation(permutation) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    Ints inverse = permutation;
    for (int i = 0; i < permutation.size(); ++i) inverse[static_cast<int>(permutation[i])] = i;
    gx.set(0, transpose(gy, inverse));
  }
  const OpInfo& info() const override { return transpose_info(); }
  Attributes attributes() const override { return {{"permutation", permutation}}; }
};

Ints resolve(const Var& x, const Ints& given, SourceLocation at) {
  const int rank = x.rank();
  Ints permutation;
  for (int i = 0; i < (given.empty() ? rank : given.size()); ++i) {
    const std::int64_t axis = given.empty() ? rank - 1 - i : given[i] < 0 ? given[i] + rank : given[i];
    if (axis < 0 || axis >= rank || permutation.contains(axis)) break;
    permutation.push_back(axis);
  }
  if (permutation.size() != rank || (!given.empty() && given.size() != rank)) {
    fail<ShapeError>("transpose", fmt::format("{} is no permutation of {} axes", to_string(given), rank),
                     {{"x", x}}, at);
  }
  return permutation;
}

}  // namespace

Var transpose(const Var& x, const Ints& permutation, SourceLocation at) {
  const Transpose op(resolve(x, permutation, at));
  const Ints strides = x.shape().strides();
  Ints extents, moved;
  for (const std::int64_t axis : op.permutation) {
    extents.push_back(x.extent(static_cast<int>(axis)));
    moved.push_back(strides[static_cast<int>(axis)]);
  }
  return record(op, read_strided(x.value(), {Shape(extents), moved}), {x}, {}, at);
}

const OpInfo& transpose_info() {
  static const OpInfo info{
      .name = "transpose",
      .group = OpGroup::shape,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"permutation"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            const AttributeValue* permutation = a.find("permutation");
            return transpose(x[0], permutation ? permutation->as<Ints>() : Ints{});
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const int rank = x[0].shape().rank();
            const AttributeValue* given = a.find("permutation");
            Ints permutation = given ? given->as<Ints>() : Ints{};
            for (int i = 0; i < rank && !given; ++i) permutation.push_back(rank - 1 - i);
            const auto axis = [&](int i) { return static_cast<int>((permutation[i] + rank) % rank); };
            Ints extents;
            for (int i = 0; i < rank; ++i) extents.push_back(x[0].extent(axis(i)));
            Array<T> y{Shape(extents)};
            for_each_index(y.shape(), [&](const Ints& to) {
              Ints from = to;
              for (int i = 0; i < rank; ++i) from[axis(i)] = to[i];
              y.at(to) = x[0].at(from);
            });
            return y;
          },
      .samples =
          samples()
              .shapes({{2, 3, 5}})
              .shapes({{2, 3, 5}})
              .grid({{"permutation", {{1, 2, 0}, {2, 0, 1}, {0, 2, 1}, {1, 0, 2}, {0, 1, 2}, {-1, 0, -2}}}})
              .shapes({{3, 3, 3}})
              .grid({{"permutation", {{1, 2, 0}, {2, 0, 1}}}})
              .shapes({{2, 3, 5, 7}})
              .grid({{"permutation", {{0, 3, 1, 2}, {0, 2, 3, 1}, {3, 1, 0, 2}}}})
              .shapes({{17, 33}})
              .shapes({{1, 7}})
              .shapes({{5}})
              .shapes({{}})
              .shapes({{0, 3}})
              .shapes({{3, 5}})
              .pattern(Pattern::special)
              .shapes({{2, 3, 5}})
              .with({{"permutation", {0, 2, 2}}})
              .throws("(0, 2, 2) is no permutation of 3 axes")
              .shapes({{2, 3, 5}})
              .with({{"permutation", {1, 0}}})
              .throws("(1, 0) is no permutation of 3 axes")
              .shapes({{2, 3}})
              .with({{"permutation", {0, 2}}})
              .throws("(0, 2) is no permutation of 2 axes"),
      .invariants = {Invariant::sum_is_kept},
  };
  return info;
}

}  // namespace weft
