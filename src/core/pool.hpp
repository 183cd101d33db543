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

 private:
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
};

}  // namespace weft::detail
