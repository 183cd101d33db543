#include "weft/tensor.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "core/new_tensor.hpp"
#include "core/pool.hpp"
#include "kernels/parallel.hpp"

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>  // glibc's
#endif

namespace weft {

namespace {

constexpr std::size_t header_bytes = (sizeof(detail::Storage) + 63) / 64 * 64;  // elements are aligned to 64
// So few elements lie in the header's own last line.
constexpr std::size_t bytes_in_header = header_bytes - sizeof(detail::Storage);

using detail::CheckedMemory;

// The guard bands in front of the elements and behind them.
bool is_damaged(const detail::Storage& storage) {
  const auto* data = static_cast<const unsigned char*>(storage.data);
  const auto bytes = static_cast<std::size_t>(storage.type->elements) * size_of(storage.dtype);
  const auto is_guard = [](unsigned char byte) { return byte == CheckedMemory::guard_value; };
  return !std::all_of(data - CheckedMemory::guard_bytes, data, is_guard) ||
         !std::all_of(data + bytes, data + bytes + CheckedMemory::guard_bytes, is_guard);
}

inline detail::Storage* new_storage(const detail::SharedType* type, std::size_t data_bytes) {
  detail::Pool& pool = detail::Pool::of_this_thread();
  std::uint8_t size_class = 0;
  const bool in_header = data_bytes <= bytes_in_header;
  void* block = pool.allocate(in_header ? header_bytes : header_bytes + data_bytes, size_class);
  void* data = static_cast<std::byte*>(block) + (in_header ? sizeof(detail::Storage) : header_bytes);
  return new (block) detail::Storage(type, type->dtype, data, &pool, size_class);
}

[[gnu::noinline]] detail::Storage* new_guarded_storage(const detail::SharedType* type,
                                                       std::size_t data_bytes) {
  const std::size_t guarded_bytes = data_bytes + 2 * CheckedMemory::guard_bytes;
  detail::Storage* storage = new_storage(type, guarded_bytes);
  auto* front = static_cast<unsigned char*>(storage->data);
  storage->data = front + CheckedMemory::guard_bytes;
  storage->is_plain = false;
  std::memset(front, CheckedMemory::guard_value, guarded_bytes);
  std::memset(storage->data, CheckedMemory::poison_value, data_bytes);
  return storage;
}

std::size_t offset_of(const Shape& shape, const Ints& index) {
  if (index.size() != shape.rank()) {
    throw ShapeError(fmt::format("index {} of a tensor of shape {}", to_string(index), to_string(shape)));
  }
  std::int64_t offset = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t i = index[axis] < 0 ? index[axis] + shape[axis] : index[axis];
    if (i < 0 || i >= shape[axis]) {
      throw ShapeError(
          fmt::format("index {} is outside a tensor of shape {}", to_string(index), to_string(shape)));
    }
    offset = offset * shape[axis] + i;
  }
  return static_cast<std::size_t>(offset);
}

}  // namespace

static bool is_only_thread() {
#if __has_include(<sys/single_threaded.h>)
  return __libc_single_threaded != 0;
#else
  return false;
#endif
}

void detail::SharedCount::add() noexcept {
  if (is_only_thread())
    count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  else
    count_.fetch_add(1, std::memory_order_relaxed);
}

bool detail::SharedCount::drop_shared() noexcept {
  if (!is_only_thread()) return count_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  count_.store(count_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  return false;
}

[[gnu::noinline]] static void release_view_or_guarded(detail::Storage* storage) noexcept {
  detail::Storage* base = storage->base;
  if (!base && is_damaged(*storage)) storage->owner->count_damage();
  detail::Pool::release(storage->owner, storage, storage->size_class);
  if (base && base->references.drop()) detail::release(base);
}

void detail::release(Storage* storage) noexcept {
  if (!storage->is_plain) return release_view_or_guarded(storage);
  Pool::release(storage->owner, storage, storage->size_class);
}

Tensor::Tensor(const Shape& shape, DType dtype) {
  const detail::SharedType* type = detail::shared_type(shape, dtype);
  const std::size_t data_bytes = static_cast<std::size_t>(type->elements) * size_of(dtype);
  storage_ = detail::Pool::of_this_thread().is_checking() ? new_guarded_storage(type, data_bytes)
                                                          : new_storage(type, data_bytes);
}

Tensor detail::new_of_type(const TensorType& type) { return Tensor(type.shape, type.dtype); }

Tensor Tensor::like(const Tensor& other) { return detail::NewTensor::like(other); }

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor tensor(shape, dtype);
  parallel_for(static_cast<std::int64_t>(tensor.bytes()), 1 << 20, [&](std::int64_t begin, std::int64_t end) {
    std::memset(static_cast<std::byte*>(tensor.mutable_data()) + begin, 0,
                static_cast<std::size_t>(end - begin));
  });
  return tensor;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor tensor(shape, dtype);
  visit_dtype(dtype,
              [&]<class T>() { std::ranges::fill(tensor.mutable_values<T>(), static_cast<T>(value)); });
  return tensor;
}

