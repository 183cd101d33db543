#include "core/pool.hpp"

#include <bit>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_POISONS_FREED_MEMORY
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_POISONS_FREED_MEMORY
#endif
#endif
#ifdef WEFT_POISONS_FREED_MEMORY
#include <sanitizer/asan_interface.h>
#endif

namespace weft::detail {

namespace {

// Under AddressSanitizer a cached block is as forbidden as one that was freed.
void poison([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#ifdef WEFT_POISONS_FREED_MEMORY
  __asan_poison_memory_region(block, bytes);
#endif
}
void unpoison([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#ifdef WEFT_POISONS_FREED_MEMORY
  __asan_unpoison_memory_region(block, bytes);
#endif
}

// Four classes per power of two from 64 bytes on: at most a quarter of a block is unused.
std::uint8_t class_of(std::size_t bytes) {
  if (bytes <= 64) return 0;
  const int power = std::bit_width(bytes - 1) - 1;  // 2^power < bytes <= 2^(power + 1)
  const std::size_t quarter = std::size_t{1} << (power - 2);
  const auto step = static_cast<int>((bytes - (std::size_t{1} << power) + quarter - 1) / quarter);  // 1 .. 4
  return static_cast<std::uint8_t>((power - 6) * 4 + step);
}

std::size_t bytes_of(std::uint8_t size_class) {
  const std::size_t power = std::size_t{64} << (size_class / 4);
  return power + power / 4 * (size_class % 4);
}

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

struct Lease {
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
    current = nullptr;
  }
  static inline thread_local Pool* current = nullptr;  // trivially destroyed: valid while the thread ends
};

}  // namespace

Pool& Pool::of_this_thread() {
  if (!Lease::current) {
    static thread_local Lease lease;
    Lease::current = lease.pool;
  }
  return *Lease::current;
}

void* Pool::allocate(std::size_t bytes, std::uint8_t& size_class) {
  size_class = class_of(bytes);
  const std::size_t size = bytes_of(size_class);
  if (!free_[size_class] && returned_.load(std::memory_order_relaxed)) take_back_returned();
  void* block = free_[size_class];
  if (block) {
    unpoison(block, size);
    free_[size_class] = free_[size_class]->next;
    statistics_.cached -= size;
  } else {
    block = std::aligned_alloc(64, (size + 63) / 64 * 64);
    if (!block) throw std::bad_alloc();
    ++statistics_.system_allocations;
  }
  statistics_.live += size;
  if (statistics_.live > statistics_.peak) statistics_.peak = statistics_.live;
  return block;
}

void Pool::release(Pool* owner, void* block, std::uint8_t size_class) noexcept {
  auto* freed = new (block) FreeBlock{nullptr, size_class};
  if (owner == Lease::current) {
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
