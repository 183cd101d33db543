// The memory of tensors. Each thread has a pool of blocks by size class; a block freed by another thread goes
// back to the pool it came from. Pools outlive their threads: a new thread takes over one that is idle.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "weft/tensor.hpp"

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

// Under AddressSanitizer a cached block is as forbidden as one that was freed.
inline void poison([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#ifdef WEFT_POISONS_FREED_MEMORY
  __asan_poison_memory_region(block, bytes);
#endif
}
inline void unpoison([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#ifdef WEFT_POISONS_FREED_MEMORY
  __asan_unpoison_memory_region(block, bytes);
#endif
}

class Pool {
 public:
  static Pool& of_this_thread() { return current_ ? *current_ : lease(); }

  // A block of at least `bytes`, aligned to 64. `size_class` is what release() wants back.
  void* allocate(std::size_t bytes, std::uint8_t& size_class) {
    size_class = class_of(bytes);
    if (!free_[size_class]) add_block(size_class);
    FreeBlock* block = free_[size_class];
    const std::size_t size = bytes_of(size_class);
    unpoison(block, size);
    free_[size_class] = block->next;
    statistics_.cached -= size;
    statistics_.live += size;
    if (statistics_.live > statistics_.peak) statistics_.peak = statistics_.live;
    return block;
  }
  // From any thread.
  static void release(Pool* owner, void* block, std::uint8_t size_class) noexcept;

  MemoryStatistics statistics() const { return statistics_; }
  void release_cached();

  bool is_checking() const { return checking_; }
  void count_damage() noexcept { damaged_.fetch_add(1, std::memory_order_relaxed); }  // from any thread

 private:
  friend class CheckedMemory;
  struct Lease;
  struct FreeBlock {
    FreeBlock* next;
    std::uint8_t size_class;
  };
  static constexpr int class_count = 256;

  // Four classes per power of two from 64 bytes on: at most a quarter of a block is unused.
  static std::uint8_t class_of(std::size_t bytes) {
    if (bytes <= 64) return 0;
    const int power = std::bit_width(bytes - 1) - 1;             // 2^power < bytes <= 2^(power + 1)
    const std::size_t quarter = (bytes - 1) >> (power - 2) & 3;  // 0 .. 3
    return static_cast<std::uint8_t>((power - 6) * 4 + static_cast<int>(quarter) + 1);
  }
  static std::size_t bytes_of(std::uint8_t size_class) {
    return (std::size_t{4} + size_class % 4) << (size_class / 4 + 4);
  }

  static Pool& lease();
  void add_block(std::uint8_t size_class);  // throws std::bad_alloc
  void take_back(FreeBlock* block) noexcept;
  void take_back_returned() noexcept;

  static inline constinit thread_local Pool* current_ = nullptr;

  std::array<FreeBlock*, class_count> free_{};
  std::atomic<FreeBlock*> returned_{nullptr};  // freed by other threads
  MemoryStatistics statistics_;
  bool checking_ = false;
  std::atomic<std::int64_t> damaged_{0};
};

// While it lives, new tensors of this thread are filled with NaN (integers with -1) and lie between guard
// bands, which are looked at when a tensor is released.
class CheckedMemory {
 public:
  static constexpr std::size_t guard_bytes = 64;
  static constexpr unsigned char guard_value = 0xa5, poison_value = 0xff;

  CheckedMemory() : pool_(Pool::of_this_thread()), outer_(pool_.checking_), before_(pool_.damaged_) {
    pool_.checking_ = true;
  }
  CheckedMemory(const CheckedMemory&) = delete;
  CheckedMemory& operator=(const CheckedMemory&) = delete;
  ~CheckedMemory() { pool_.checking_ = outer_; }

  // How many tensors were released with a damaged guard band since then.
  std::int64_t damaged() const { return pool_.damaged_ - before_; }

 private:
  Pool& pool_;
  bool outer_;
  std::int64_t before_;
};

}  // namespace weft::detail
