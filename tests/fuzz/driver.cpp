// fuzz_TARGET SECONDS [FOLDER]: changes the target's seeds, and the files in FOLDER, at random for so long.
// The input that is being tried is in the file last_input_of_TARGET, for the case that it ends the process.
// fuzz_TARGET --seeds FOLDER: writes the target's seeds there, for libFuzzer.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <weft/random.hpp>

#include "fuzz.hpp"

namespace {

// A file that stays open: what is being tried is in it whatever happens, and nobody waits for the disk.
class LastInput {
 public:
  explicit LastInput(std::string path)
      : path_(std::move(path)), fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666)) {}
  LastInput(const LastInput&) = delete;
  LastInput& operator=(const LastInput&) = delete;
  ~LastInput() {
    ::close(fd_);
    std::filesystem::remove(path_);
  }
  void set(const std::string& input) const {
    const auto size = static_cast<ssize_t>(input.size());
    if (::pwrite(fd_, input.data(), input.size(), 0) != size || ::ftruncate(fd_, size) != 0) std::abort();
  }

 private:
  std::string path_;
  int fd_;
};

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t below(weft::Random& random, std::size_t bound) {
  return static_cast<std::size_t>(random.below(static_cast<std::int64_t>(bound)));
}

// One of: a flipped bit, an overwritten number, a cut, a copied stretch.
void change(std::string& input, weft::Random& random) {
  if (input.empty()) return;
  const std::size_t place = below(random, input.size());
  switch (random.below(6)) {
    case 0:
    case 1:
      input[place] ^= static_cast<char>(1 << random.below(8));
      break;
    case 2: {
      constexpr std::uint64_t odd[] = {0, 1, 0x7f, 0xff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, ~0ull};
      const std::uint64_t value = odd[below(random, 8)];
      const std::size_t size = std::min<std::size_t>(std::size_t{1} << random.below(4), input.size() - place);
      input.replace(place, size, reinterpret_cast<const char*>(&value), size);
      break;
    }
    case 3:
      input[place] = static_cast<char>(random.below(256));
      break;
    case 4:
      input.resize(place);
      break;
    default: {
      const std::string part = input.substr(below(random, input.size()), 1 + below(random, 64));
      input.insert(place, part);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> seeds = fuzz_seeds();
  if (argc == 3 && std::string_view(argv[1]) == "--seeds") {
    std::filesystem::create_directories(argv[2]);
    for (std::size_t i = 0; i < seeds.size(); ++i) write_file(fmt::format("{}/seed{}", argv[2], i), seeds[i]);
    return 0;
  }
  if (argc < 2) return 2;
  if (argc > 2 && std::filesystem::is_directory(argv[2])) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[2]))
      seeds.push_back(read_file(entry.path()));
  }
  weft::Random random(1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::atof(argv[1]));
  const LastInput last("last_input_of_" + std::filesystem::path(argv[0]).filename().string());
  std::int64_t runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    const bool is_first = runs < static_cast<std::int64_t>(seeds.size());  // each seed as it is
    std::string input = seeds[is_first ? static_cast<std::size_t>(runs) : below(random, seeds.size())];
    for (std::int64_t changes = is_first ? 0 : 1 + random.below(6); changes > 0; --changes)
      change(input, random);
    last.set(input);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  }
  fmt::print("{} inputs made of {} seeds\n", runs, seeds.size());
}
