#include "kernels/relu.hpp"

#include "kernels/elementwise.hpp"

namespace weft {

namespace {

struct WherePositive {
  template <class T>
  T operator()(T y, T gy) const {
    return y <= T(0) ? T(0) : gy;
  }
};

}  // namespace

Tensor relu_gradient_kernel(const Tensor& y, Tensor gy) {
  return zip_in_place(y, std::move(gy), WherePositive{});
}

}  // namespace weft
