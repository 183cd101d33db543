#include "kernels/parallel.hpp"

#include <omp.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace weft {

int thread_count() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }

constinit thread_local int detail::forced_threads = 0;

ForcedThreads::ForcedThreads(int threads)
    : outer_forced_(detail::forced_threads), outer_threads_(omp_get_max_threads()) {
  detail::forced_threads = threads;
  omp_set_num_threads(threads);
}

ForcedThreads::~ForcedThreads() {
  detail::forced_threads = outer_forced_;
  omp_set_num_threads(outer_threads_);
}

// Threads of their own: OpenMP's spin while they wait, which is long where cores are busy.
static void forced_ranges(std::int64_t count, void (*body)(void*, std::int64_t, std::int64_t),
                          void* context) {
  const std::int64_t parts = std::min<std::int64_t>(detail::forced_threads, count);
  std::vector<std::jthread> others;
  for (std::int64_t part = 1; part < parts; ++part) {
    others.emplace_back([=] { body(context, count * part / parts, count * (part + 1) / parts); });
  }
  body(context, 0, count / parts);
}

void detail::parallel_ranges(std::int64_t count, std::int64_t grain,
                             void (*body)(void*, std::int64_t, std::int64_t), void* context) {
  if (count <= 0) return;
  if (forced_threads > 0) return forced_ranges(count, body, context);
  const std::int64_t parts =
      std::min<std::int64_t>(omp_get_max_threads(), count / std::max<std::int64_t>(grain, 1));
  if (parts <= 1 || omp_in_parallel()) return body(context, 0, count);
#pragma omp parallel num_threads(static_cast <int>(parts))
  {
    const std::int64_t part = omp_get_thread_num(), threads = omp_get_num_threads();
    const std::int64_t begin = count * part / threads, end = count * (part + 1) / threads;
    if (begin < end) body(context, begin, end);
  }
}

}  // namespace weft
