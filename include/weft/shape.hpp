// Shapes, and the one place that knows NumPy's broadcasting rules.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "weft/error.hpp"

namespace weft {

// Up to eight integers kept in place: axes, permutations, one number per axis.
class Ints {
 public:
  static constexpr int capacity = 8;

  constexpr Ints() = default;
  Ints(std::initializer_list<std::int64_t> values) : Ints(std::span(values.begin(), values.size())) {}
  explicit Ints(std::span<const std::int64_t> values);  // throws ShapeError for more than eight
  static Ints filled(int count, std::int64_t value);

  constexpr int size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr std::int64_t operator[](int i) const { return values_[static_cast<std::size_t>(i)]; }
  constexpr std::int64_t& operator[](int i) { return values_[static_cast<std::size_t>(i)]; }
  constexpr const std::int64_t* begin() const { return values_.data(); }
  constexpr const std::int64_t* end() const { return values_.data() + size_; }
  void push_back(std::int64_t value);  // throws ShapeError when full
  bool contains(std::int64_t value) const;

  friend bool operator==(const Ints& a, const Ints& b) {
    if (&a == &b) return true;  // as the shapes of two tensors of one type
    if (a.size_ != b.size_) return false;
    for (int i = 0; i < a.size_; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }

 private:
  std::array<std::int64_t, capacity> values_{};
  std::uint8_t size_ = 0;
};

// Extents of a tensor, outermost first; rank 0 is a scalar. Extents are never negative and the number of
// elements fits in 62 bits: the constructors throw ShapeError otherwise.
class Shape {
 public:
  static constexpr int max_rank = Ints::capacity;

  constexpr Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) : Shape(Ints(extents)) {}
  explicit Shape(std::span<const std::int64_t> extents) : Shape(Ints(extents)) {}
  explicit Shape(const Ints& extents);

  int rank() const { return extents_.size(); }
  std::int64_t operator[](int axis) const {
    return extents_[axis < 0 ? axis + rank() : axis];
  }  // -1: the last
  std::int64_t elements() const {
    std::int64_t count = 1;
    for (const std::int64_t extent : extents_) count *= extent;
    return count;
  }
  const std::int64_t* begin() const { return extents_.begin(); }
  const std::int64_t* end() const { return extents_.end(); }
  const Ints& extents() const { return extents_; }

  Shape with(int axis, std::int64_t extent) const;  // axis replaced
  Shape without(int axis) const;                    // axis removed
  Ints strides() const;                             // in elements, row-major

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  Ints extents_;
};

std::string to_string(const Shape& shape);  // "[8, 32, 32, 3]"
std::string to_string(const Ints& values);  // "(2, 3)"

// The position of `axis`, which may count from the end (-1: the last), in a tensor of `rank` axes. Throws
// ShapeError that names `who`, the op that asks.
int normalize_axis(std::string_view who, std::int64_t axis, int rank);

// Ascending positions of `axes`, each once; none given means all. Throws ShapeError that names `who`.
Ints normalize_axes(std::string_view who, const Ints& axes, int rank);

// NumPy's rule: shapes are aligned at their last axis; extents must agree or be 1.
bool broadcastable(const Shape& a, const Shape& b);
Shape broadcast(const Shape& a, const Shape& b);  // throws ShapeError where they do not fit
bool broadcastable_to(const Shape& from, const Shape& to);

// Strides, in elements, that read a tensor of shape `from` as if it had shape `to`; 0 along stretched axes.
Ints broadcast_strides(const Shape& from, const Shape& to);

// The shape that remains when `axes` (ascending, normalised) are reduced: removed, or kept with extent 1.
Shape reduced_shape(const Shape& shape, const Ints& axes, bool keep_axes);

}  // namespace weft
