#include "kernels/parallel.hpp"

#include <omp.h>

#include <algorithm>

namespace weft {

int thread_count() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }

void detail::parallel_ranges(std::int64_t count, std::int64_t grain,
                             void (*body)(void*, std::int64_t, std::int64_t), void* context) {
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
