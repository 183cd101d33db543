#include "kernels/reduce_max.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "kernels/lanes.hpp"
#include "kernels/parallel.hpp"
#include "kernels/reduced_run.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

constexpr std::int64_t reduction_grain = 16384;  // elements read

// Of NaNs, the first one found stays.
template <class T>
bool exceeds(T value, T largest) {
  return (value > largest) | ((value != value) & (largest == largest));
}

// The largest of at least `least` elements, or a NaN where there is one. Several registers of running maxima:
// one is a chain. A NaN is never larger: NaNs are tracked separately.
constexpr std::int64_t least = 32;
template <class T>
WEFT_VECTOR_LOOP T largest_of(const T* x, std::int64_t count) {
  using V = typename Lanes<T>::Vector;
  constexpr std::int64_t lanes = Lanes<T>::count, vectors = least / lanes;
  V largest[vectors];
  for (std::int64_t v = 0; v < vectors; ++v) largest[v] = Lanes<T>::load(x + v * lanes);
  auto not_numbers = largest[0] != largest[0];
  // The last elements are read again where whole blocks do not end with them.
  for (std::int64_t next = 0; next < count; next += least) {
    const T* block = x + std::min(next, count - least);
    for (std::int64_t v = 0; v < vectors; ++v) {
      const V value = Lanes<T>::load(block + v * lanes);
      largest[v] = value > largest[v] ? value : largest[v];
      not_numbers |= value != value;
    }
  }
  for (std::int64_t v = 1; v < vectors; ++v) largest[0] = largest[v] > largest[0] ? largest[v] : largest[0];
  T result = largest[0][0];
  for (std::int64_t lane = 0; lane < lanes; ++lane) {
    if (not_numbers[lane]) return std::numeric_limits<T>::quiet_NaN();
    result = std::max(result, largest[0][lane]);
  }
  return result;
}

// Position of the first element that `matches`; one must. Skips whole blocks without a match.
template <class T, class F>
[[gnu::always_inline]] inline std::int64_t first_match(const T* x, std::int64_t count, F matches) {
  constexpr std::int64_t block = 64;
  std::int64_t i = 0;
  for (; i + block <= count; i += block) {
    int found = 0;
#pragma omp simd reduction(| : found)
    for (std::int64_t k = 0; k < block; ++k) found |= matches(x[i + k]);
    if (found) break;
  }
  return std::find_if(x + i, x + count, matches) - x;
}

template <class T>
WEFT_VECTOR_LOOP std::int64_t position_of(T value, const T* x, std::int64_t count) {
  if (value != value) return first_match(x, count, [](T element) { return element != element; });
  return first_match(x, count, [=](T element) { return element == value; });
}

template <class T>
std::int64_t first_largest(const T* row, std::int64_t count) {
  if (count >= least) return position_of(largest_of(row, count), row, count);
  std::int64_t winner = 0;
  for (std::int64_t i = 1; i < count; ++i) winner = exceeds(row[i], row[winner]) ? i : winner;
  return winner;
}

template <class T>
using IndexLike = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

// The first largest of each column of a few rows, and its row.
template <class T>
WEFT_VECTOR_LOOP void largest_of_rows(const T* __restrict x, std::int64_t stride, std::int64_t rows,
                                      std::int64_t columns, T* __restrict largest,
                                      IndexLike<T>* __restrict winner) {
  for (std::int64_t i = 0; i < columns; ++i) {
    largest[i] = x[i];
    winner[i] = 0;
  }
  for (std::int64_t r = 1; r < rows; ++r) {
    x += stride;
    const auto row = static_cast<IndexLike<T>>(r);
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i) {
      const bool wins = exceeds(x[i], largest[i]);
      largest[i] = wins ? x[i] : largest[i];
      winner[i] = wins ? row : winner[i];
    }
  }
}

// So many rows and columns at a time, whose winners stay on the stack.
constexpr std::int64_t rows_block = 256, columns_block = 1024;

// [reduced, columns] of rows that lie `stride` apart -> [columns]
template <class T>
void largest_of_columns(const T* x, std::int64_t reduced, std::int64_t stride, std::int64_t columns,
                        T* largest, std::int64_t* row) {
  T of_block[columns_block];
  IndexLike<T> winner[columns_block];
  for (std::int64_t first = 0; first < reduced; first += rows_block) {
    const std::int64_t rows = std::min(rows_block, reduced - first);
    largest_of_rows(x + first * stride, stride, rows, columns, of_block, winner);
    for (std::int64_t i = 0; i < columns; ++i) {
      if (first > 0 && !exceeds(of_block[i], largest[i])) continue;
      largest[i] = of_block[i];
      row[i] = first + winner[i];
    }
  }
}

// [outer, reduced, inner] -> [outer, inner]. `from` holds the positions of x's elements; none: their own
// order.
template <class T>
void max_run(const T* x, const std::int64_t* from, T* values, std::int64_t* positions,
             const ReducedRun& run) {
  const std::int64_t parts = (run.inner + columns_block - 1) / columns_block;
  const std::int64_t work = run.reduced * std::min(columns_block, run.inner);
  const std::int64_t grain = std::max<std::int64_t>(1, reduction_grain / std::max<std::int64_t>(1, work));
  parallel_for(run.outer * parts, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t column = at % parts * columns_block,
                         columns = std::min(columns_block, run.inner - column);
      const std::int64_t first = at / parts * run.reduced * run.inner + column;
      const std::int64_t to = at / parts * run.inner + column;
      if (run.inner == 1) {
        positions[to] = first_largest(x + first, run.reduced);
        values[to] = x[first + positions[to]];
      } else {
        largest_of_columns(x + first, run.reduced, run.inner, columns, values + to, positions + to);
      }
      for (std::int64_t i = 0; i < columns; ++i) {
        const std::int64_t found = first + positions[to + i] * run.inner + i;
        positions[to + i] = from ? from[found] : found;
      }
    }
  });
}

}  // namespace

// Of equal elements the one with the smallest position in front wins, and among those the one with the
// smallest behind, which is row-major order.
Maxima reduce_max(const Tensor& x, const Ints& axes, bool keep_axes) {
  Maxima current{x, {}};
  for_each_run(x.shape(), axes, [&](const ReducedRun& run) {
    Maxima next{Tensor(run.result, x.dtype()), Tensor(run.result, DType::i64)};
    const std::int64_t* from =
        current.positions.defined() ? current.positions.values<std::int64_t>().data() : nullptr;
    visit_floating(x.dtype(), [&]<class T>() {
      max_run(current.values.values<T>().data(), from, next.values.mutable_values<T>().data(),
              next.positions.mutable_values<std::int64_t>().data(), run);
    });
    current = std::move(next);
  });
  if (!current.positions.defined()) current.positions = Tensor::zeros(x.shape(), DType::i64);
  const Ints extents = reduced_shape(x.shape(), axes, keep_axes).extents();
  return {current.values.reshape(extents), current.positions.reshape(extents)};
}

}  // namespace weft
