// The catalogue of ops. Every op works in f32 and f64 unless it says otherwise, takes operands of one dtype,
// and throws ShapeError or DTypeError before anything is recorded. Images are [n, h, w, c], filters [kh, kw,
// c_in, c_out].
#pragma once

#include <array>
#include <optional>
#include <span>

#include "weft/attributes.hpp"
#include "weft/graph.hpp"

namespace weft {

// A var, a tensor or a number, with the user's line: what operators take. `x * 2` records one op, with 2 as
// its attribute. Not to be kept: it owns nothing, and what it was made from may end with the expression.
class Operand {
 public:
  Operand(const Var& var, SourceLocation at = SourceLocation::current()) : var_(&var), at_(at) {}
  Operand(double number, SourceLocation at = SourceLocation::current()) : number_(number), at_(at) {}
  // `constant` is not for callers: it lives as long as the expression.
  Operand(Tensor tensor, SourceLocation at = SourceLocation::current(), Var&& constant = Var())
      : var_(&constant), at_(at) {
    constant = Var(std::move(tensor));
  }
  const Var* var() const { return var_; }  // null: a number
  double number() const { return number_; }
  SourceLocation at() const { return at_; }

 private:
  const Var* var_ = nullptr;
  double number_ = 0;
  SourceLocation at_;
};

// ---- elementwise, two operands; NumPy's broadcasting ------------------------------------------------------

Var add(const Var& a, const Var& b, SourceLocation at = SourceLocation::current());       // a + b
Var subtract(const Var& a, const Var& b, SourceLocation at = SourceLocation::current());  // a - b
Var multiply(const Var& a, const Var& b, SourceLocation at = SourceLocation::current());  // a b
Var divide(const Var& a, const Var& b, SourceLocation at = SourceLocation::current());    // a / b
// a where condition is true, b elsewhere; condition is boolean. No gradient for the condition.
Var where(const Var& condition, const Var& a, const Var& b, SourceLocation at = SourceLocation::current());

// ---- elementwise, one operand -----------------------------------------------------------------------------

Var negate(const Var& x, SourceLocation at = SourceLocation::current());                // -x
Var scale(const Var& x, double factor, SourceLocation at = SourceLocation::current());  // factor x
Var shift(const Var& x, double offset, SourceLocation at = SourceLocation::current());  // x + offset
Var exp(const Var& x, SourceLocation at = SourceLocation::current());
Var log(const Var& x, SourceLocation at = SourceLocation::current());   // natural; -inf at 0, NaN below
Var sqrt(const Var& x, SourceLocation at = SourceLocation::current());  // NaN below 0
Var pow(const Var& x, double exponent, SourceLocation at = SourceLocation::current());
Var tanh(const Var& x, SourceLocation at = SourceLocation::current());
Var sigmoid(const Var& x, SourceLocation at = SourceLocation::current());  // 1 / (1 + exp(-x))
Var relu(const Var& x,
         SourceLocation at = SourceLocation::current());  // max(x, 0); NaN stays; gradient 0 at 0
// gy where y > 0, else 0: the gradient of relu whose output is y.
Var relu_gradient(const Var& y, const Var& gy, SourceLocation at = SourceLocation::current());

// ---- operators --------------------------------------------------------------------------------------------

// Vars go to the ops of two operands, a number becomes an attribute of an op of one; which, the compiler
// sees. At least one operand must be no number: GraphError.
namespace detail {
[[noreturn]] void fail_no_var(char symbol, SourceLocation at);
}

inline Var operator+(const Operand& a, const Operand& b) {
  if (a.var() && b.var()) return add(*a.var(), *b.var(), a.at());
  if (a.var()) return shift(*a.var(), b.number(), a.at());
  if (b.var()) return shift(*b.var(), a.number(), b.at());
  detail::fail_no_var('+', a.at());
}
inline Var operator-(const Operand& a, const Operand& b) {
  if (a.var() && b.var()) return subtract(*a.var(), *b.var(), a.at());
  if (a.var()) return shift(*a.var(), -b.number(), a.at());
  if (b.var()) return shift(negate(*b.var(), b.at()), a.number(), b.at());
  detail::fail_no_var('-', a.at());
}
inline Var operator*(const Operand& a, const Operand& b) {
  if (a.var() && b.var()) return multiply(*a.var(), *b.var(), a.at());
  if (a.var()) return scale(*a.var(), b.number(), a.at());
  if (b.var()) return scale(*b.var(), a.number(), b.at());
  detail::fail_no_var('*', a.at());
}
// A number divides as its rounded reciprocal multiplies: the last bit may differ from a division's.
inline Var operator/(const Operand& a, const Operand& b) {
  if (a.var() && b.var()) return divide(*a.var(), *b.var(), a.at());
  if (a.var()) return scale(*a.var(), 1 / b.number(), a.at());
  if (b.var()) return scale(pow(*b.var(), -1, b.at()), a.number(), b.at());
  detail::fail_no_var('/', a.at());
}
inline Var operator-(const Operand& a) {
  if (a.var()) return negate(*a.var(), a.at());
  detail::fail_no_var('-', a.at());
}

// ---- reductions -------------------------------------------------------------------------------------------

struct ReduceOptions {
  Ints axes = {};          // from the end where negative; none: all
  bool keep_axes = false;  // reduced axes stay, with extent 1
};
template <class V>
void fields(V& visit, ReduceOptions& o) {
  visit("axes", o.axes);
  visit("keep_axes", o.keep_axes);
}
Var sum(const Var& x, const ReduceOptions& options = {},
        SourceLocation at = SourceLocation::current());  // of none: 0
Var mean(const Var& x, const ReduceOptions& options = {},
         SourceLocation at = SourceLocation::current());  // of none: NaN
// The largest; the first one gets the gradient of a tie; NaN where there is one. Throws ShapeError for none.
Var max(const Var& x, const ReduceOptions& options = {}, SourceLocation at = SourceLocation::current());
// Position of the first largest along `axis`, i64, that axis removed. No gradient. The first NaN counts as
// largest.
Var argmax(const Var& x, int axis = -1, SourceLocation at = SourceLocation::current());

// ---- normalisation ----------------------------------------------------------------------------------------

struct BatchNormOptions {
  double epsilon = 1e-5;  // added to the variance
};
template <class V>
void fields(V& visit, BatchNormOptions& o) {
  visit("epsilon", o.epsilon);
}
struct BatchNormResult {
  Var y;
  Tensor mean, variance;  // of the batch, [channels]; the variance is that of all (biased)
};
// x [.., channels], of rank 2 at least, with mean 0 and deviation 1 in each channel, times gamma, plus beta,
// both [channels]. Changes nothing: who keeps running statistics commits the batch's himself (nn::BatchNorm).
BatchNormResult batch_norm(const Var& x, const Var& gamma, const Var& beta,
                           const BatchNormOptions& options = {},
                           SourceLocation at = SourceLocation::current());

// ---- shape ------------------------------------------------------------------------------------------------

Var broadcast_to(const Var& x, const Shape& shape, SourceLocation at = SourceLocation::current());
Var reshape(const Var& x, const Ints& extents,
            SourceLocation at = SourceLocation::current());  // a view; one may be -1
Var flatten(const Var& x, int first_axis = 1,
            SourceLocation at = SourceLocation::current());  // a view: axes from there are joined
// y's axis i is x's axis permutation[i]; none given reverses them.
Var transpose(const Var& x, const Ints& permutation = {}, SourceLocation at = SourceLocation::current());

struct SliceOptions {
  Ints begin = {};  // per axis, from the end where negative; axes not named are taken whole
  Ints size = {};   // per axis; -1: up to the end
  Ints step = {};   // per axis, at least 1; none: 1
};
template <class V>
void fields(V& visit, SliceOptions& o) {
  visit("begin", o.begin);
  visit("size", o.size);
  visit("step", o.step);
}
// y[i] = x[begin + i step], `size` elements along each axis. Throws ShapeError where it reaches outside.
Var slice(const Var& x, const SliceOptions& options, SourceLocation at = SourceLocation::current());
// Zeros of `shape` with x put where slice(options) would read: the gradient of slice.
Var unslice(const Var& x, const Shape& shape, const SliceOptions& options,
            SourceLocation at = SourceLocation::current());
Var concat(std::span<const Var> parts, int axis, SourceLocation at = SourceLocation::current());
Var concat(std::initializer_list<Var> parts, int axis, SourceLocation at = SourceLocation::current());

enum class PadMode : std::uint8_t { constant, reflect, replicate };
constexpr std::array<std::string_view, 3> names_of(PadMode) { return {"constant", "reflect", "replicate"}; }
struct PadOptions {
  Ints before = {};  // elements added in front, per axis; axes not named get none
  Ints after = {};   // elements added behind, likewise
  PadMode mode =
      PadMode::constant;  // reflect leaves out the edge element and needs a larger extent than padding
  double value = 0;       // of the constant mode
};
template <class V>
void fields(V& visit, PadOptions& o) {
  visit("before", o.before);
  visit("after", o.after);
  visit("mode", o.mode);
  visit("value", o.value);
}
Var pad(const Var& x, const PadOptions& options, SourceLocation at = SourceLocation::current());
// The gradient of pad: every element of `gy` added where pad took it from. [pad's output] to `shape`.
Var unpad(const Var& gy, const Shape& shape, const PadOptions& options,
          SourceLocation at = SourceLocation::current());

// ---- selection --------------------------------------------------------------------------------------------

// y[.., i, ..] = x[.., index[i], ..] along `axis`; index is integer, of any rank. Throws Error for one out of
// range.
Var gather(const Var& x, const Var& index, int axis = 0, SourceLocation at = SourceLocation::current());
// Zeros, with extent `count` along `axis`, to which gy's slices are added at index: the gradient of gather.
Var scatter_add(const Var& gy, const Var& index, std::int64_t count, int axis = 0,
                SourceLocation at = SourceLocation::current());
// [...] integers to [..., classes]: 1 at the label, 0 elsewhere. No gradient. Throws Error for a label out of
// range.
Var one_hot(const Var& labels, std::int64_t classes, DType dtype = DType::f32,
            SourceLocation at = SourceLocation::current());

// ---- contractions -----------------------------------------------------------------------------------------

struct MatmulOptions {
  bool transpose_a = false;  // of the last two axes
  bool transpose_b = false;
};
template <class V>
void fields(V& visit, MatmulOptions& o) {
  visit("transpose_a", o.transpose_a);
  visit("transpose_b", o.transpose_b);
}
// [..., m, k] x [..., k, n] -> [..., m, n]; the axes in front are broadcast. Both have rank 2 at least.
Var matmul(const Var& a, const Var& b, const MatmulOptions& options = {},
           SourceLocation at = SourceLocation::current());

// Two numbers, height and width; one number means both.
struct Size2 {
  std::int64_t h = 1, w = 1;
  constexpr Size2() = default;
  constexpr Size2(std::int64_t both) : h(both), w(both) {}
  constexpr Size2(std::int64_t h, std::int64_t w) : h(h), w(w) {}
  AttributeValue to_attribute() const { return Ints{h, w}; }
  static Size2 from_attribute(const AttributeValue& value);
  friend bool operator==(const Size2&, const Size2&) = default;
};

// Elements added around an image. `valid` adds none; `same` adds so many that the output has ceil(extent /
// stride) positions, the odd one behind (as TensorFlow and Keras do).
struct Padding {
  enum class Kind : std::uint8_t { given, same } kind = Kind::given;
  std::int64_t top = 0, bottom = 0, left = 0, right = 0;
  constexpr Padding() = default;
  constexpr Padding(Kind kind) : kind(kind) {}
  constexpr Padding(std::int64_t all) : Padding(all, all, all, all) {}
  constexpr Padding(std::int64_t h, std::int64_t w) : Padding(h, h, w, w) {}
  constexpr Padding(std::int64_t top, std::int64_t bottom, std::int64_t left, std::int64_t right)
      : top(top), bottom(bottom), left(left), right(right) {}
  AttributeValue to_attribute() const;
  static Padding from_attribute(const AttributeValue& value);
  friend bool operator==(const Padding&, const Padding&) = default;
};
inline constexpr Padding same{Padding::Kind::same};
inline constexpr Padding valid{};

struct Conv2dOptions {
  Size2 stride = 1;
  Padding padding = valid;
  Size2 dilation = 1;
  std::int64_t groups = 1;  // w is [kh, kw, c_in / groups, c_out]
  bool relu = false;        // y = max(., 0), in the same kernel
};
template <class V>
void fields(V& visit, Conv2dOptions& o) {
  visit("stride", o.stride);
  visit("padding", o.padding);
  visit("dilation", o.dilation);
  visit("groups", o.groups);
  visit("relu", o.relu);
}
// Cross-correlation, as every framework's convolution: x [n, h, w, c_in], w [kh, kw, c_in / groups, c_out], b
// [c_out] ->
//   y[n, i, j, k] = b[k] + sum over p, q, c of x[n, i sh + p dh - top, j sw + q dw - left, c] w[p, q, c, k]
// Throws ShapeError where the (dilated) window is larger than the padded image, or a stride or dilation is
// below 1.
Var conv2d(const Var& x, const Var& w, const Conv2dOptions& options = {},
           SourceLocation at = SourceLocation::current());
Var conv2d(const Var& x, const Var& w, const Var& b, const Conv2dOptions& options = {},
           SourceLocation at = SourceLocation::current());
// The gradients of conv2d (without bias and relu) for an input of shape `x_shape` and a filter of shape
// `w_shape`; gy is like conv2d's output.
Var conv2d_input_gradient(const Var& gy, const Var& w, const Shape& x_shape, const Conv2dOptions& options,
                          SourceLocation at = SourceLocation::current());
Var conv2d_weight_gradient(const Var& x, const Var& gy, const Shape& w_shape, const Conv2dOptions& options,
                           SourceLocation at = SourceLocation::current());

enum class PoolKind : std::uint8_t { max, average };
constexpr std::array<std::string_view, 2> names_of(PoolKind) { return {"max", "average"}; }
struct Pool2dOptions {
  Size2 window = 2;
  std::optional<Size2> stride = {};  // none: the window
  Padding padding = valid;           // never wins a maximum; every window must hold one real element
  PoolKind kind = PoolKind::max;
  bool include_padding = false;  // average: the divisor counts padded positions
};
template <class V>
void fields(V& visit, Pool2dOptions& o) {
  visit("kind", o.kind);
  visit("window", o.window);
  Size2 stride = o.stride.value_or(o.window);
  visit("stride", stride);
  visit("padding", o.padding);
  visit("include_padding", o.include_padding);
  o.stride = stride;
}
// [n, h, w, c] -> [n, oh, ow, c]. Of equal maxima the first, row by row, gets the gradient. NaN is larger
// than all.
Var pool2d(const Var& x, const Pool2dOptions& options = {}, SourceLocation at = SourceLocation::current());
// The gradient of average pooling, gy like pool2d's output, to `x_shape`.
Var average_pool2d_gradient(const Var& gy, const Shape& x_shape, const Pool2dOptions& options,
                            SourceLocation at = SourceLocation::current());
// Max pooling's gradient adds gy, like pool2d's output, at `index`, its winners' positions h * width + w
// within their image, i32, to zeros of `x_shape`; its own gradient reads there.
Var max_pool2d_scatter(const Var& gy, const Var& index, const Shape& x_shape,
                       SourceLocation at = SourceLocation::current());
Var max_pool2d_gather(const Var& x, const Var& index, SourceLocation at = SourceLocation::current());

// ---- probabilities and losses -----------------------------------------------------------------------------

Var softmax(const Var& x, int axis = -1, SourceLocation at = SourceLocation::current());
Var log_softmax(const Var& x, int axis = -1, SourceLocation at = SourceLocation::current());

enum class Reduction : std::uint8_t { mean, sum, none };
constexpr std::array<std::string_view, 3> names_of(Reduction) { return {"mean", "sum", "none"}; }
struct CrossentropyOptions {
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;  // that much of each target is spread over all classes, [0, 1)
  std::optional<std::int64_t> ignore_index =
      {};  // a label whose row counts for nothing, also not in the mean
};
template <class V>
void fields(V& visit, CrossentropyOptions& o) {
  visit("reduction", o.reduction);
  visit("label_smoothing", o.label_smoothing);
  visit("ignore_index", o.ignore_index);
}
// -sum_j t_j log softmax(logits)_j over the last axis, logits [..., c]; targets are class indices [...] or
// probabilities
// [..., c] (no gradient for them). Without rows the mean is 0. Throws Error for a label out of range.
Var softmax_crossentropy(const Var& logits, const Var& targets, const CrossentropyOptions& options = {},
                         SourceLocation at = SourceLocation::current());

// ---- random -----------------------------------------------------------------------------------------------

// Each element is 0 with probability `p`, else divided by 1 - p; x itself where the graph is not in training.
Var dropout(const Var& x, double p, SourceLocation at = SourceLocation::current());

}  // namespace weft
