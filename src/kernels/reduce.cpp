#include "kernels/reduce.hpp"

#include <algorithm>

#include "kernels/lanes.hpp"
#include "kernels/parallel.hpp"
#include "kernels/reduced_run.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

constexpr std::int64_t reduction_grain = 32768;  // elements read
// Blocks, so that rounding errors grow with the number of blocks and not of elements: of a row that is summed
// up, and of rows that are added to each other; of these so many columns at once as the cache holds.
constexpr std::int64_t row_block = 1024, rows_block = 256, columns_block = 4096;

// Several registers of sums: one would wait for itself.
template <class T>
WEFT_VECTOR_LOOP T sum_row(const T* x, std::int64_t count) {
  using V = typename Lanes<T>::Vector;
  constexpr std::int64_t lanes = Lanes<T>::count, vectors = 4;
  T total = 0;
  for (std::int64_t begin = 0; begin < count; begin += row_block) {
    const std::int64_t end = std::min(begin + row_block, count);
    V parts[vectors]{};
    std::int64_t i = begin;
    for (; i + vectors * lanes <= end; i += vectors * lanes) {
      for (std::int64_t v = 0; v < vectors; ++v) parts[v] += Lanes<T>::load(x + i + v * lanes);
    }
    const V part = (parts[0] + parts[1]) + (parts[2] + parts[3]);
    T sum = 0;
    for (std::int64_t lane = 0; lane < lanes; ++lane) sum += part[lane];
    for (; i < end; ++i) sum += x[i];
    total += sum;
  }
  return total;
}

// y_i = sum over the rows r of x_(r, i); four rows at once, to read and write y less often.
template <class T>
WEFT_VECTOR_LOOP void add_rows(const T* __restrict x, std::int64_t stride, std::int64_t rows, T* __restrict y,
                               std::int64_t columns) {
  for (std::int64_t i = 0; i < columns; ++i) y[i] = 0;
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * stride) {
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i)
      y[i] += (x[i] + x[i + stride]) + (x[i + 2 * stride] + x[i + 3 * stride]);
  }
  for (; r < rows; ++r, x += stride) {
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i) y[i] += x[i];
  }
}

// [outer, reduced, inner] -> [outer, blocks, inner], each block the sum of `block` neighbours.
template <class T>
void sum_blocks(const T* x, T* y, const ReducedRun& run, std::int64_t block, std::int64_t blocks) {
  const std::int64_t parts = (run.inner + columns_block - 1) / columns_block;
  const std::int64_t work = std::min(block, run.reduced) * std::min(columns_block, run.inner);
  const std::int64_t grain = std::max<std::int64_t>(1, reduction_grain / std::max<std::int64_t>(1, work));
  parallel_for(run.outer * blocks * parts, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t of_y = at / parts, first = at % parts * columns_block;
      const std::int64_t from = of_y % blocks * block, count = std::min(block, run.reduced - from);
      const T* rows = x + (of_y / blocks * run.reduced + from) * run.inner + first;
      if (run.inner == 1)
        y[of_y] = sum_row(rows, count);
      else
        add_rows(rows, run.inner, count, y + of_y * run.inner + first,
                 std::min(columns_block, run.inner - first));
    }
  });
}

// Sums over the run in rounds, until one block is left: the blocks, and so the sums, are the same for every
// number of threads.
Tensor sum_run(Tensor x, ReducedRun run) {
  for (;;) {
    const std::int64_t block = run.inner == 1 ? reduction_grain : rows_block;
    const std::int64_t blocks = std::max<std::int64_t>(1, (run.reduced + block - 1) / block);
    Tensor y(blocks == 1 ? run.result : Shape{run.outer, blocks, run.inner}, x.dtype());
    visit_floating(x.dtype(), [&]<class T>() {
      sum_blocks(x.values<T>().data(), y.mutable_values<T>().data(), run, block, blocks);
    });
    if (blocks == 1) return y;
    run.reduced = blocks;
    x = std::move(y);
  }
}

}  // namespace

Tensor reduce_sum(const Tensor& x, const Ints& axes, bool keep_axes) {
  Tensor current = x;
  for_each_run(x.shape(), axes, [&](const ReducedRun& run) { current = sum_run(std::move(current), run); });
  return current.reshape(reduced_shape(x.shape(), axes, keep_axes).extents());
}

}  // namespace weft
