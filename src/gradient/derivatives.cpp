// Derivatives made of gradient().
#include <fmt/format.h>

#include <algorithm>

#include "weft/gradient.hpp"
#include "weft/op.hpp"

namespace weft {

std::vector<Var> gradient(const Var& y, std::initializer_list<Var> xs, const GradientOptions& options) {
  return gradient(y, std::span(xs.begin(), xs.size()), options);
}

// J^T v is linear in v, so its gradient with respect to v along u is J u.
Var jvp(const Var& y, const Var& x, const Var& u) {
  if (!y.is_recorded()) throw GraphError("jvp: y is no node");
  const Var v = y.graph()->input(Tensor::zeros(y.shape(), y.dtype()), "v");
  const Var gx = gradient(y, x, {.record = true, .gy = v});
  if (!gx.is_recorded()) return Recorder::unrecorded(Tensor::zeros(y.shape(), y.dtype()), y.graph());
  return gradient(gx, v, {.gy = u});
}

static Shape joined(const Shape& rows, const Shape& columns) {
  Ints extents = rows.extents();
  for (const std::int64_t extent : columns) extents.push_back(extent);
  return Shape(extents);
}

Tensor jacobian(const Var& y, const Var& x) {
  Tensor result(joined(y.shape(), x.shape()), y.dtype());
  const std::int64_t columns = x.shape().elements();
  visit_floating(y.dtype(), [&]<class T>() {
    const std::span<T> rows = result.mutable_values<T>();
    for (std::int64_t row = 0; row < y.shape().elements(); ++row) {
      Tensor gy = Tensor::zeros(y.shape(), y.dtype());
      gy.mutable_values<T>()[static_cast<std::size_t>(row)] = 1;
      const Tensor gx = gradient(y, x, {.gy = gy}).value();
      std::ranges::copy(gx.values<T>(), rows.begin() + row * columns);
    }
  });
  return result;
}

Tensor hessian(const Var& y, const Var& x) {
  const Var gx = gradient(y, x, {.record = true});
  return gx.is_recorded() ? jacobian(gx, x) : Tensor::zeros(joined(x.shape(), x.shape()), x.dtype());
}

}  // namespace weft
