// Tensor: a value. Contiguous, row-major, channels last; a handle of one pointer on shared storage from a
// pool.
#pragma once

#include <atomic>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "weft/dtype.hpp"
#include "weft/shape.hpp"

namespace weft {

// dtype and shape, what an op's result has before it has a value: "f32[64, 28, 28, 6]".
struct TensorType {
  Shape shape;
  DType dtype = DType::f32;
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

namespace detail {

class Pool;

// The type of every tensor that has it, one object for each as long as the process runs, of about 120 bytes:
// types are equal where they are the same object.
struct SharedType : TensorType {
  std::int64_t elements;
};
const SharedType* shared_type(const Shape& shape, DType dtype);

// How many handles share something that may cross threads. Atomic instructions wait for every store before
// them: while the process has one thread, as glibc knows, the count does without, as std::shared_ptr's do.
class SharedCount {
 public:
  bool is_one() const { return count_.load(std::memory_order_acquire) == 1; }
  void add() noexcept;
  // add() for a caller who alone can reach a handle that is the only one.
  void add_to_one() { count_.store(2, std::memory_order_relaxed); }
  // Gives up one share; true for the last. The only handle needs no subtraction: nobody can copy it
  // meanwhile.
  bool drop() { return is_one() || drop_shared(); }

 private:
  bool drop_shared() noexcept;
  std::atomic<std::uint32_t> count_{1};
};

// The header in front of a tensor's elements. A reshaped tensor has a header of its own that leads to the
// storage it shares.
struct Storage {
  const SharedType* type;
  void* data;
  Storage* base = nullptr;  // whose elements these are; null: its own
  Pool* owner;
  SharedCount references;
  DType dtype;  // the type's
  std::uint8_t size_class;
  bool is_plain = true;  // no view, and not between guard bands (core/pool.hpp)

  Storage(const SharedType* type, DType dtype, void* data, Pool* owner, std::uint8_t size_class)
      : type(type), data(data), owner(owner), dtype(dtype), size_class(size_class) {}
};

void release(Storage* storage) noexcept;  // the last handle is gone
struct NewTensor;

}  // namespace detail

class Tensor {
 public:
  Tensor() = default;                                             // no tensor: defined() is false
  explicit Tensor(const Shape& shape, DType dtype = DType::f32);  // elements are not initialised

  static Tensor like(const Tensor& other);  // of its shape and dtype; elements are not initialised
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32);
  static Tensor scalar(double value, DType dtype = DType::f32) { return full({}, value, dtype); }

  // A copy of `values` in row-major order. Throws ShapeError where their number is not the shape's.
  template <Element T>
  static Tensor of(const Shape& shape, std::span<const T> values);
  template <Element T>
  static Tensor of(const Shape& shape, std::initializer_list<T> values) {
    return of(shape, std::span<const T>(values.begin(), values.size()));
  }
  template <Element T>
  static Tensor of(const Shape& shape, const std::vector<T>& values) {
    return of(shape, std::span<const T>(values));
  }

  Tensor(const Tensor& other) noexcept : storage_(other.storage_) {
    if (storage_) storage_->references.add();
  }
  Tensor(Tensor&& other) noexcept : storage_(std::exchange(other.storage_, nullptr)) {}
  Tensor& operator=(const Tensor& other) noexcept { return *this = Tensor(other); }
  Tensor& operator=(Tensor&& other) noexcept {
    const Tensor old(std::exchange(storage_, std::exchange(other.storage_, nullptr)));
    return *this;
  }
  friend void swap(Tensor& a, Tensor& b) noexcept { std::swap(a.storage_, b.storage_); }
  ~Tensor() {
    if (storage_ && storage_->references.drop()) detail::release(storage_);
  }

  bool defined() const { return storage_ != nullptr; }
  // The same object for every tensor of this type, as long as the process runs.
  const TensorType& type() const { return *storage().type; }
  const Shape& shape() const { return storage().type->shape; }
  DType dtype() const { return storage().dtype; }
  int rank() const { return shape().rank(); }
  std::int64_t extent(int axis) const { return shape()[axis]; }  // -1: the last
  std::int64_t elements() const { return storage().type->elements; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype()); }

  // The elements. T must be the dtype's C++ type: DTypeError otherwise. Writing is for whoever made the
  // tensor; every handle on it sees the change.
  template <Element T>
  std::span<const T> values() const {
    require_dtype(dtype_of<T>());
    return {static_cast<const T*>(storage_->data), static_cast<std::size_t>(elements())};
  }
  template <Element T>
  std::span<T> mutable_values() {
    require_dtype(dtype_of<T>());
    return {static_cast<T*>(storage_->data), static_cast<std::size_t>(elements())};
  }
  const void* data() const { return storage().data; }
  void* mutable_data() { return storage().data; }

  double at(const Ints& index) const;  // one element of any dtype; ShapeError where the index is outside
  double item() const;                 // the element of a tensor that has one; ShapeError otherwise

  Tensor to(DType dtype) const;               // converted like static_cast, itself where nothing changes
  Tensor reshape(const Ints& extents) const;  // shares storage; one extent may be -1: whatever is left
  Tensor clone() const;                       // storage of its own
  bool is_unique() const {                    // nobody else holds these elements
    const detail::Storage& s = storage();
    return s.references.is_one() && (!s.base || s.base->references.is_one());
  }
  bool is_only_handle() const { return storage_ && storage_->references.is_one(); }
  // A copy of a handle that the caller alone can reach: the first copy needs no atomic addition.
  Tensor share() { return is_only_handle() ? share_only_handle() : *this; }
  Tensor share_only_handle() {  // where it is
    storage_->references.add_to_one();
    return Tensor(storage_);
  }
  bool shares_storage(const Tensor& other) const;

 private:
  friend struct detail::NewTensor;
  explicit Tensor(detail::Storage* storage) : storage_(storage) {}
  const detail::Storage& storage() const {
    if (!storage_) throw_undefined();
    return *storage_;
  }
  void require_dtype(DType wanted) const {
    if (storage().dtype != wanted) throw_wrong_dtype(wanted);
  }
  [[noreturn]] static void throw_undefined();
  [[noreturn]] void throw_wrong_dtype(DType wanted) const;

  detail::Storage* storage_ = nullptr;
};

extern template Tensor Tensor::of(const Shape&, std::span<const float>);
extern template Tensor Tensor::of(const Shape&, std::span<const double>);
extern template Tensor Tensor::of(const Shape&, std::span<const std::int32_t>);
extern template Tensor Tensor::of(const Shape&, std::span<const std::int64_t>);
extern template Tensor Tensor::of(const Shape&, std::span<const std::uint8_t>);
extern template Tensor Tensor::of(const Shape&, std::span<const bool>);

// "f32[2, 3] {{1, 2, 3}, {4, 5, 6}}"; of a tensor with more than `max_elements` the ends of each axis.
std::string to_string(const Tensor& tensor, std::int64_t max_elements = 1000);

std::string to_string(const TensorType& type);

// What the calling thread's pool holds, in bytes.
struct MemoryStatistics {
  std::size_t live = 0;                // in tensors now
  std::size_t peak = 0;                // most that was ever live
  std::size_t cached = 0;              // freed, kept for the next tensor of that size
  std::size_t system_allocations = 0;  // calls to the system allocator so far
};
MemoryStatistics memory_statistics();
// Gives the calling thread's cached memory back to the system, but for what lies in one piece of 64 KB with a
// small tensor that lives.
void release_cached_memory();

}  // namespace weft
