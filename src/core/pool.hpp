// The memory of tensors. Each thread has a pool of blocks by size class; a block freed by another thread goes
// back to the pool it came from. Pools outlive their threads: a new thread takes over one that is idle.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "weft/tensor.hpp"

namespace weft::detail {

class Pool {
 public:
  static Pool& of_this_thread();

  // A block of at least `bytes`, aligned to 64. `size_class` is what release() wants back.
  void* allocate(std::size_t bytes, std::uint8_t& size_class);
  // From any thread.
  static void release(Pool* owner, void* block, std::uint8_t size_class) noexcept;

  MemoryStatistics statistics() const { return statistics_; }
  void release_cached();

  bool is_checking() const { return checking_; }
  void count_damage() noexcept { damaged_.fetch_add(1, std::memory_order_relaxed); }  // from any thread

 private:
  friend class CheckedMemory;
  struct FreeBlock {
    FreeBlock* next;
    std::uint8_t size_class;
  };
  static constexpr int class_count = 256;

  void take_back(FreeBlock* block) noexcept;
  void take_back_returned() noexcept;

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
