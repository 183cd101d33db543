#include "core/pool.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace weft::detail {

namespace {

// Every pool there is, and which have no thread now. Reached only when a thread begins or ends.
struct Registry {
  std::mutex mutex;
  std::vector<std::unique_ptr<Pool>> pools;
  std::vector<Pool*> idle;
};

Registry& registry() {
  static Registry* const registry = new Registry;  // never destroyed: tensors may outlive static objects
  return *registry;
}

}  // namespace

struct Pool::Lease {
  Pool* pool;
  Lease() {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    if (all.idle.empty()) {
      all.pools.push_back(std::make_unique<Pool>());
      pool = all.pools.back().get();
    } else {
      pool = all.idle.back();
      all.idle.pop_back();
    }
  }
  ~Lease() {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    all.idle.push_back(pool);
    current_ = nullptr;
  }
};

Pool& Pool::lease() {
  static thread_local Lease lease;
  current_ = lease.pool;
  return *current_;
}

void Pool::add_blocks(std::uint8_t size_class) {
  if (returned_.load(std::memory_order_relaxed)) take_back_returned();
  if (free_[size_class]) return;
  const std::size_t stride = stride_of(size_class), count = blocks_in_slab(size_class);
  slabs_.reserve(slabs_.size() + 1);
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(64, count * stride));
  if (!memory) throw std::bad_alloc();
  slabs_.push_back({memory, size_class});
  ++system_allocations_;
  held_ += count * bytes_of(size_class);
  for (std::size_t i = count; i-- > 0;) {
    free_[size_class] = new (memory + i * stride) FreeBlock{free_[size_class], size_class};
  }
}

void Pool::return_from_elsewhere(FreeBlock* block) noexcept {
  block->next = returned_.load(std::memory_order_relaxed);
  while (!returned_.compare_exchange_weak(block->next, block, std::memory_order_release)) {
  }
}

void Pool::take_back_returned() noexcept {
  FreeBlock* block = returned_.exchange(nullptr, std::memory_order_acquire);
  while (block) {
    FreeBlock* next = block->next;
    take_back(block);
    block = next;
  }
}

void Pool::release_cached() {
  take_back_returned();
  std::vector<std::byte*> cached;
  for (FreeBlock*& first : free_) {
    for (FreeBlock* block = first; block; block = block->next)
      cached.push_back(reinterpret_cast<std::byte*>(block));
    first = nullptr;
  }
  std::ranges::sort(cached);
  std::erase_if(slabs_, [&](const Slab& slab) {
    const std::size_t stride = stride_of(slab.size_class), count = blocks_in_slab(slab.size_class);
    const auto begin = std::ranges::lower_bound(cached, slab.memory);
    const auto end = std::ranges::lower_bound(cached, slab.memory + count * stride);
    if (static_cast<std::size_t>(end - begin) < count) {
      for (auto block = begin; block != end; ++block) {
        free_[slab.size_class] = new (*block) FreeBlock{free_[slab.size_class], slab.size_class};
      }
      return false;
    }
    unpoison(slab.memory, count * stride);
    std::free(slab.memory);
    held_ -= count * bytes_of(slab.size_class);
    return true;
  });
}

}  // namespace weft::detail

namespace weft {

MemoryStatistics memory_statistics() { return detail::Pool::of_this_thread().statistics(); }
void release_cached_memory() { detail::Pool::of_this_thread().release_cached(); }

}  // namespace weft
