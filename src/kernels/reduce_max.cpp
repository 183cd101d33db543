#include "kernels/reduce_max.hpp"

#include <algorithm>
#include <numeric>

#include "kernels/lanes.hpp"
#include "kernels/parallel.hpp"
#include "kernels/vector_math.hpp"

namespace weft {

namespace {

constexpr std::int64_t reduction_grain = 16384;  // elements read

// Of NaNs, the first one found stays.
template <class T>
bool exceeds(T value, T largest) {
  return value > largest || (value != value && largest == largest);
}

// The largest of so many elements, or a NaN where there is one.
constexpr std::int64_t block = 128;
template <class T>
WEFT_VECTOR_LOOP T largest_of_block(const T* x) {
  using V = typename Lanes<T>::Vector;
  constexpr int lanes = Lanes<T>::count, vectors = 4;
  V largest[vectors];
  for (int v = 0; v < vectors; ++v) largest[v] = Lanes<T>::load(x + v * lanes);
  for (std::int64_t i = vectors * lanes; i < block; i += vectors * lanes) {
    for (int v = 0; v < vectors; ++v) {
      const V value = Lanes<T>::load(x + i + v * lanes);
      largest[v] = ((value > largest[v]) | (value != value)) ? value : largest[v];
    }
  }
  T result = largest[0][0];
  for (int v = 0; v < vectors; ++v) {
    for (int lane = 0; lane < lanes; ++lane)
      result = exceeds(largest[v][lane], result) ? largest[v][lane] : result;
  }
  return result;
}

// The first of [begin, end) that is larger than row[winner] and than all in front of it, or the winner.
template <class T>
std::int64_t first_larger(const T* row, std::int64_t begin, std::int64_t end, std::int64_t winner) {
  T largest = row[winner];
  for (std::int64_t i = begin; i < end; ++i) {
    if (!exceeds(row[i], largest)) continue;
    largest = row[i];
    winner = i;
  }
  return winner;
}

// Block by block; only in the one that holds the largest is its position looked for.
template <class T>
std::int64_t first_largest(const T* row, std::int64_t count) {
  T largest = row[0];
  std::int64_t found = 0, begin = 0;
  for (; begin + block <= count; begin += block) {
    const T value = largest_of_block(row + begin);
    if (!exceeds(value, largest)) continue;
    largest = value;
    found = begin;
  }
  const std::int64_t winner = first_larger(row, found, std::min(found + block, begin), found);
  return first_larger(row, begin, count, winner);
}

// [reduced, inner] -> [inner], row by row.
template <class T>
void largest_of_rows(const T* x, T* __restrict largest, std::int64_t* __restrict winner, std::int64_t reduced,
                     std::int64_t inner) {
  std::copy_n(x, inner, largest);
  std::iota(winner, winner + inner, std::int64_t{0});
  for (std::int64_t r = 1; r < reduced; ++r) {
    for (std::int64_t i = 0; i < inner; ++i) {
      const T value = x[r * inner + i];
      const bool wins = exceeds(value, largest[i]);
      largest[i] = wins ? value : largest[i];
      winner[i] = wins ? r * inner + i : winner[i];
    }
  }
}

// [outer, reduced, inner] -> [outer, inner]. `from` holds the positions of x's elements; none: their own
// order.
template <class T>
void max_middle(const T* x, const std::int64_t* from, T* values, std::int64_t* positions, std::int64_t outer,
                std::int64_t reduced, std::int64_t inner) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, reduction_grain / std::max<std::int64_t>(1, reduced * inner));
  parallel_for(outer, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o) {
      const std::int64_t first = o * reduced * inner;
      T* largest = values + o * inner;
      std::int64_t* winner = positions + o * inner;
      if (inner == 1) {
        *winner = first_largest(x + first, reduced);
        *largest = x[first + *winner];
      } else {
        largest_of_rows(x + first, largest, winner, reduced, inner);
      }
      for (std::int64_t i = 0; i < inner; ++i) winner[i] = from ? from[first + winner[i]] : first + winner[i];
    }
  });
}

}  // namespace

// One run of neighbouring axes after the other, the last run first: of equal elements the one with the
// smallest position in front wins, and among those the one with the smallest behind, which is row-major
// order.
Maxima reduce_max(const Tensor& x, const Ints& axes, bool keep_axes) {
  Maxima current{x, {}};
  for (int last = axes.size() - 1; last >= 0;) {
    int first = last;
    while (first > 0 && axes[first - 1] == axes[first] - 1) --first;
    std::int64_t outer = 1, reduced = 1, inner = 1;
    Ints extents = current.values.shape().extents();
    for (int axis = 0; axis < extents.size(); ++axis) {
      (axis < axes[first] ? outer : axis <= axes[last] ? reduced : inner) *= extents[axis];
      if (axis >= axes[first] && axis <= axes[last]) extents[axis] = 1;
    }
    Maxima next{Tensor(Shape(extents), x.dtype()), Tensor(Shape(extents), DType::i64)};
    const std::int64_t* from =
        current.positions.defined() ? current.positions.values<std::int64_t>().data() : nullptr;
    visit_floating(x.dtype(), [&]<class T>() {
      max_middle(current.values.values<T>().data(), from, next.values.mutable_values<T>().data(),
                 next.positions.mutable_values<std::int64_t>().data(), outer, reduced, inner);
    });
    current = next;
    last = first - 1;
  }
  if (!current.positions.defined()) current.positions = Tensor::zeros(x.shape(), DType::i64);
  const Ints extents = reduced_shape(x.shape(), axes, keep_axes).extents();
  return {current.values.reshape(extents), current.positions.reshape(extents)};
}

}  // namespace weft
