// The only place that spreads computing over threads.
#pragma once

#include <cstdint>
#include <functional>
#include <type_traits>

namespace weft {

namespace detail {
extern constinit thread_local int forced_threads;  // 0: none
void parallel_ranges(std::int64_t count, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t),
                     void* context);
}  // namespace detail

int thread_count();  // how many threads work may be spread over from here

// While it lives, work of this thread is spread over so many threads however small it is: for checks.
class ForcedThreads {
 public:
  explicit ForcedThreads(int count);
  ForcedThreads(const ForcedThreads&) = delete;
  ForcedThreads& operator=(const ForcedThreads&) = delete;
  ~ForcedThreads();

 private:
  int outer_forced_, outer_threads_;
};

// Calls f(begin, end) for ranges that cover [0, count), on several threads where each gets at least `grain`;
// f must not throw. The ranges depend on count, grain and the number of threads alone.
template <class F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& f) {
  if (count <= grain && detail::forced_threads == 0) {
    if (count > 0) f(std::int64_t{0}, count);
    return;
  }
  detail::parallel_ranges(
      count, grain,
      [](void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<std::remove_reference_t<F>*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&f)));
}

}  // namespace weft
