// Calls to the system allocator in training steps after the first, told apart by who makes them:
//   benchmark_allocations ROW [STEPS]
// prints a line "OBJECT CALLS" for each program file that calls, weft's own code (which is linked into this
// program) as "weft", and for each place in weft a line "at CALLS ADDRESS..." with its callers, innermost
// first, for addr2line. A call made through the C or C++ library counts for its caller.
#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "steps/steps.hpp"

namespace {

struct Call {
  std::array<void*, 24> frames;  // innermost first, of which the first is in this file
  int depth;
};

constinit std::array<Call, 100'000> calls{};
constinit std::atomic<std::size_t> call_count = 0;
constinit std::atomic<bool> is_counting = false;
constinit thread_local bool is_inside = false;

[[gnu::always_inline]] inline void note_call() {
  if (!is_counting || is_inside) return;
  is_inside = true;
  const std::size_t i = call_count++;
  if (i < calls.size()) calls[i].depth = backtrace(calls[i].frames.data(), std::ssize(calls[i].frames));
  is_inside = false;
}

}  // namespace

// They take the place of the C library's, under whose other names it keeps them.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) noexcept {
  note_call();
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) noexcept {
  note_call();
  return __libc_calloc(count, bytes);
}
void* realloc(void* block, std::size_t bytes) noexcept {
  note_call();
  return __libc_realloc(block, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  note_call();
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  note_call();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) noexcept {
  note_call();
  *block = __libc_memalign(alignment, bytes);
  return *block ? 0 : ENOMEM;
}
}

namespace {

struct Frame {
  std::string object;      // the program file's name
  std::uintptr_t address;  // in that file
};

Frame frame_of(void* return_address) {
  Dl_info info{};
  if (!dladdr(return_address, &info) || !info.dli_fname) return {"unknown", 0};
  const std::string_view path(info.dli_fname);
  const auto base = reinterpret_cast<std::uintptr_t>(info.dli_fbase);
  return {std::string(path.substr(path.rfind('/') + 1)),
          reinterpret_cast<std::uintptr_t>(return_address) - base - 1};
}

bool is_language_library(std::string_view object) {
  for (const std::string_view name : {"libc.so", "libstdc++.so", "ld-linux", "libm.so", "libgcc_s.so"}) {
    if (object.starts_with(name)) return true;
  }
  return false;
}

void report(std::span<const Call> noted) {
  const std::string program = frame_of(reinterpret_cast<void*>(&report)).object;
  std::map<std::string, int> by_object{{"weft", 0}};
  std::map<std::string, int> places;
  for (const Call& call : noted) {
    std::vector<Frame> frames;
    for (int i = 1; i < call.depth; ++i) frames.push_back(frame_of(call.frames[static_cast<std::size_t>(i)]));
    const auto caller =
        std::ranges::find_if(frames, [](const Frame& frame) { return !is_language_library(frame.object); });
    if (caller == frames.end() || caller->object != program) {
      ++by_object[caller == frames.end() ? "unknown" : caller->object];
      continue;
    }
    ++by_object["weft"];
    std::string place;
    for (auto frame = caller; frame != frames.end() && frame - caller < 6 && frame->object == program;
         ++frame)
      place += fmt::format(" {:#x}", frame->address);
    ++places[place];
  }
  for (const auto& [object, count] : by_object) fmt::print("{} {}\n", object, count);
  for (const auto& [place, count] : places) fmt::print("at {}{}\n", count, place);
}

}  // namespace

int main(int argc, char** argv) {
  const auto row = argc >= 2 ? steps.find(argv[1]) : steps.end();
  const int count = argc >= 3 ? std::atoi(argv[2]) : 10;
  if (row == steps.end() || count < 1) {
    fmt::print(stderr, "usage: benchmark_allocations ROW [STEPS], a row of training_rows.cpp\n");
    return 1;
  }
  const Step step = row->second();
  std::array<void*, 1> first_use_loads_a_library;
  backtrace(first_use_loads_a_library.data(), 1);
  double loss = step();
  is_counting = true;
  for (int i = 0; i < count; ++i) loss += step();
  is_counting = false;
  if (call_count > calls.size())
    fmt::print(stderr, "only the first {} of {} calls\n", calls.size(), call_count.load());
  report(std::span(calls).first(std::min(calls.size(), call_count.load())));
  return loss == loss ? 0 : 1;
}
