#include "kernels/parallel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

#include "weft/error.hpp"
#include "weft/threads.hpp"

// The OpenMP runtime that oneDNN and OpenBLAS are linked to, GNU's, by its documented interface whatever
// compiler builds this: clang's own runtime beside it would be a second team of spinning threads in every
// process. https://gcc.gnu.org/onlinedocs/libgomp/Implementing-PARALLEL-Construct.html
extern "C" {
void omp_set_num_threads(int);
int omp_get_max_threads();
int omp_get_num_threads();
int omp_get_thread_num();
int omp_in_parallel();
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
}

namespace weft {

namespace {

constexpr int most_threads = 1024;  // OpenMP ends the process where it cannot start as many as were asked for

// OpenMP knows a count of each thread, which starts as OMP_NUM_THREADS says: whether this thread's was set.
constinit thread_local bool count_is_set = false;

int count_from_environment() {  // 0: not set
  const char* variable = std::getenv("WEFT_NUM_THREADS");
  const std::string_view text = variable ? variable : "";
  if (text.empty()) return 0;
  int n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n < 1 || n > most_threads) {
    throw Error(fmt::format("WEFT_NUM_THREADS takes a number of threads from 1 to {}, found '{}'",
                            most_threads, text));
  }
  return n;
}

}  // namespace

void set_threads(int n) {
  if (n < 1 || n > most_threads) {
    throw Error(fmt::format("set_threads takes 1 to {} threads, found {}", most_threads, n));
  }
  omp_set_num_threads(n);
  count_is_set = true;
}

int threads() {
  if (!count_is_set) {
    static const int wanted = count_from_environment();
    if (wanted > 0) omp_set_num_threads(wanted);
    count_is_set = true;
  }
  return omp_get_max_threads();
}

int thread_count() { return omp_in_parallel() ? 1 : threads(); }

constinit thread_local int detail::forced_threads = 0;

ForcedThreads::ForcedThreads(int count) : outer_forced_(detail::forced_threads), outer_threads_(threads()) {
  detail::forced_threads = count;
  omp_set_num_threads(count);
}

ForcedThreads::~ForcedThreads() {
  detail::forced_threads = outer_forced_;
  omp_set_num_threads(outer_threads_);
}

OneThread::OneThread() : outer_threads_(threads()) { omp_set_num_threads(1); }

OneThread::~OneThread() { omp_set_num_threads(outer_threads_); }

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
  const std::int64_t parts = std::min<std::int64_t>(thread_count(), count / std::max<std::int64_t>(grain, 1));
  if (parts <= 1) return body(context, 0, count);
  struct Ranges {
    std::int64_t count;
    void (*body)(void*, std::int64_t, std::int64_t);
    void* context;
  } ranges{count, body, context};
  const auto own_range = [](void* data) {
    const Ranges& all = *static_cast<const Ranges*>(data);
    const std::int64_t part = omp_get_thread_num(), threads = omp_get_num_threads();
    const std::int64_t begin = all.count * part / threads, end = all.count * (part + 1) / threads;
    if (begin < end) all.body(all.context, begin, end);
  };
  GOMP_parallel(own_range, &ranges, static_cast<unsigned>(parts), 0);
}

}  // namespace weft
