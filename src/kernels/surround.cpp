#include "kernels/surround.hpp"

#include <algorithm>
#include <array>

#include "kernels/nest.hpp"

namespace weft {

namespace {

// What lies in front of x along an axis, x and what lies behind; in elements of a tensor that ends there.
struct Axis {
  std::int64_t before, inside, after;
  std::int64_t extent() const { return before + inside + after; }
};

// Outermost first. An axis that x fills is one with that in front of it: its elements go along.
class Box {
 public:
  Box(const Shape& x, const Shape& y, const Ints& begin) {
    for (int axis = 0; axis < y.rank(); ++axis) {
      const Axis next{begin[axis], x[axis], y[axis] - begin[axis] - x[axis]};
      if (count_ > 0 && next.inside == next.extent())
        last() = {last().before * next.inside, last().inside * next.inside, last().after * next.inside};
      else
        axes_[count_++] = next;
    }
    if (count_ == 0) axes_[count_++] = {0, 1, 0};
  }

  // Elements [begin, end) of y.
  template <class T>
  void fill(const T* x, T* y, std::int64_t begin, std::int64_t end, T value) const {
    const Axis& row = axes_[count_ - 1];
    while (begin < end) {
      const std::int64_t r = begin / row.extent(), column = begin % row.extent();
      const std::int64_t last = std::min(row.extent(), column + end - begin), from = row_of_x(r);
      const std::int64_t inside = std::clamp(row.before, column, last),
                         after = std::clamp(row.before + row.inside, column, last);
      T* const to = y + r * row.extent();
      if (from < 0) {
        std::fill(to + column, to + last, value);
      } else {
        std::fill(to + column, to + inside, value);
        std::copy_n(x + from * row.inside + inside - row.before, after - inside, to + inside);
        std::fill(to + after, to + last, value);
      }
      begin += last - column;
    }
  }

 private:
  Axis& last() { return axes_[count_ - 1]; }
  std::int64_t row_of_x(std::int64_t row) const {  // -1: none
    std::int64_t from = 0, step = 1;
    for (std::size_t axis = count_ - 1; axis-- > 0; row /= axes_[axis].extent()) {
      const std::int64_t index = row % axes_[axis].extent() - axes_[axis].before;
      if (index < 0 || index >= axes_[axis].inside) return -1;
      from += index * step;
      step *= axes_[axis].inside;
    }
    return from;
  }

  std::array<Axis, Shape::max_rank + 1> axes_;
  std::size_t count_ = 0;
};

}  // namespace

Tensor surround(const Tensor& x, const Shape& shape, const Ints& begin, double value) {
  Tensor y(shape, x.dtype());
  if (y.elements() == 0) return y;
  const Box box(x.shape(), shape, begin);
  visit_dtype(x.dtype(), [&]<class T>() {
    const T* from = x.values<T>().data();
    T* to = y.mutable_values<T>().data();
    parallel_for(y.elements(), elementwise_grain, [&](std::int64_t first, std::int64_t end) {
      box.fill(from, to, first, end, static_cast<T>(value));
    });
  });
  return y;
}

}  // namespace weft
