// Nested loops over the elements of a shape that several sides, operands and results, walk with strides of
// their own.
#pragma once

#include <algorithm>
#include <array>

#include "kernels/parallel.hpp"
#include "weft/shape.hpp"

namespace weft {

inline constexpr std::int64_t elementwise_grain = 32768;  // elements: less is not worth a second thread

// The innermost two loops are a tile of rows and columns. Loops that all N sides walk as one are merged;
// there are always two, if need be of extent 1.
template <std::size_t N>
class Nest {
 public:
  using Positions = std::array<std::int64_t, N>;  // of each side, in elements
  struct Loop {
    std::int64_t extent = 1;
    Positions step = {};
  };

  // No extent may be 0.
  Nest(const Shape& shape, const std::array<Ints, N>& strides) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      Loop loop{shape[axis], {}};
      if (loop.extent == 1) continue;
      for (std::size_t side = 0; side < N; ++side) loop.step[side] = strides[side][axis];
      if (count_ > 2 && continues(loops_[count_ - 1], loop))
        loops_[count_ - 1] = {loops_[count_ - 1].extent * loop.extent, loop.step};
      else
        loops_[count_++] = loop;
    }
  }

  const Loop& column() const { return loops_[count_ - 1]; }
  const Loop& row() const { return loops_[count_ - 2]; }

  // Where a loop around the columns is one in which `side` walks element by element, it becomes that of the
  // rows.
  void make_rows_dense(std::size_t side) {
    const auto columns = loops_.begin() + static_cast<std::ptrdiff_t>(count_) - 1;
    const auto dense =
        std::find_if(loops_.begin(), columns, [&](const Loop& loop) { return loop.step[side] == 1; });
    if (dense != columns) std::rotate(dense, dense + 1, columns);
  }

  // Calls tile(positions, rows, columns) for tiles that cover everything once, on several threads where each
  // gets elementwise_grain elements at least.
  template <class Tile>
  void for_each_tile(Tile&& tile) const {
    std::int64_t rows = 1;
    for (std::size_t i = 0; i + 1 < count_; ++i) rows *= loops_[i].extent;
    const std::int64_t columns = column().extent;
    if (rows == 1) {
      parallel_for(columns, elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
        Positions at{};
        advance(at, column(), begin);
        tile(at, std::int64_t{1}, end - begin);
      });
      return;
    }
    parallel_for(rows, (elementwise_grain + columns - 1) / columns,
                 [&](std::int64_t begin, std::int64_t end) {
                   while (begin < end) {
                     const std::int64_t count = std::min(row().extent - begin % row().extent, end - begin);
                     tile(positions_of_row(begin), count, columns);
                     begin += count;
                   }
                 });
  }

 private:
  static bool continues(const Loop& around, const Loop& loop) {
    for (std::size_t side = 0; side < N; ++side) {
      if (around.step[side] != loop.step[side] * loop.extent) return false;
    }
    return true;
  }
  static void advance(Positions& at, const Loop& loop, std::int64_t count) {
    for (std::size_t side = 0; side < N; ++side) at[side] += count * loop.step[side];
  }
  Positions positions_of_row(std::int64_t index) const {
    Positions at{};
    for (std::size_t i = count_ - 1; i-- > 0;) {
      advance(at, loops_[i], index % loops_[i].extent);
      index /= loops_[i].extent;
    }
    return at;
  }

  std::array<Loop, Shape::max_rank + 2> loops_;  // outermost first; the first two are of extent 1
  std::size_t count_ = 2;
};

}  // namespace weft
