// streaming FILE [MEMORY_MB [BATCHES]]: trains the seed's CNN on u8 images [n, 64, 64, 3], x_train and
// y_train of FILE, streamed, and prints images per second, the share of the time that was spent waiting for
// batches, and the peak of the process's memory. MEMORY_MB 0: the data is read into memory first. With
// `--make FILE GB LEVEL` such a file is written, of that many GB, chunks of 64 images, deflated at LEVEL (0:
// not).
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <string_view>
#include <weft/weft.hpp>

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

void measure(const std::string& file, std::int64_t megabytes, std::int64_t most_batches) {
  const nn::Sequential model{nn::Conv2d("conv1", 3, 8, {.window = 4, .padding = same, .relu = true}),
                             nn::Pool2d({.window = 8, .stride = 8, .padding = same}),
                             nn::Conv2d("conv2", 8, 16, {.window = 2, .padding = same, .relu = true}),
                             nn::Pool2d({.window = 4, .stride = 4, .padding = same}),
                             nn::Flatten(),
                             nn::Linear("dense", 64, 6)};
  Adam adam(parameters_of(model));
  BatchStream batches(DataSet(file, {.in_memory = megabytes == 0}),
                      {.batch_size = 64, .seed = 1, .memory = megabytes == 0 ? 256 << 20 : megabytes << 20});
  Graph g;
  double waiting = 0;
  std::int64_t images = 0, steps = 0;
  batches.next();  // the first window is there
  const auto start = Clock::now();
  while (steps < most_batches) {
    const auto asked = Clock::now();
    const auto batch = batches.next();
    waiting += seconds_since(asked);
    if (!batch) break;
    g.clear();
    const Var x = g.input((Var(images_to_f32(batch->tensor("x"))) - 0.5).value());
    g.backward(softmax_crossentropy(model(x), batch->tensor("y")));
    adam.step();
    adam.zero_grad();
    images += batch->tensor("y").elements();
    ++steps;
  }
  const double seconds = seconds_since(start);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{} images, {:.0f} a second, {:.1f} % waiting, peak {} MB\n", images,
             static_cast<double>(images) / seconds, 100 * waiting / seconds, usage.ru_maxrss / 1024);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 5 && std::string_view(argv[1]) == "--make") {
    make(argv[2], std::atof(argv[3]), std::atoi(argv[4]));
    return 0;
  }
  if (argc < 2) return 2;
  measure(argv[1], argc > 2 ? std::atoll(argv[2]) : 256, argc > 3 ? std::atoll(argv[3]) : INT64_MAX);
} catch (const Error& error) {
  fmt::print(stderr, "streaming: {}\n", error.what());
  return 1;
}
