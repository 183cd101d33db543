// The types of tensors, one object for each.
#include <array>
#include <mutex>
#include <unordered_set>

#include "core/hash128.hpp"
#include "weft/tensor.hpp"

namespace weft {

namespace {

using detail::SharedType;

std::size_t hash_of(const Shape& shape, DType dtype) {
  std::uint64_t hash = static_cast<std::uint64_t>(dtype) + 1;
  for (const std::int64_t extent : shape) hash = Hash128::mix(hash ^ static_cast<std::uint64_t>(extent));
  return hash;
}

bool is(const SharedType& type, const Shape& shape, DType dtype) {
  return type.dtype == dtype && type.shape == shape;
}

struct Registry {
  struct Hash {
    std::size_t operator()(const SharedType& type) const { return hash_of(type.shape, type.dtype); }
  };
  struct Equal {
    bool operator()(const SharedType& a, const SharedType& b) const { return is(a, b.shape, b.dtype); }
  };
  std::mutex mutex;
  std::unordered_set<SharedType, Hash, Equal> types;
};

[[gnu::noinline]] const SharedType* registered(const Shape& shape, DType dtype) {
  static Registry* const registry = new Registry;  // never destroyed: tensors may outlive static objects
  const std::lock_guard lock(registry->mutex);
  return &*registry->types.insert({{shape, dtype}, shape.elements()}).first;
}

}  // namespace

const SharedType* detail::shared_type(const Shape& shape, DType dtype) {
  static constinit thread_local std::array<const SharedType*, 16> recent{};
  const SharedType*& entry = recent[hash_of(shape, dtype) % recent.size()];
  if (!entry || !is(*entry, shape, dtype)) entry = registered(shape, dtype);
  return entry;
}

}  // namespace weft
