// Counts what operator new has given out. Tensors are not in it: they come from weft's pool, and TensorFile
// bounds each. The new of arrays and of aligned types stays as it is; readers use neither.
#include <malloc.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "fuzz.hpp"

namespace {

std::atomic<std::size_t> live{0}, most{SIZE_MAX};

void* allocate(std::size_t bytes) {
  void* block = std::malloc(bytes > 0 ? bytes : 1);
  if (block && (live += ::malloc_usable_size(block)) > most) {
    std::fputs("an input made its reader allocate more than it may\n", stderr);
    std::abort();
  }
  return block;
}

void release(void* block) {
  if (block) live -= ::malloc_usable_size(block);
  std::free(block);
}

}  // namespace

AllocationLimit::AllocationLimit(std::size_t bytes) { most = live + bytes; }
AllocationLimit::~AllocationLimit() { most = SIZE_MAX; }

void* operator new(std::size_t bytes) {
  if (void* block = allocate(bytes)) return block;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { release(block); }
