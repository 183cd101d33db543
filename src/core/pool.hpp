// The memory of tensors. Each thread has a pool of blocks by size class; a block freed by another thread goes
// back to the pool it came from. Pools outlive their threads: a new thread takes over one that is idle.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

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
  static Pool* current() { return current_; }  // null: this thread has none yet

  // A block of at least `bytes`, aligned to 64. `size_class` is what release() wants back.
  void* allocate(std::size_t bytes, std::uint8_t& size_class) {
    size_class = class_of(bytes);
    return allocate_class(size_class);
  }
  void* allocate_class(std::uint8_t size_class) {  // the same, of a class that is known
    if (!free_[size_class]) add_blocks(size_class);
    FreeBlock* block = free_[size_class];
    const std::size_t size = bytes_of(size_class);
    unpoison(block, size);
    free_[size_class] = block->next;
    live_ += size;
    if (live_ > peak_) peak_ = live_;
    return block;
  }
  bool has_block(std::uint8_t size_class) const { return free_[size_class] != nullptr; }
  // From any thread.
  static void release(Pool* owner, void* block, std::uint8_t size_class) noexcept {
    auto* freed = new (block) FreeBlock{nullptr, size_class};
    if (owner == current_)
      owner->take_back(freed);
    else
      owner->return_from_elsewhere(freed);
  }

  MemoryStatistics statistics() const { return {live_, peak_, held_ - live_, system_allocations_}; }
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
  static std::size_t bytes_of(std::uint8_t size_class) { return class_bytes_[size_class]; }
  static constexpr std::array<std::size_t, class_count> class_bytes_ = [] {
    std::array<std::size_t, class_count> bytes{};
    bytes.fill(std::size_t{1} << 63);  // of classes that no system has memory for
    for (std::size_t c = 0; c < 4 * 58; ++c) bytes[c] = (4 + c % 4) << (c / 4 + 4);
    return bytes;
  }();

  // Small blocks are cut from slabs: side by side, without what the system's allocator puts between. Under
  // AddressSanitizer, which watches that, each block is a slab.
  struct Slab {
    std::byte* memory;
    std::uint8_t size_class;
  };
#ifdef WEFT_POISONS_FREED_MEMORY
  static constexpr std::size_t slab_bytes = 0;
#else
  static constexpr std::size_t slab_bytes = 64 * 1024;
#endif
  static std::size_t stride_of(std::uint8_t size_class) { return (bytes_of(size_class) + 63) / 64 * 64; }
  static std::size_t blocks_in_slab(std::uint8_t size_class) {
    const std::size_t stride = stride_of(size_class);
    return stride <= slab_bytes / 16 ? slab_bytes / stride : 1;
  }

  static Pool& lease();
  void add_blocks(std::uint8_t size_class);  // throws std::bad_alloc
  void take_back(FreeBlock* block) noexcept {
    const std::uint8_t size_class = block->size_class;
    const std::size_t size = bytes_of(size_class);
    block->next = free_[size_class];
    free_[size_class] = block;
    live_ -= size;
    poison(block + 1, size - sizeof(FreeBlock));
  }
  void return_from_elsewhere(FreeBlock* block) noexcept;
  void take_back_returned() noexcept;

  // Read without a call also in position-independent code.
  [[gnu::tls_model("initial-exec")]] static inline constinit thread_local Pool* current_ = nullptr;

  std::array<FreeBlock*, class_count> free_{};
  std::vector<Slab> slabs_;
  std::atomic<FreeBlock*> returned_{nullptr};  // freed by other threads
  std::size_t live_ = 0, peak_ = 0;            // bytes in tensors
  std::size_t held_ = 0;                       // bytes of all blocks
  std::size_t system_allocations_ = 0;
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