template <Element T>
Tensor Tensor::of(const Shape& shape, std::span<const T> values) {
  if (static_cast<std::int64_t>(values.size()) != shape.elements()) {
    throw ShapeError(fmt::format("{} values for a tensor of shape {}, which has {}", values.size(),
                                 to_string(shape), shape.elements()));
  }
  Tensor tensor(shape, dtype_of<T>());
  std::ranges::copy(values, tensor.mutable_values<T>().begin());
  return tensor;
}

template Tensor Tensor::of(const Shape&, std::span<const float>);
template Tensor Tensor::of(const Shape&, std::span<const double>);
template Tensor Tensor::of(const Shape&, std::span<const std::int32_t>);
template Tensor Tensor::of(const Shape&, std::span<const std::int64_t>);
template Tensor Tensor::of(const Shape&, std::span<const std::uint8_t>);
template Tensor Tensor::of(const Shape&, std::span<const bool>);

double Tensor::at(const Ints& index) const {
  const std::size_t offset = offset_of(shape(), index);
  return visit_dtype(dtype(), [&]<class T>() { return static_cast<double>(values<T>()[offset]); });
}

double Tensor::item() const {
  if (elements() != 1) {
    throw ShapeError(fmt::format("item() of a tensor of shape {}: it needs one element", to_string(shape())));
  }
  return visit_dtype(dtype(), [&]<class T>() { return static_cast<double>(values<T>()[0]); });
}

Tensor Tensor::to(DType wanted) const {
  if (dtype() == wanted) return *this;
  Tensor result(shape(), wanted);
  visit_dtype(dtype(), [&]<class From>() {
    visit_dtype(wanted, [&]<class To>() {
      std::ranges::transform(values<From>(), result.mutable_values<To>().begin(),
                             [](From value) { return static_cast<To>(value); });
    });
  });
  return result;
}

Tensor Tensor::reshape(const Ints& extents) const {
  Ints wanted = extents;
  std::int64_t known = 1;
  int inferred = -1;
  for (int axis = 0; axis < wanted.size(); ++axis) {
    if (wanted[axis] == -1 && inferred < 0) {
      inferred = axis;
    } else {
      known *= std::max<std::int64_t>(wanted[axis], 0);
    }
  }
  if (inferred >= 0 && known > 0) wanted[inferred] = elements() / known;
  const bool fits = std::ranges::all_of(wanted, [](std::int64_t e) { return e >= 0; }) &&
                    Shape(wanted).elements() == elements();
  if (!fits) {
    throw ShapeError(fmt::format("reshape: {} elements of shape {} do not fit into {}", elements(),
                                 to_string(shape()), to_string(extents)));
  }
  detail::Storage* base = storage_->base ? storage_->base : storage_;
  detail::Storage* view = new_storage(detail::shared_type(Shape(wanted), dtype()), 0);
  base->references.add();
  view->base = base;
  view->is_plain = false;
  view->data = storage_->data;
  return Tensor(view);
}

Tensor Tensor::clone() const {
  Tensor copy(shape(), dtype());
  if (bytes() > 0) std::memcpy(copy.mutable_data(), data(), bytes());
  return copy;
}

bool Tensor::shares_storage(const Tensor& other) const { return data() == other.data(); }

void Tensor::throw_undefined() {
  throw GraphError("an empty tensor was used: it has no shape and no elements");
}

void Tensor::throw_wrong_dtype(DType wanted) const {
  throw DTypeError(
      fmt::format("the tensor is {}, its elements were asked for as {}: convert with .to(DType::{})",
                  to_string(TensorType{shape(), dtype()}), name(wanted), name(wanted)));
}

}  // namespace weft
