// OpInfo: what is known of an op besides its code: arguments, attributes, an executable specification, and
// the samples on which it is tested. An op without reference or samples does not compile.
#pragma once

#include <array>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/attributes.hpp"
#include "weft/graph.hpp"
#include "weft/scalars.hpp"

namespace weft {

class Gradients;

// differentiable: floating, gets a gradient. optional: likewise, and may be left out (only at the end).
// index: integers. constant: anything else that gets no gradient.
enum class Role : std::uint8_t { differentiable, optional, index, constant };

// Where sample values may lie. Indices lie below the extent of another argument.
struct Domain {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  int index_of = -1;    // of this argument's
  int index_axis = -1;  // axis; -1: the last

  static Domain positive() { return {.low = 0.125}; }
  static Domain indices_of(int argument, int axis) { return {.index_of = argument, .index_axis = axis}; }
};

// What happens to the gradient where several operands are equal: all of it goes to the first, to the last,
// equal parts to all.
enum class TiePolicy : std::uint8_t { none, first, last, split };

// What holds for an op's gradients whatever its operands. rows_sum_to_zero: gx along the op's axis.
// sum_is_kept: sum gx = sum gy. batch_equivariant: permuting the first operand along its first axis permutes
// y and gx likewise and leaves the other gradients.
enum class Invariant : std::uint8_t { rows_sum_to_zero, sum_is_kept, batch_equivariant };

struct Argument {
  std::string_view name;
  Role role = Role::differentiable;
  bool linear = false;  // affine in this argument while the others are held
  bool flat = false;    // its gradient is 0 everywhere
  Domain domain = {};
  DType dtype = DType::f64;  // of an index (i64) or a constant; floating arguments are tested in f64 and f32
};

struct Attribute {
  std::string_view name;
  bool must_vary = true;  // samples have to leave its default
};

// A dense array of any scalar, for references.
template <class T>
class Array {
 public:
  Array() = default;
  explicit Array(const Shape& shape, const T& value = T(0.0))
      : shape_(shape), values_(static_cast<std::size_t>(shape.elements()), value) {}

  const Shape& shape() const { return shape_; }
  std::int64_t extent(int axis) const { return shape_[axis]; }
  std::int64_t elements() const { return static_cast<std::int64_t>(values_.size()); }
  T& operator[](std::int64_t i) { return values_[static_cast<std::size_t>(i)]; }  // in row-major order
  const T& operator[](std::int64_t i) const { return values_[static_cast<std::size_t>(i)]; }
  template <class... I>
  T& operator()(I... index) {
    return values_[offset(std::array{static_cast<std::int64_t>(index)...})];
  }
  template <class... I>
  const T& operator()(I... index) const {
    return values_[offset(std::array{static_cast<std::int64_t>(index)...})];
  }
  T& at(const Ints& index) { return values_[offset({index.begin(), index.end()})]; }
  const T& at(const Ints& index) const { return values_[offset({index.begin(), index.end()})]; }

 private:
  std::size_t offset(std::span<const std::int64_t> index) const {
    std::int64_t position = 0;
    const std::int64_t* extent = shape_.begin();
    for (const std::int64_t i : index) position = position * *extent++ + i;
    return static_cast<std::size_t>(position);
  }
  Shape shape_;
  std::vector<T> values_;
};

// Calls f(index) with every index of `shape`, an Ints, in row-major order.
template <class F>
void for_each_index(const Shape& shape, F&& f) {
  Ints index = Ints::filled(shape.rank(), 0);
  for (std::int64_t left = shape.elements(); left > 0; --left) {
    f(static_cast<const Ints&>(index));
    for (int axis = shape.rank() - 1; axis >= 0 && ++index[axis] == shape[axis]; --axis) index[axis] = 0;
  }
}

// The same elements under another shape.
template <class T>
Array<T> reshaped(const Array<T>& x, const Shape& shape) {
  Array<T> y(shape);
  for (std::int64_t i = 0; i < x.elements(); ++i) y[i] = x[i];
  return y;
}

// f(x_i).
template <class T, class F>
Array<T> map_reference(const Array<T>& x, F&& f) {
  Array<T> y(x.shape());
  for (std::int64_t i = 0; i < x.elements(); ++i) y[i] = f(x[i]);
  return y;
}

// f(a_i, b_i) with NumPy's broadcasting.
template <class T, class F>
Array<T> zip_reference(const Array<T>& a, const Array<T>& b, F&& f) {
  Array<T> y(broadcast(a.shape(), b.shape()));
  const Ints a_strides = broadcast_strides(a.shape(), y.shape()),
             b_strides = broadcast_strides(b.shape(), y.shape());
  std::int64_t position = 0;
  for_each_index(y.shape(), [&](const Ints& index) {
    std::int64_t i = 0, j = 0;
    for (int axis = 0; axis < index.size(); ++axis) {
      i += index[axis] * a_strides[axis];
      j += index[axis] * b_strides[axis];
    }
    y[position++] = f(a[i], b[j]);
  });
  return y;
}

// A reference's operands: floating ones as arrays of T, indices and constants as arrays of integers (a
// boolean is 0 or 1).
template <class T>
class Inputs {
 public:
  std::size_t size() const { return floating_.size(); }
  const Array<T>& operator[](std::size_t i) const { return floating_[i]; }
  const Array<std::int64_t>& integers(std::size_t i) const { return integers_[i]; }
  void replace(std::size_t i, Array<T> array) { floating_[i] = std::move(array); }
  void push_floating(Array<T> array) {
    floating_.push_back(std::move(array));
    integers_.emplace_back();
  }
  void push_integers(Array<std::int64_t> array) {
    integers_.push_back(std::move(array));
    floating_.emplace_back();
  }

