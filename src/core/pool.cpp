#include "core/pool.hpp"

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

void Pool::add_block(std::uint8_t size_class) {
  if (returned_.load(std::memory_order_relaxed)) take_back_returned();
  if (free_[size_class]) return;
  const std::size_t size = bytes_of(size_class);
  void* block = std::aligned_alloc(64, (size + 63) / 64 * 64);
  if (!block) throw std::bad_alloc();
  ++statistics_.system_allocations;
  free_[size_class] = new (block) FreeBlock{nullptr, size_class};
  statistics_.cached += size;
}

void Pool::release(Pool* owner, void* block, std::uint8_t size_class) noexcept {
  auto* freed = new (block) FreeBlock{nullptr, size_class};
  if (owner == current_) {
    owner->take_back(freed);
    return;
  }
  freed->next = owner->returned_.load(std::memory_order_relaxed);
  while (!owner->returned_.compare_exchange_weak(freed->next, freed, std::memory_order_release)) {
  }
}

void Pool::take_back(FreeBlock* block) noexcept {
  const std::uint8_t size_class = block->size_class;
  const std::size_t size = bytes_of(size_class);
  block->next = free_[size_class];
  free_[size_class] = block;
  statistics_.live -= size;
  statistics_.cached += size;
  poison(block + 1, size - sizeof(FreeBlock));
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
  for (FreeBlock*& first : free_) {
    while (first) {
      const std::size_t size = bytes_of(first->size_class);
      statistics_.cached -= size;
      FreeBlock* block = first;
      first = first->next;
      unpoison(block, size);
      std::free(block);
    }
  }
}

}  // namespace weft::detail

namespace weft {

MemoryStatistics memory_statistics() { return detail::Pool::of_this_thread().statistics(); }
void release_cached_memory() { detail::Pool::of_this_thread().release_cached(); }

}  // namespace weft
