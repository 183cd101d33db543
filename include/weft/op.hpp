// What an op author needs, inside this library or outside. An op is a small struct of attributes with a
// backward rule, a function that computes the value and records it, and an OpInfo (op_info.hpp) by which it
// is tested:
//
//   struct Relu final : Op {
//     void backward(const Var& y, const Var& gy, Gradients& gx) const override { gx.set(0, relu_gradient(y,
//     gy)); } const OpInfo& info() const override { return relu_info(); }
//   };
//   Var relu(const Var& x, SourceLocation at) {
//     require_floating("relu", {"x", x}, at);
//     return record(Relu{}, map(x.value(), Positive{}), {x}, {.output = true}, at);
//   }
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "weft/attributes.hpp"
#include "weft/graph.hpp"
#include "weft/op_info.hpp"
#include "weft/recorder.hpp"

namespace weft {

class ScatteredGradients;

// A gradient of images y [n, h, w, c] that is zero but at few positions, as max pooling's: gy[n, i, j, k] is
// to be added at the position positions[n, i, j, k] of image n, rows and columns counted as one, channel k.
struct ScatteredGradient {
  Tensor gy;         // f32 or f64
  Tensor positions;  // i32, of the same shape
  Tensor y;          // what the images have there
};

// What a rule reads and where it puts its results. The engine checks the shape of what is set, sums what was
// broadcast in the forward (a gradient may have the output's shape where the operand was stretched), and
// accumulates.
class Gradients {
 public:
  int operand_count() const { return static_cast<int>(results_.size()); }
  bool wants(int i) const { return (marks_[operand(i)] & wanted) != 0; }  // others need not be set
  void set(int i, Var gradient) { results_[static_cast<std::size_t>(i)] = std::move(gradient); }
  const Var& result(int i) {  // what was set so far
    const Var& result = results_[static_cast<std::size_t>(i)];
    if (!result.defined()) write_out(i);
    return result;
  }
  // A gradient may stay scattered on its way to a rule that reads it so: see Op::reads_scattered(). Never
  // where the gradient may itself be differentiated, or somebody else looks at it.
  bool takes_scattered(int i) const;
  void set_scattered(int i, ScatteredGradient gradient);
  const ScatteredGradient* scattered() const;  // what arrived in place of gy; null: gy did

  Var input(int i) const;  // operand i; its value is there where the op saved it, its type always
  Var extra() const;       // the secondary result that the op saved, as a constant
  Shape shape(int i) const { return graph_->type(operand(i)).shape; }
  // gy's value for a kernel that may write its result into it: without another handle where the rule is the
  // last to read it. `gy` has no value then.
  Tensor take(const Var& gy) {
    if (&gy != gy_ || recording()) return gy.value();
    return std::move(gy_->value_);
  }
  // Takes the sum of what has arrived at operand i, for a rule to add to and set() again, or it is lost.
  // Undefined where nothing has, it is held elsewhere, or gradients are recorded or observed: set() as ever.
  Tensor take_sum(int i);
  void keep_results_apart(bool yes) { apart_ = yes; }  // take_sum() finds none: result() is what was added
  bool recording() const { return graph_->is_recording(); }  // the gradient may itself be differentiated

 private:
  friend class Engine;
  static constexpr std::uint8_t wanted = 1, target_of_pass = 4;  // bits of a node's mark

  Gradients(Graph* graph, ScatteredGradients* scattered) : graph_(graph), scattered_(scattered) {}
  void begin(NodeId node, std::uint32_t first_edge, std::span<Var> results, Var* gy) {  // its rule
    node_ = node;
    first_edge_ = first_edge;
    results_ = results;
    gy_ = gy;
  }
  void write_out(int i);  // what was set scattered
  NodeId operand(int i) const { return graph_->edge_target_[first_edge_ + static_cast<std::uint32_t>(i)]; }

  Graph* graph_;
  ScatteredGradients* scattered_;
  const std::uint8_t* marks_ = nullptr;  // per node
  Var* sums_ = nullptr;                  // per node; null where somebody looks at every result
  bool apart_ = false;
  NodeId node_ = no_node;
  std::uint32_t first_edge_ = 0;
  std::span<Var> results_ = {};  // per operand
  Var* gy_ = nullptr;            // that may be taken; null: it may not
};

// Lives in the graph's memory, which never runs destructors: attributes only.
struct Op {
  // Sets gx_i = J_i^T gy for every operand that gx wants, by calling ordinary ops. `y` is the output; its
  // value is there where the op saved it.
  virtual void backward(const Var& y, const Var& gy, Gradients& gx) const = 0;
  virtual const OpInfo& info() const = 0;
  // Whether backward() will read a scattered gradient, gx.scattered(), in place of gy where one arrives; of
  // gx only wants(), shape() and recording() can be asked here.
  virtual bool reads_scattered(const Gradients&) const { return false; }
  virtual Attributes attributes() const { return {}; }
  // Additions, multiplications, comparisons and transcendental functions of one forward call, one each. By
  // default those of the group: one an element of y where it is elementwise, one an element of the first
  // operand where it reduces, else none.
  virtual double flops(std::span<const TensorType> x, const TensorType& y) const;

 protected:
  ~Op() = default;
};

// Errors. A NamedVar is an argument as the message shows it: two words, which checks pass in registers.
struct NamedVar {
  const char* name;  // ends with 0
  const Var& var;
};

// Throws an E (ShapeError, DTypeError, Error) that reads
//   "conv2d: <problem> (x: f32[8, 32, 32, 3], w: f32[3, 3, 4, 16]) in scope net/conv1, at model.cpp:21".
template <class E>
[[noreturn]] void fail(std::string_view op, std::string_view problem,
                       std::initializer_list<NamedVar> arguments, SourceLocation at);
extern template void fail<Error>(std::string_view, std::string_view, std::initializer_list<NamedVar>,
                                 SourceLocation);
extern template void fail<ShapeError>(std::string_view, std::string_view, std::initializer_list<NamedVar>,
                                      SourceLocation);
extern template void fail<DTypeError>(std::string_view, std::string_view, std::initializer_list<NamedVar>,
                                      SourceLocation);

namespace detail {
[[noreturn]] void fail_not_floating(std::string_view op, NamedVar x, SourceLocation at);
[[noreturn]] void fail_dtypes_differ(std::string_view op, NamedVar a, NamedVar b, SourceLocation at);
void require_shapes_broadcast(std::string_view op, NamedVar a, NamedVar b, SourceLocation at);
}  // namespace detail

inline void require_floating(std::string_view op, NamedVar x, SourceLocation at) {  // DTypeError: f32 or f64
  if (!is_floating(x.var.dtype())) detail::fail_not_floating(op, x, at);
}
void require_integer(std::string_view op, NamedVar x, SourceLocation at);  // DTypeError: i32, i64 or u8
inline void require_same_dtype(std::string_view op, NamedVar a, NamedVar b,
                               SourceLocation at) {  // DTypeError
  if (a.var.dtype() != b.var.dtype()) detail::fail_dtypes_differ(op, a, b, at);
}
inline void require_broadcastable(std::string_view op, NamedVar a, NamedVar b,
                                  SourceLocation at) {  // and of one floating dtype
  require_floating(op, a, at);
  require_same_dtype(op, a, b, at);
  if (a.var.shape() != b.var.shape()) detail::require_shapes_broadcast(op, a, b, at);
}
void require_rank(std::string_view op, NamedVar x, int rank, SourceLocation at);  // ShapeError

}  // namespace weft
