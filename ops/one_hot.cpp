// one_hot(labels, classes): a last axis of `classes` elements, 1 at the label and 0 elsewhere. No gradient.
//   y_(i, c) = 1 where labels_i = c, else 0
#include <fmt/format.h>

#include "kernels/indexed.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& one_hot_info();

namespace {

struct OneHot final : Op {
  std::int64_t classes;
  DType dtype;
  OneHot(std::int64_t classes, DType dtype) : classes(classes), dtype(dtype) {}

  void backward(const Var&, const Var&, Gradients&) const override {}
  const OpInfo& info() const override { return one_hot_info(); }
  Attributes attributes() const override {
    return {{"classes", classes}, {"dtype", std::string(name(dtype))}};
  }
};

}  // namespace

Var one_hot(const Var& labels, std::int64_t classes, DType dtype, SourceLocation at) {
  const auto refuse = [&](const std::string& problem) {
    fail<ShapeError>("one_hot", problem, {{"labels", labels}}, at);
  };
  if (!is_floating(dtype)) {
    fail<DTypeError>("one_hot", fmt::format("dtype must be f32 or f64, found {}", name(dtype)),
                     {{"labels", labels}}, at);
  }
  if (classes < 0) refuse(fmt::format("classes is {}: it must be at least 0", classes));
  if (labels.rank() == Shape::max_rank)
    refuse(fmt::format("no axis is left for a tensor of rank {}", labels.rank() + 1));
  require_indices("one_hot", {"labels", labels}, classes, at);
  Ints extents = labels.shape().extents();
  extents.push_back(classes);
  Tensor y = Tensor::zeros(Shape(extents), dtype);
  const Tensor positions = labels.value().to(DType::i64);
  visit_floating(dtype, [&]<class T>() {
    T* row = y.mutable_values<T>().data();
    for (const std::int64_t label : positions.values<std::int64_t>()) {
      row[label] = 1;
      row += classes;
    }
  });
  return record(OneHot(classes, dtype), y, {labels}, {}, at);
}

const OpInfo& one_hot_info() {
  static const OpInfo info{
      .name = "one_hot",
      .group = OpGroup::selection,
      .arguments = {{.name = "labels", .role = Role::index, .domain = {.low = 0, .high = 3}}},
      .attributes = {{"classes"}, {"dtype"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            const AttributeValue* dtype = a.find("dtype");
            const bool is_double = dtype && dtype->as<std::string>() == name(DType::f64);
            return one_hot(x[0], a.find("classes")->as<std::int64_t>(), is_double ? DType::f64 : DType::f32);
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Array<std::int64_t>& labels = x.integers(0);
            const std::int64_t classes = a.find("classes")->as<std::int64_t>();
            Ints extents = labels.shape().extents();
            extents.push_back(classes);
            Array<T> y{Shape(extents)};
            for (std::int64_t i = 0; i < labels.elements(); ++i) y[i * classes + labels[i]] = T(1.0);
            return y;
          },
      .samples = samples()
                     .shapes({{7}})
                     .grid({{"classes", {3, 5, 17}}, {"dtype", {"f32", "f64"}}})
                     .shapes({{2, 3}})
                     .with({{"classes", 5}})
                     .values(0, {4, 0, 4, 1, 3, 1})
                     .shapes({{}})
                     .with({{"classes", 3}})
                     .shapes({{0}})
                     .grid({{"classes", {0, 3}}})
                     .shapes({{3}})
                     .with({{"classes", 5}})
                     .values(0, {0, 5, 1})
                     .throws("labels 5 at (1) is outside [0, 5)")
                     .shapes({{2, 2}})
                     .with({{"classes", 5}})
                     .values(0, {0, 4, -1, 1})
                     .throws("labels -1 at (1, 0) is outside [0, 5)")
                     .shapes({{2}})
                     .with({{"classes", -3}})
                     .throws("classes is -3"),
  };
  return info;
}

}  // namespace weft
