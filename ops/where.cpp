// where(condition, a, b): a where condition is true, b elsewhere, with NumPy's broadcasting of all three.
//   y_i  = a_i where c_i, else b_i
//   ga_i = gy_i where c_i, else 0
//   gb_i = 0 where c_i, else gy_i            no gradient for the condition
// What is not chosen leaves no trace, NaN included. Keeps the condition.
#include <algorithm>

#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& where_info();

namespace {

// One number in the place of a row.
template <class T>
struct Repeated {
  T value;
  T operator[](std::int64_t) const { return value; }
};

// The condition is read as bytes: g++ 12 does not vectorise a choice by bool.
template <class A, class B, class T>
WEFT_VECTOR_LOOP void choose_loop(const std::uint8_t* c, A a, B b, T* __restrict y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = c[i] != 0 ? a[i] : b[i];
}

template <class T>
void choose(const std::uint8_t* c, const T* a, bool a_fixed, const T* b, bool b_fixed, T* y,
            std::int64_t count) {
  if (a_fixed && b_fixed)
    choose_loop(c, Repeated<T>{*a}, Repeated<T>{*b}, y, count);
  else if (a_fixed)
    choose_loop(c, Repeated<T>{*a}, b, y, count);
  else if (b_fixed)
    choose_loop(c, a, Repeated<T>{*b}, y, count);
  else
    choose_loop(c, a, b, y, count);
}

template <class T>
void repeat(const T* from, bool fixed, T* y, std::int64_t count) {
  if (fixed)
    std::fill_n(y, count, *from);
  else
    std::copy_n(from, count, y);
}

template <class T>
void choose_broadcast(const Tensor& condition, const Tensor& a, const Tensor& b, Tensor& y) {
  const Shape& shape = y.shape();
  const auto strides = [&](const Tensor& x) { return broadcast_strides(x.shape(), shape); };
  const Nest<4> nest(shape, {strides(condition), strides(a), strides(b), shape.strides()});
  const auto& row = nest.row().step;
  const auto& step = nest.column().step;
  const bool c_fixed = step[0] == 0, a_fixed = step[1] == 0, b_fixed = step[2] == 0;
  const auto* all_c = static_cast<const std::uint8_t*>(condition.data());
  const T *all_a = a.values<T>().data(), *all_b = b.values<T>().data();
  T* all_y = y.mutable_values<T>().data();
  nest.for_each_tile([&](const Nest<4>::Positions& at, std::int64_t rows, std::int64_t columns) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto* c = all_c + at[0] + r * row[0];
      const T *from_a = all_a + at[1] + r * row[1], *from_b = all_b + at[2] + r * row[2];
      T* to = all_y + at[3] + r * row[3];
      if (!c_fixed)
        choose(c, from_a, a_fixed, from_b, b_fixed, to, columns);
      else if (*c != 0)
        repeat(from_a, a_fixed, to, columns);
      else
        repeat(from_b, b_fixed, to, columns);
    }
  });
}

Tensor choose(const Tensor& condition, const Tensor& a, const Tensor& b) {
  Tensor y(broadcast(condition.shape(), broadcast(a.shape(), b.shape())), a.dtype());
  if (y.elements() == 0) return y;
  const bool a_fixed = a.elements() == 1, b_fixed = b.elements() == 1;
  visit_floating(a.dtype(), [&]<class T>() {
    if (condition.shape() != y.shape() || (!a_fixed && a.shape() != y.shape()) ||
        (!b_fixed && b.shape() != y.shape())) {
      choose_broadcast<T>(condition, a, b, y);
      return;
    }
    const auto* c = static_cast<const std::uint8_t*>(condition.data());
    const T *from_a = a.values<T>().data(), *from_b = b.values<T>().data();
    T* to = y.mutable_values<T>().data();
    parallel_for(y.elements(), elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
      choose(c + begin, from_a + (a_fixed ? 0 : begin), a_fixed, from_b + (b_fixed ? 0 : begin), b_fixed,
             to + begin, end - begin);
    });
  });
  return y;
}

struct Where final : Op {
  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    const Var condition = gx.input(0), zero = Tensor::scalar(0, gy.dtype());
    if (gx.wants(1)) gx.set(1, where(condition, gy, zero));
    if (gx.wants(2)) gx.set(2, where(condition, zero, gy));
  }
  const OpInfo& info() const override { return where_info(); }
};

}  // namespace

Var where(const Var& condition, const Var& a, const Var& b, SourceLocation at) {
  const auto all = {NamedVar{"condition", condition}, NamedVar{"a", a}, NamedVar{"b", b}};
  if (condition.dtype() != DType::boolean) {
    fail<DTypeError>("where", "condition must be boolean, found " + std::string(name(condition.dtype())), all,
                     at);
  }
  require_broadcastable("where", {"a", a}, {"b", b}, at);
  if (!broadcastable(condition.shape(), broadcast(a.shape(), b.shape()))) {
    fail<ShapeError>(
        "where",
        "condition does not broadcast with a and b: extents must agree or be 1, from the last axis on", all,
        at);
  }
  return record(Where{}, choose(condition.value(), a.value(), b.value()), {condition, a, b},
                {.operands = operand(0)}, at);
}

const OpInfo& where_info() {
  static const OpInfo info{
      .name = "where",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "condition", .role = Role::constant, .dtype = DType::boolean},
                    {.name = "a", .linear = true},
                    {.name = "b", .linear = true}},
      .call = [](std::span<const Var> x, const Attributes&) { return where(x[0], x[1], x[2]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            const Array<std::int64_t>& c = x.integers(0);
            Array<T> y(broadcast(c.shape(), broadcast(x[1].shape(), x[2].shape())));
            const auto position = [&](const Ints& index, const Shape& shape) {
              const Ints strides = broadcast_strides(shape, y.shape());
              std::int64_t at = 0;
              for (int axis = 0; axis < index.size(); ++axis) at += index[axis] * strides[axis];
              return at;
            };
            for_each_index(y.shape(), [&](const Ints& index) {
              const std::int64_t i = position(index, x[1].shape()), j = position(index, x[2].shape());
              y.at(index) = c[position(index, c.shape())] ? x[1][i] : x[2][j];
            });
            return y;
          },
      .samples = samples()
                     .shapes({{2, 3, 5}, {2, 3, 5}, {2, 3, 5}})
                     .shapes({{}, {}, {}})
                     .shapes({{3, 5}, {}, {3, 5}})
                     .shapes({{3, 5}, {3, 5}, {1}})
                     .shapes({{3, 5}, {}, {1, 1}})
                     .shapes({{3, 1}, {5}, {3, 5}})
                     .shapes({{3, 1}, {2, 1, 5}, {3, 1}})
                     .shapes({{7}, {3, 1}, {2, 1, 7}})
                     .shapes({{5}, {3, 5}, {3, 1}})
                     .shapes({{}, {2, 3}, {3}})
                     .shapes({{0, 3}, {3}, {}})
                     .shapes({{33}, {33}, {33}})
                     .shapes({{3, 17}, {17}, {3, 1}})
                     .shapes({{13}, {13}, {13}})
                     .pattern(Pattern::special)
                     .throws({{}, {2, 3}, {2, 4}}, "shapes [2, 3] and [2, 4] do not broadcast")
                     .throws({{2, 3}, {2, 4}, {4}}, "condition does not broadcast with a and b"),
      .invariants = {Invariant::sum_is_kept},
  };
  return info;
}

}  // namespace weft
