// shift(x, offset): x + offset.
//   y_i  = x_i + offset                      the offset is rounded to x's dtype
//   gx_i = gy_i
// Keeps nothing.
#include "kernels/elementwise.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& shift_info();

namespace {

struct Plus {
  double offset;
  template <class T>
  T operator()(T x) const {
    return x + static_cast<T>(offset);
  }
};

struct Shift final : Op {
  double offset;
  explicit Shift(double offset) : offset(offset) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override { gx.set(0, gy); }
  const OpInfo& info() const override { return shift_info(); }
  Attributes attributes() const override { return {{"offset", offset}}; }
};

}  // namespace

Var shift(const Var& x, double offset, SourceLocation at) {
  require_floating("shift", {"x", x}, at);
  return record(Shift(offset), map(x.value(), Plus{offset}), {x}, {}, at);
}

const OpInfo& shift_info() {
  static const OpInfo info{
      .name = "shift",
      .group = OpGroup::elementwise,
      .arguments = {{.name = "x", .linear = true}},
      .attributes = {{"offset"}},
      .call = [](std::span<const Var> x,
                 const Attributes& a) { return shift(x[0], a.find("offset")->as<double>()); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const T offset = T(0.0) + T(a.find("offset")->as<double>());  // the sum stands for its rounding
            return map_reference(x[0], [&](const T& v) { return v + offset; });
          },
      .samples =
          unary_samples().all().with({{"offset", -1.5}}).shapes({{3, 17}}).grid({{"offset", {0.3, 1e3}}}),
  };
  return info;
}

}  // namespace weft
