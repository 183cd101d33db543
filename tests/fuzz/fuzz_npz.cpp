// The reader of npz.
#include <string_view>
#include <weft/random.hpp>

#include "fuzz.hpp"
#include "read_everything.hpp"

using namespace weft;

std::vector<std::string> fuzz_seeds() {
  const std::vector<NamedTensor> tensors{{"a/w", Random(1).normal({3, 4}, 0, 1)},
                                         {"b", Tensor::of<std::int64_t>({2}, {-1, 5})},
                                         {"none", Tensor::zeros({0, 2})}};
  std::vector<std::string> seeds;
  for (const bool compressed : {false, true}) {
    write_npz(fuzz_file(), tensors, compressed);
    seeds.push_back(bytes_of_fuzz_file());
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4 || std::string_view(reinterpret_cast<const char*>(data), 2) != "PK") return 0;
  read_plain(data, size);
  return 0;
}
