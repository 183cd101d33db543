// The only place that spreads computing over threads.
#pragma once

#include <cstdint>

namespace weft {

namespace detail {
[[gnu::tls_model("initial-exec")]] extern constinit thread_local int forced_threads;  // 0: none
void parallel_ranges(std::int64_t count, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t),
                     void* context);
// Takes a copy of f: what f holds need not lie in memory where it is called at once.
template <class F>
[[gnu::noinline]] void parallel_calls(std::int64_t count, std::int64_t grain, F f) {
  parallel_ranges(
      count, grain,
      [](void* context, std::int64_t begin, std::int64_t end) { (*static_cast<F*>(context))(begin, end); },
      &f);
}
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

// While it lives, libraries compute on the calling thread.
class OneThread {
 public:
  OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  ~OneThread();

 private:
  int outer_threads_;
};

// Whether parallel_for calls f once at most, on this thread.
inline bool runs_here(std::int64_t count, std::int64_t grain) {
  return count <= grain && detail::forced_threads == 0;
}

// Calls f(begin, end) for ranges that cover [0, count), on several threads where each gets at least `grain`;
// f must not throw. The ranges depend on count, grain and the number of threads alone.
template <class F>
[[gnu::always_inline]] inline void parallel_for(std::int64_t count, std::int64_t grain, F f) {
  if (!runs_here(count, grain)) return detail::parallel_calls(count, grain, f);
  if (count > 0) f(std::int64_t{0}, count);
}

}  // namespace weft
