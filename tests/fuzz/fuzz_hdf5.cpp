// HDF5 files of every kind, in isolation: whatever happens to the helper, the caller gets a FileError or
// values.
#include <weft/weft.hpp>

#include "fuzz.hpp"
#include "read_everything.hpp"

using namespace weft;

namespace {

constexpr ReadOptions isolated{.isolated = true, .seconds = 10, .max_bytes = largest_tensor};

struct Model {
  Parameter w = he_normal("d/w", {4, 2}), b = zeros("d/b", {2});
  Adam adam{{w, b}};
  std::int64_t step = 3;
  TrainingState state() { return {.parameters = {w, b}, .optimizer = &adam, .step = &step}; }
};

constexpr const char* config =
    R"({"class_name":"Sequential","config":{"layers":[)"
    R"({"class_name":"InputLayer","config":{"batch_input_shape":)"
    R"([null,4]}},)"
    R"({"class_name":"Dense","config":{"name":"d","units":2,"activation":"softmax"}}]}})";

}  // namespace

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds;
  Hdf5Writer writer(fuzz_file());
  writer.write("train/x", Random(1).normal({20, 3}, 0, 1), {.compression = 3, .chunk_rows = 7});
  writer.write("train/y", Tensor::of<std::uint8_t>({3}, {1, 2, 3}),
               {.attributes = {{"unit", std::string("m")}}});
  writer.write_strings("classes", {"one", "two"});
  writer.commit();
  seeds.push_back(bytes_of_fuzz_file());
  Model model;
  save_checkpoint(model.state(), fuzz_file());
  seeds.push_back(bytes_of_fuzz_file());
  save_keras_weights({model.w, model.b}, fuzz_file(), config);
  seeds.push_back(bytes_of_fuzz_file());
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > largest_input) return 0;
  write_fuzz_file(data, size);
  read_everything(isolated);
  try {
    Model model;
    load_checkpoint(model.state(), fuzz_file(), isolated);
  } catch (const FileError&) {
  }
  try {
    load_keras_model(fuzz_file(), {.read = isolated});
  } catch (const FileError&) {
  }
  return 0;
}
