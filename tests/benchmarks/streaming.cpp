// streaming FILE [MEMORY_MB [BATCHES]]: trains the seed's CNN on u8 images [n, 64, 64, 3], x_train and
// y_train of FILE, streamed, and prints images per second, the share of the time that was spent waiting for
// batches, and the peak of the process's memory. streaming --compare FILE [MEMORY_MB [BATCHES [ROUNDS]]]: in
// turns streamed, from memory, and reading without training; medians, and the shares of what was possible.
// One thread reads while all cores compute, so that per image computing takes c, and reading r, on n cores no
// stream can be faster than c + r / n. streaming --make FILE GB LEVEL: writes such a file of that many GB in
// chunks of 64 images, deflated at LEVEL (0: not).
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <weft/weft.hpp>

#include "kernels/parallel.hpp"

using namespace weft;
using Clock = std::chrono::steady_clock;

namespace {

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Smooth pictures with noise in the lowest bits: they deflate to about two thirds, as photos do.
void make(const std::string& file, double gigabytes, int level) {
  const auto rows = static_cast<std::int64_t>(gigabytes * 1e9 / (64 * 64 * 3)) / 64 * 64;
  Tensor x({rows, 64, 64, 3}, DType::u8), y({rows}, DType::i64);
  const auto pixels = x.mutable_values<std::uint8_t>();
  Random random(1);
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (i % 16 == 0) bits = random.bits();
    pixels[i] =
        static_cast<std::uint8_t>((i / 3 % 64 + i / 192 % 64 + i / 12288) + (bits >> i % 16 * 4 & 15));
  }
  for (std::int64_t i = 0; i < rows; ++i)
    y.mutable_values<std::int64_t>()[static_cast<std::size_t>(i)] = i % 6;
  write_tensors(file, {{"x_train", x}, {"y_train", y}}, {.compression = level, .chunk_rows = 64});
}

struct Speed {
  std::int64_t images = 0;
  double seconds = 0, waiting = 0;
  double images_per_second() const { return static_cast<double>(images) / seconds; }
};

Speed measure(const DataSet& data, std::int64_t megabytes, std::int64_t most_batches, bool trains) {
  const nn::Sequential model{nn::Conv2d("conv1", 3, 8, {.window = 4, .padding = same, .relu = true}),
                             nn::Pool2d({.window = 8, .stride = 8, .padding = same}),
                             nn::Conv2d("conv2", 8, 16, {.window = 2, .padding = same, .relu = true}),
                             nn::Pool2d({.window = 4, .stride = 4, .padding = same}),
                             nn::Flatten(),
                             nn::Linear("dense", 64, 6)};
  Adam adam(parameters_of(model));
  BatchStream batches(data, {.batch_size = 64, .seed = 1, .memory = megabytes << 20});
  Graph g;
  Speed speed;
  batches.next();  // the first window is there
  const auto start = Clock::now();
  for (std::int64_t steps = 0; steps < most_batches; ++steps) {
    const auto asked = Clock::now();
    const auto batch = batches.next();
    speed.waiting += seconds_since(asked);
    if (!batch) break;
    speed.images += batch->tensor("y").elements();
    if (!trains) continue;
    g.clear();
    const Var x = g.input((Var(images_to_f32(batch->tensor("x"))) - 0.5).value());
    g.backward(softmax_crossentropy(model(x), batch->tensor("y")));
    adam.step();
    adam.zero_grad();
  }
  speed.seconds = seconds_since(start);
  return speed;
}

void stream(const std::string& file, std::int64_t megabytes, std::int64_t batches) {
  const Speed speed = measure(DataSet(file), megabytes, batches, true);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{} images, {:.0f} a second, {:.1f} % waiting, peak {} MB\n", speed.images,
             speed.images_per_second(), 100 * speed.waiting / speed.seconds, usage.ru_maxrss / 1024);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void compare(const std::string& file, std::int64_t megabytes, std::int64_t batches, std::int64_t rounds) {
  const DataSet on_disk(file), in_memory(file, {.in_memory = true});
  std::vector<double> streamed, from_memory, reading, of_memory, of_possible;
  for (std::int64_t round = 0; round < rounds; ++round) {
    streamed.push_back(measure(on_disk, megabytes, batches, true).images_per_second());
    from_memory.push_back(measure(in_memory, megabytes, batches, true).images_per_second());
    reading.push_back(measure(on_disk, megabytes, batches, false).images_per_second());
    const double possible = 1 / (1 / from_memory.back() + 1 / reading.back() / thread_count());
    of_memory.push_back(streamed.back() / from_memory.back());
    of_possible.push_back(streamed.back() / possible);
  }
  fmt::print("images a second: {:.0f} streamed, {:.0f} from memory, {:.0f} reading alone\n", median(streamed),
             median(from_memory), median(reading));
  fmt::print("streamed, of from memory: {:.2f}; of what reading plus computing allow on {} cores: {:.2f}\n",
             median(of_memory), thread_count(), median(of_possible));
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const auto number = [&](int i, std::int64_t otherwise) {
    return argc > i ? std::atoll(argv[i]) : otherwise;
  };
  if (mode == "--make" && argc == 5) {
    make(argv[2], std::atof(argv[3]), std::atoi(argv[4]));
  } else if (mode == "--compare" && argc > 2) {
    compare(argv[2], number(3, 256), number(4, 200), number(5, 7));
  } else if (argc > 1) {
    stream(argv[1], number(2, 256), number(3, INT64_MAX));
  } else {
    return 2;
  }
} catch (const Error& error) {
  fmt::print(stderr, "streaming: {}\n", error.what());
  return 1;
}
