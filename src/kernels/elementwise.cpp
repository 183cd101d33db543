#include "kernels/elementwise.hpp"

#include <functional>

namespace weft {

namespace {

template <class T>
WEFT_VECTOR_LOOP void add_loop(T* __restrict sum, const T* __restrict g, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) sum[i] += g[i];
}

}  // namespace

void add_to(Tensor& sum, const Tensor& g) {
  if (!sum.is_unique()) {
    sum = zip(sum, g, std::plus<>{});
    return;
  }
  visit_floating(sum.dtype(), [&]<class T>() {
    T* to = sum.mutable_values<T>().data();
    const T* from = g.values<T>().data();
    parallel_for(sum.elements(), elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
      add_loop(to + begin, from + begin, end - begin);
    });
  });
}

}  // namespace weft
