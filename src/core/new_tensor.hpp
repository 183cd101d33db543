// Tensor::like() for kernels that are called for a handful of elements.
#pragma once

#include "core/pool.hpp"

namespace weft::detail {

Tensor new_of_type(const TensorType& type);

struct NewTensor {
  // Most results are like an operand: its header says what else would be computed.
  [[gnu::always_inline]] static Tensor like(const Tensor& other) {
    const Storage& of = other.storage();
    Pool* pool = Pool::current();
    if (!of.is_plain || !pool || pool->is_checking() || !pool->has_block(of.size_class)) [[unlikely]]
      return new_of_type(*of.type);
    auto* storage = static_cast<Storage*>(pool->allocate_class(of.size_class));
    void* data = reinterpret_cast<std::byte*>(storage) +
                 (static_cast<const std::byte*>(of.data) - reinterpret_cast<const std::byte*>(&of));
    return Tensor(new (storage) Storage(of.type, of.dtype, data, pool, of.size_class));
  }
};

}  // namespace weft::detail
