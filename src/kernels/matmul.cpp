#include "kernels/matmul.hpp"

#include <algorithm>

#include "kernels/gemm.hpp"
#include "kernels/parallel.hpp"

namespace weft {

namespace {

constexpr std::int64_t product_grain = 1 << 20;  // multiplications: fewer are not worth a second thread

// The position, in matrices, of the batch entry that `linear` counts through `batch`, read through `strides`.
std::int64_t batch_position(std::int64_t linear, const Shape& batch, const Ints& strides) {
  std::int64_t position = 0;
  for (int axis = batch.rank() - 1; axis >= 0; --axis) {
    position += linear % batch[axis] * strides[axis];
    linear /= batch[axis];
  }
  return position;
}

Shape batch_of(const Shape& shape) {
  return Shape(std::span(shape.begin(), static_cast<std::size_t>(shape.rank() - 2)));
}

template <class T>
void multiply(GemmShape shape, const Tensor& a, const Tensor& b, Tensor& y) {
  const T *from_a = a.values<T>().data(), *from_b = b.values<T>().data();
  T* to = y.mutable_values<T>().data();
  if (y.rank() == 2) return gemm(shape, from_a, from_b, to);
  const Shape batch = batch_of(y.shape()), a_batch = batch_of(a.shape()), b_batch = batch_of(b.shape());
  if (b_batch.elements() == 1 && a_batch.elements() == batch.elements() && !shape.transpose_a) {
    shape.m *= batch.elements();  // one b for all: the rows of every a stand below each other
    return gemm(shape, from_a, from_b, to);
  }
  const Ints a_strides = broadcast_strides(a_batch, batch), b_strides = broadcast_strides(b_batch, batch);
  const std::int64_t work = shape.m * shape.n * shape.k;
  const auto range = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      gemm(shape, from_a + batch_position(i, batch, a_strides) * shape.m * shape.k,
           from_b + batch_position(i, batch, b_strides) * shape.k * shape.n, to + i * shape.m * shape.n);
    }
  };
  if (work >= product_grain)
    range(0, batch.elements());  // each product has threads of its own
  else
    parallel_for(batch.elements(), product_grain / std::max<std::int64_t>(work, 1), range);
}

}  // namespace

Shape matmul_shape(const Shape& a, const Shape& b, const MatmulOptions& options) {
  const std::int64_t rows = a[options.transpose_a ? -1 : -2], columns = b[options.transpose_b ? -2 : -1];
  if (a.rank() == 2 && b.rank() == 2) return {rows, columns};
  Ints extents = broadcast(batch_of(a), batch_of(b)).extents();
  extents.push_back(rows);
  extents.push_back(columns);
  return Shape(extents);
}

Tensor matmul_kernel(const Tensor& a, const Tensor& b, const MatmulOptions& options) {
  const Shape shape = matmul_shape(a.shape(), b.shape(), options);
  const GemmShape product{.m = shape[-2],
                          .n = shape[-1],
                          .k = a.extent(options.transpose_a ? -2 : -1),
                          .transpose_a = options.transpose_a,
                          .transpose_b = options.transpose_b,
                          .a_stride = a.extent(-1),
                          .b_stride = b.extent(-1),
                          .c_stride = shape[-1]};
  if (shape.elements() == 0 || product.k == 0) return Tensor::zeros(shape, a.dtype());
  Tensor y(shape, a.dtype());
  visit_floating(a.dtype(), [&]<class T>() { multiply<T>(product, a, b, y); });
  return y;
}

}  // namespace weft
