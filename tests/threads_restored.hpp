// Restores the number of threads at the end of a test that sets it.
#pragma once

#include "weft/threads.hpp"

class ThreadsRestored {
 public:
  ThreadsRestored() = default;
  explicit ThreadsRestored(int threads_until_then) { weft::set_threads(threads_until_then); }
  ThreadsRestored(const ThreadsRestored&) = delete;
  ThreadsRestored& operator=(const ThreadsRestored&) = delete;
  ~ThreadsRestored() { weft::set_threads(before_); }

 private:
  int before_ = weft::threads();
};
