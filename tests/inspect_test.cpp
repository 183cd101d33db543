// The command weft-inspect: what it says of each kind of file, and its exit status.
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "file_support.hpp"
#include "weft/weft.hpp"

using namespace weft;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

struct Said {
  int status;
  std::string out, errors;
};

Said inspect(const std::string& arguments) {
  const TemporaryFolder folder;
  const int status =
      std::system((WEFT_INSPECT " " + arguments + " > " + folder / "out" + " 2> " + folder / "err").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(folder / "out"), text_of(folder / "err")};
}

}  // namespace

TEST_CASE("weft-inspect shows shapes, dtypes, storage, statistics, NaN counts and attributes", "[inspect]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t.h5";
  Hdf5Writer writer(file);
  writer.write("net/w", Tensor::of<float>({5}, {1, 2, NAN, INFINITY, NAN}));
  writer.write("images", counting({64, 3}, DType::u8),
               {.compression = 4, .chunk_rows = 16, .attributes = {{"unit", std::string("m\x1bm")}}});
  writer.write("empty", Tensor::zeros({0, 4}));
  writer.write("bad", Tensor::of<double>({1}, {NAN}));
  writer.write_strings("classes", {"a", "b"});
  writer.set_attribute("", "rate", Tensor::scalar(0.5, DType::f64));
  writer.set_attribute("net", "layers", std::vector<std::string>{"w", "b"});
  writer.commit();
  const Said said = inspect(file);
  CHECK(said.status == 0);
  CHECK(said.errors.empty());
  CHECK(said.out == file + R"(: HDF5
  @rate = f64 0.5
  bad  f64[1]  contiguous
      no finite element, 1 NaN, 0 infinite
  classes  strings[2]  contiguous
  empty  f32[0, 4]  contiguous
      no elements
  images  u8[64, 3]  chunks of (16, 3), shuffle, deflate
      0 .. 191, mean 95.5, deviation 55.4249, 0 NaN, 0 infinite
      @unit = m?m
  net/
      @layers = [w, b]
  net/w  f32[5]  contiguous
      1 .. 2, mean 1.5, deviation 0.5, 2 NaN, 1 infinite
)");
}

TEST_CASE("weft-inspect tells which kind of file it is", "[inspect]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t";
  const auto kind = [&] {
    const Said said = inspect(file);
    CHECK(said.status == 0);
    return said.out.substr(0, said.out.find('\n'));
  };
  const std::vector<NamedTensor> tensors{{"w", Tensor::zeros({2})}};
  const Parameter w = ones("dense/w", {2, 2});
  write_safetensors(file, tensors);
  CHECK(kind() == file + ": safetensors");
  write_npz(file, tensors);
  CHECK(kind() == file + ": npz");
  write_tensors(file, tensors);
  CHECK(kind() == file + ": HDF5");
  save_checkpoint({.parameters = {w}}, file);
  CHECK(kind() == file + ": HDF5, a checkpoint of weft's");
  save_keras_weights({w}, file, R"({"class_name":"Sequential"})");
  CHECK(kind() == file + ": HDF5, a Keras model with its weights");
  save_keras_weights({w}, file);
  CHECK(kind() == file + ": HDF5, weights of a Keras model");
  write_tensors(file, {{"train_set_x", Tensor::zeros({2})}});
  CHECK(kind() == file + ": HDF5, data in the layout of SIGNS");
  write_tensors(file, {{"x_train", Tensor::zeros({2})}});
  CHECK(kind() == file + ": HDF5, data in the layout of MNIST");
}

TEST_CASE("weft-inspect's exit status: 1 for what cannot be read, 2 for a wrong call", "[inspect]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t.h5", other = folder / "other.h5";
  write_text(file, "nothing");
  write_tensors(other, {{"x", Tensor::zeros({1000})}}, {.compression = 1});
  const Said both = inspect(file + " " + other);
  CHECK(both.status == 1);
  CHECK(both.errors == "weft-inspect: " + file + ": is no HDF5, safetensors or npz file\n");
  CHECK_THAT(both.out, StartsWith(other + ": HDF5\n  x  f32[1000]"));

  std::string bytes = text_of(other);
  const std::size_t deflated = bytes.find("\x78\x01");  // zlib's header at level 1
  REQUIRE(deflated != std::string::npos);
  bytes[deflated] = 0;
  write_text(other, bytes);
  const Said damaged = inspect(other);
  CHECK(damaged.status == 1);
  CHECK_THAT(damaged.out, Contains("data set 'x' cannot be read, the file is damaged"));

  const Said help = inspect("--help");
  CHECK(help.status == 0);
  CHECK_THAT(help.out, StartsWith("weft-inspect FILE...:") && Contains("Exit status: 0; 1 where"));
  CHECK(inspect("").status == 2);
  const Said wrong = inspect("--verbose");
  CHECK(wrong.status == 2);
  CHECK_THAT(wrong.errors, StartsWith("weft-inspect: unknown option\n"));
}