 private:
  std::vector<Array<T>> floating_;
  std::vector<Array<std::int64_t>> integers_;
};

// The naive forward, a generic lambda [](const Inputs<T>& x, const Attributes& a) -> Array<T>: the executable
// specification, the oracle of the kernel, and on Dual an exact derivative that knows nothing of the backward
// rule.
class Reference {
 public:
  template <class F>
  Reference(F f) : double_(f), dual_(f), dual2_(f), traced_(f), bounded_(f) {}

  Array<double> operator()(const Inputs<double>& x, const Attributes& a) const { return double_(x, a); }
  Array<Dual> operator()(const Inputs<Dual>& x, const Attributes& a) const { return dual_(x, a); }
  Array<Dual2> operator()(const Inputs<Dual2>& x, const Attributes& a) const { return dual2_(x, a); }
  Array<Traced> operator()(const Inputs<Traced>& x, const Attributes& a) const { return traced_(x, a); }
  Array<Bounded> operator()(const Inputs<Bounded>& x, const Attributes& a) const { return bounded_(x, a); }

 private:
  template <class T>
  using Function = std::function<Array<T>(const Inputs<T>&, const Attributes&)>;
  Function<double> double_;
  Function<Dual> dual_;
  Function<Dual2> dual2_;
  Function<Traced> traced_;
  Function<Bounded> bounded_;
};

// generic: distinct odd multiples of 2^-6 of both signs. ties: few distinct values. all_equal, negative,
// large (+-80 and
// +-1e3), tiny (1e-20), zeros: as they say. special: NaN and infinities among generic values.
enum class Pattern : std::uint8_t { generic, ties, zeros, all_equal, negative, large, tiny, special };

struct Sample {
  std::vector<Shape> shapes;  // one per argument given
  Attributes attributes;
  Pattern pattern = Pattern::generic;
  std::vector<std::pair<int, std::vector<double>>> values;  // argument and its values, where they are given
  std::vector<std::pair<int, DType>> dtypes;  // argument and its element type, where it is not the usual one
  std::string throws;                         // not empty: the call must throw an error that contains this
};

// Names a sample by what differs in it: "[2, 7, 5, 3] [4, 2, 3, 5] stride=(2, 3)".
std::string to_string(const Sample& sample);

// Samples are listed in groups. A group begins with shapes(...), which the calls after it refine; grid()
// multiplies it.
class Samples {
 public:
  struct GridAxis {
    std::string name;
    std::vector<AttributeValue> values;
  };

  Samples shapes(std::vector<Shape> shapes) &&;
  Samples all() &&;                                    // what follows refines every sample so far
  Samples with(const Attributes& attributes) &&;       // of every sample of this group
  Samples grid(const std::vector<GridAxis>& axes) &&;  // every combination
  Samples pattern(Pattern pattern) &&;
  Samples values(int argument, std::vector<double> values) &&;  // row-major
  // An integer type, or f64 for an argument that is then floating and tested in f64 and f32.
  Samples dtype(int argument, DType dtype) &&;
  Samples throws(std::vector<Shape> shapes,
                 std::string text) &&;  // a group of its own, which with() may refine
  Samples throws(std::string text) &&;  // this group

  const std::vector<Sample>& list() const { return list_; }

 private:
  friend Samples samples();
  Samples();
  std::span<Sample> group();
  std::vector<Sample> list_;
  std::size_t group_ = 0;
};
Samples samples();
Samples broadcasting_samples();  // of two operands: every way to broadcast, empty ones, vector tails
Samples moderate_samples();      // of one operand: ranks 0 to 4, empty, vector tails, tiny and special values
Samples unary_samples();         // and large ones

// What diagrams and reports put it under; the headings of ops.hpp.
enum class OpGroup : std::uint8_t {
  elementwise,
  reduction,
  contraction,
  view,
  shape,
  selection,
  loss,
  random
};

using Call = std::function<Var(std::span<const Var> x, const Attributes& a)>;
using Rule = std::function<void(const Var& y, const Var& gy, Gradients& gx, const Attributes& a)>;
using Kernel = std::function<Tensor(std::span<const Tensor> x, const Attributes& a)>;

struct OpInfo {
  std::string_view name;
  OpGroup group = OpGroup::elementwise;
  std::vector<Argument> arguments;
  std::vector<Attribute> attributes = {};
  Call call;
  Reference reference;
  Samples samples;
  TiePolicy ties = TiePolicy::none;
  std::vector<Invariant> invariants = {};
  bool variadic = false;    // the last argument may be repeated
  bool stochastic = false;  // its random state is an attribute
  bool twice_differentiable = true;
};

// Every op of the library: the list that CMake generates from ops/*.cpp.
std::span<const OpInfo* const> all_ops();

// Copies of `info` with one part replaced: planted defects, without a hook in production code. A call of the
// copy records a node whose Op::info() is the copy too, so the defect is there again when the record is
// replayed. The record holds what it needs of the copy: it may outlive it. `info` is an op whose call records
// one node with the call's operands as inputs; with_forward and with_gradients throw Error for another one.

// The rule replaced. The node saves every operand (the first 32) and the output, and has the attributes of
// the call.
OpInfo with_rule(const OpInfo& info, Rule rule);
// The forward replaced: its value also takes the place of the output that the rule saved. A value that the op
// cannot have (another type, or for operands that the op refuses) is not recorded.
OpInfo with_forward(const OpInfo& info, Kernel kernel);
// The gradients changed: the op's own rule runs with all that it saved, then `change` may replace what it set
// (Gradients::result and set). With ordinary ops in `change` the gradient stays differentiable.
using GradientChange = std::function<void(const Var& y, const Var& gy, Gradients& gx)>;
OpInfo with_gradients(const OpInfo& info, GradientChange change);

}  // namespace weft
