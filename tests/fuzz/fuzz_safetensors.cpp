// The reader of safetensors.
#include <weft/random.hpp>

#include "fuzz.hpp"
#include "read_everything.hpp"

using namespace weft;

std::vector<std::string> fuzz_seeds() {
  const std::pair<std::string, std::string> about{"format", "pt"};
  write_safetensors(fuzz_file(),
                    std::vector<NamedTensor>{{"a/w", Random(1).normal({3, 4}, 0, 1)},
                                             {"b", Tensor::of<std::int64_t>({2}, {-1, 5})},
                                             {"none", Tensor::zeros({0, 2})}},
                    std::span(&about, 1));
  std::string half = bytes_of_fuzz_file();
  half.replace(half.find("F32"), 3, "I32");
  return {bytes_of_fuzz_file(), half};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 9 || data[8] != '{') return 0;  // no safetensors file at all
  read_plain(data, size);
  return 0;
}
