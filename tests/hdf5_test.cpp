// HDF5 files: tensors, the SIGNS layout, checkpoints, and what is said about files that are not as they
// should be.
#include "weft/hdf5.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <numeric>

#include "file_support.hpp"
#include "temporary_folder.hpp"
#include "weft/nn.hpp"

using namespace weft;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

using Names = std::vector<std::string>;

SignsData small_signs() {
  return {.train_x = counting({3, 64, 64, 3}, DType::u8),
          .train_y = Tensor::of<std::int64_t>({3}, {0, 5, 2}),
          .test_x = counting({2, 64, 64, 3}, DType::u8),
          .test_y = Tensor::of<std::int64_t>({2}, {1, 1}),
          .classes = counting({6}, DType::i64)};
}

const std::vector<NamedTensor> kinds{
    {"f32", counting({2, 3}, DType::f32)},  {"f64", Tensor::scalar(0.1, DType::f64)},
    {"i32", counting({3}, DType::i32)},     {"i64", Tensor::full({1, 2}, -5e15, DType::i64)},
    {"u8", counting({2, 1, 2}, DType::u8)}, {"boolean", Tensor::of<bool>({3}, {true, false, true})},
    {"none", Tensor::zeros({0, 4})},        {"a/group/of/tensors", counting({2, 2}, DType::f64)},
};

}  // namespace

// ---- tensors ----------------------------------------------------------------------------------------------

TEST_CASE("tensors of every dtype and rank come back as they were written", "[hdf5]") {
  const TemporaryFolder folder;
  write_tensors(folder / "t.h5", kinds);
  for (const auto& [name, tensor] : kinds) CHECK(is_same(read_tensor(folder / "t.h5", name), tensor));
  write_tensors(folder / "t.h5", {{"only", Tensor::scalar(1)}});
  CHECK_THROWS_AS(read_tensor(folder / "t.h5", "f32"), FileError);
  CHECK(folder.names() == Names{"t.h5"});
}

TEST_CASE("rows are read without the rest", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t.h5";
  write_tensors(file, {{"x", counting({5, 2}, DType::f32)}, {"s", Tensor::scalar(1)}});
  CHECK(is_same(read_rows(file, "x", 1, 2), Tensor::of<float>({2, 2}, {2, 3, 4, 5})));
  CHECK(read_rows(file, "x", 5, 0).shape() == Shape{0, 2});
  CHECK(error_of([&] { read_rows(file, "x", 4, 2); }) ==
        file + ": data set 'x' has 5 rows, needed 2 from row 4 on");
  CHECK(error_of([&] { read_rows(file, "x", -1, 2); }) ==
        file + ": data set 'x' has 5 rows, needed 2 from row -1 on");
  CHECK(error_of([&] { read_rows(file, "s", 0, 1); }) == file + ": data set 's' is a scalar, needed rows");
}

TEST_CASE("h5py reads what weft wrote", "[hdf5]") {
  if (!has_h5py()) return;
  const TemporaryFolder folder;
  write_tensors(folder / "t.h5", kinds);
  CHECK(python(R"(
f = h5py.File(path, 'r')
def check(name, dtype, values):
    x = f[name][()]
    assert x.dtype == dtype and x.shape == np.shape(values), (name, x)
    assert (x == np.array(values, dtype)).all(), (name, x)
check('f32', np.float32, [[0, 1, 2], [3, 4, 5]])
check('f64', np.float64, 0.1)
check('i32', np.int32, [0, 1, 2])
check('i64', np.int64, [[-5 * 10**15] * 2])
check('u8', np.uint8, [[[0, 1]], [[2, 3]]])
check('boolean', np.bool_, [True, False, True])
check('none', np.float32, np.zeros((0, 4)))
check('a/group/of/tensors', np.float64, [[0, 1], [2, 3]])
)",
               folder / "t.h5"));
}

TEST_CASE("weft reads what h5py wrote: other widths, byte orders, chunks, compression", "[hdf5]") {
  if (!has_h5py()) return;
  const TemporaryFolder folder;
  const std::string file = folder / "t.h5";
  REQUIRE(python(R"(
f = h5py.File(path, 'w')
f['f16'] = np.array([0.5, -2], np.float16)
f['big'] = np.array([1, 2**40], '>i8')
f['big_float'] = np.array([1.5], '>f8')
f['i8'] = np.array([-1, 1], np.int8)
f['u32'] = np.array([2**32 - 1], np.uint32)
f['bool'] = np.array([True, False])
images = np.arange(24, dtype=np.uint8).reshape(6, 4)
f.create_dataset('packed', data=images, chunks=(4, 4), compression='gzip', shuffle=True)
f['u64'] = np.array([1], np.uint64)
f['text'] = 'hand'
f['null'] = h5py.Empty('f')
f['pairs'] = np.zeros(2, [('a', 'f4'), ('b', 'i4')])
f['deep'] = np.zeros([1] * 9)
f['i16'] = np.array([-300], np.int16)
f['u16'] = np.array([65535], np.uint16)
f.create_dataset('large', shape=(2**20, 2**20), dtype='f8', chunks=(1, 64))
f.create_dataset('huge', shape=(2**31, 2**31, 2**31), dtype='f8', chunks=(1, 1, 64))
)",
                 file));
  CHECK(is_same(read_tensor(file, "f16"), Tensor::of<float>({2}, {0.5f, -2})));
  CHECK(is_same(read_tensor(file, "big"), Tensor::of<std::int64_t>({2}, {1, std::int64_t{1} << 40})));
  CHECK(is_same(read_tensor(file, "big_float"), Tensor::of<double>({1}, {1.5})));
  CHECK(is_same(read_tensor(file, "i8"), Tensor::of<std::int32_t>({2}, {-1, 1})));
  CHECK(is_same(read_tensor(file, "i16"), Tensor::of<std::int32_t>({1}, {-300})));
  CHECK(is_same(read_tensor(file, "u16"), Tensor::of<std::int32_t>({1}, {65535})));
  CHECK(is_same(read_tensor(file, "u32"), Tensor::of<std::int64_t>({1}, {4294967295})));
  CHECK(is_same(read_tensor(file, "bool"), Tensor::of<bool>({2}, {true, false})));
  CHECK(is_same(read_tensor(file, "packed"), counting({6, 4}, DType::u8)));
  CHECK(is_same(read_rows(file, "packed", 3, 2),
                Tensor::of<std::uint8_t>({2, 4}, {12, 13, 14, 15, 16, 17, 18, 19})));

  const auto error = [&](const char* name) { return error_of([&] { read_tensor(file, name); }); };
  CHECK(error("u64") == file + ": data set 'u64' has integers that do not fit into i64");
  CHECK(error("text") == file + ": data set 'text' has strings, needed numbers");
  CHECK(error("null") == file + ": data set 'null' is empty: it has no shape");
  CHECK(error("pairs") == file + ": data set 'pairs' has compounds, needed numbers");
  CHECK(error("deep") == file + ": data set 'deep' has rank 9, at most 8 is supported");
  CHECK(error("large") ==
        file + ": data set 'large' is f64[1048576, 1048576], which is more than this machine's memory");
  CHECK(read_rows(file, "large", 7, 0).shape() == Shape{0, 1048576});
  CHECK_THAT(error("huge"), StartsWith(file + ": data set 'huge' has a shape that no tensor can have: "));
}

TEST_CASE("a file that cannot be read is an error that says why", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t.h5";
  const auto error = [&](const std::string& name) { return error_of([&] { read_tensor(file, name); }); };
  CHECK(error("x") == file + ": is missing");
  std::filesystem::create_directory(file);
  CHECK(error("x") == file + ": is a folder, needed a file");
  std::filesystem::remove(file);
  write_text(file, "epoch,loss\n1,0.5\n");
  CHECK(error("x") == file + ": is no HDF5, safetensors or npz file");
  write_text(file, "");
  CHECK(error("x") == file + ": is no HDF5, safetensors or npz file");
  write_tensors(file, {{"x", counting({3}, DType::f32)}, {"net/w", counting({2}, DType::f32)}});
  CHECK(error("y") == file + ": data set 'y' is missing; the file has: net, net/w, x");
  CHECK(error("x/y") == file + ": data set 'x/y' is missing; the file has: net, net/w, x");
  CHECK(error("") == file + ": data set '(no name)' is missing; the file has: net, net/w, x");
  CHECK(error("net") == file + ": data set 'net' is a group, needed a data set");
  write_tensors(file, {});
  CHECK(error("y") == file + ": data set 'y' is missing; the file has: nothing");
}

TEST_CASE("a file cut off anywhere is an error", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string file = folder / "t.h5";
  write_tensors(file, {{"group/x", counting({1000}, DType::f64)}, {"y", counting({3}, DType::u8)}});
  const std::string whole = text_of(file);
  write_text(file, whole.substr(0, whole.size() / 2));
  CHECK_THAT(error_of([&] { read_tensor(file, "y"); }),
             StartsWith(file + ": is an HDF5 file, but damaged (HDF5: "));
  for (std::size_t length = 0; length < whole.size(); length += 61) {
    write_text(file, whole.substr(0, length));
    CHECK_THAT(error_of([&] { read_tensor(file, "group/x"); }), StartsWith(file + ": "));
  }
}

TEST_CASE("a file that cannot be written is an error, and what was there stays", "[hdf5]") {
  const TemporaryFolder folder;
  const Tensor x = counting({3}, DType::f32);
  const auto error = [&](const std::string& file, const std::vector<NamedTensor>& tensors) {
    return error_of([&] { write_tensors(file, tensors); });
  };
  const std::string file = folder / "t.h5";
  CHECK(error(folder / "no/t.h5", {{"x", x}}) ==
        folder / "no/t.h5" + ": cannot be written: there is no folder " + folder / "no");
  CHECK_THAT(error("/proc/t.h5", {{"x", x}}), StartsWith("/proc/t.h5: cannot be written"));
  write_tensors(file, {{"x", x}});
  CHECK_THAT(error(file, {{"x", x}, {"x/y", x}}), StartsWith(file + ": data set 'x/y' cannot be made"));
  CHECK_THAT(error(file, {{"x", x}, {"x", x}}), StartsWith(file + ": data set 'x' cannot be made"));
  CHECK(error(file, {{"y", Tensor()}}) == file + ": data set 'y' cannot be written: its tensor is empty");
  CHECK(is_same(read_tensor(file, "x"), x));
  CHECK(folder.names() == Names{"t.h5"});
  CHECK_THAT(error(folder.path(), {{"x", x}}), EndsWith("cannot be written: Is a directory"));
}

// ---- SIGNS ------------------------------------------------------------------------------------------------

TEST_CASE("SIGNS files come back as they were written", "[hdf5][signs]") {
  const TemporaryFolder folder;
  const SignsData data = small_signs();
  write_signs(folder / "new/signs", data);
  const SignsData read = read_signs(folder / "new/signs");
  CHECK(is_same(read.train_x, data.train_x));
  CHECK(is_same(read.train_y, data.train_y));
  CHECK(is_same(read.test_x, data.test_x));
  CHECK(is_same(read.test_y, data.test_y));
  CHECK(is_same(read.classes, data.classes));
}

TEST_CASE("the real SIGNS files are read", "[hdf5][signs]") {
  const std::string folder = WEFT_SHARED_DATA "/signs";
  if (!std::filesystem::exists(folder)) {
    WARN("skipped: there is no folder " << folder);
    return;
  }
  const auto total = [](const Tensor& images) {
    const auto values = images.values<std::uint8_t>();
    return std::accumulate(values.begin(), values.end(), std::int64_t{0});
  };
  const SignsData data = read_signs(folder);
  // Sums and first labels by h5py 3.7 and NumPy 1.24.
  CHECK(data.train_x.shape() == Shape{1080, 64, 64, 3});
  CHECK(total(data.train_x) == 2410274509);
  CHECK(is_same(read_rows(folder + "/train_signs.h5", "train_set_y", 0, 8),
                Tensor::of<std::int64_t>({8}, {2, 3, 5, 5, 1, 0, 3, 2})));
  CHECK(data.test_x.shape() == Shape{120, 64, 64, 3});
  CHECK(total(data.test_x) == 268289681);
  CHECK(data.test_x.at({0, 0, 0, 1}) == 224);
  CHECK(data.test_x.at({-1, -1, -1, 0}) == 204);
  CHECK(is_same(data.classes, counting({6}, DType::i64)));
}

TEST_CASE("SIGNS files of another layout are errors that say what is needed", "[hdf5][signs]") {
  const TemporaryFolder folder;
  const std::string train = folder / "train_signs.h5", test = folder / "test_signs.h5";
  const SignsData data = small_signs();
  write_signs(folder.path(), data);
  const auto error = [&](const Tensor& x, const Tensor& y, const Tensor& classes) {
    write_tensors(train, {{"train_set_x", x}, {"train_set_y", y}, {"list_classes", classes}});
    return error_of([&] { read_signs(folder.path()); });
  };
  const std::string x = train + ": data set 'train_set_x' ", y = train + ": data set 'train_set_y' ";
  CHECK(error(counting({3, 64, 64}, DType::u8), data.train_y, data.classes) ==
        x + "is u8[3, 64, 64], needed u8[n, 64, 64, 3]");
  CHECK(error(counting({3, 32, 32, 3}, DType::u8), data.train_y, data.classes) ==
        x + "is u8[3, 32, 32, 3], needed u8[n, 64, 64, 3]");
  CHECK(error(data.train_x.to(DType::f32), data.train_y, data.classes) ==
        x + "is f32[3, 64, 64, 3], needed u8[n, 64, 64, 3]");
  CHECK(error(Tensor::scalar(1, DType::u8), data.train_y, data.classes) ==
        x + "is u8[], needed u8[n, 64, 64, 3]");
  CHECK(error(data.train_x, data.train_y.to(DType::f64), data.classes) == y + "is f64[3], needed i64[n]");
  CHECK(error(data.train_x, data.train_y.reshape({1, 3}), data.classes) == y + "is i64[1, 3], needed i64[n]");
  CHECK(error(data.train_x, data.test_y, data.classes) ==
        y + "has 2 labels, needed 3: one per image of 'train_set_x'");
  CHECK(error(data.train_x, data.train_y, counting({5}, DType::i64)) ==
        y + "is wrong: label 5 at position 1, needed one of 0 .. 4");
  CHECK(error(data.train_x, data.train_y, counting({7}, DType::i64)) ==
        test +
            ": data set 'list_classes' is i64[6] {0, 1, 2, 3, 4, 5}, needed that of train_signs.h5, "
            "i64[7] {0, 1, 2, 3, 4, 5, 6}");
  write_tensors(train, {{"x_train", data.train_x}});
  CHECK(error_of([&] { read_signs(folder.path()); }) == x + "is missing; the file has: x_train");
  std::filesystem::remove(train);
  CHECK(error_of([&] { read_signs(folder.path()); }) == train + ": is missing");
}

TEST_CASE("SIGNS data of another layout is not written", "[hdf5][signs]") {
  const TemporaryFolder folder;
  SignsData data = small_signs();
  data.test_y = Tensor::of<std::int64_t>({2}, {1, 6});
  CHECK(error_of([&] { write_signs(folder.path(), data); }) ==
        folder / "test_signs.h5" +
            ": data set 'test_set_y' is wrong: label 6 at position 1, needed one of 0 .. 5");
  data.test_y = Tensor();
  CHECK_THROWS_AS(write_signs(folder.path(), data), Error);
  CHECK(folder.names().empty());
  write_text(folder / "file", "x");
  CHECK_THAT(error_of([&] { write_signs(folder / "file", small_signs()); }),
             StartsWith(folder / "file: cannot be made a folder: "));
}

// ---- checkpoints ------------------------------------------------------------------------------------------

TEST_CASE("parameters come back by name, and their version rises", "[hdf5][checkpoint]") {
  const TemporaryFolder folder;
  const Parameter w = he_normal("conv1/w", {2, 2, 3, 4}), b = ones("conv1/b", {4}, {.dtype = DType::f64});
  save_parameters({w, b}, folder / "weights.h5");
  const Parameter w2 = zeros("conv1/w", {2, 2, 3, 4}), b2 = zeros("conv1/b", {4}, {.dtype = DType::f64});
  load_parameters({b2, w2}, folder / "weights.h5");
  CHECK(is_same(w2.value(), w.value()));
  CHECK(is_same(b2.value(), b.value()));
  CHECK(w2.version() == 1);
  CHECK(folder.names() == Names{"weights.h5"});
}

TEST_CASE("h5py finds parameters as data sets in groups", "[hdf5][checkpoint]") {
  if (!has_h5py()) return;
  const TemporaryFolder folder;
  save_parameters({ones("net/conv1/w", {2, 3}), zeros("head", {1})}, folder / "weights.h5");
  CHECK(python(R"(
f = h5py.File(path, 'r')
assert sorted(f) == ['head', 'net'] and list(f['net/conv1']) == ['w']
assert (f['net']['conv1']['w'][()] == np.ones((2, 3), np.float32)).all()
)",
               folder / "weights.h5"));
}

TEST_CASE("loading checks all parameters before it changes one", "[hdf5][checkpoint]") {
  const TemporaryFolder folder;
  const std::string file = folder / "weights.h5";
  save_parameters({ones("a", {2}), ones("b", {3})}, file);
  const Parameter a = zeros("a", {2});
  const auto error = [&](const Parameter& second) {
    return error_of([&] { load_parameters({a, second}, file); });
  };
  CHECK(error(zeros("c", {3})) == file + ": data set 'c' is missing; the file has: a, b");
  CHECK(error(zeros("b", {4})) == file + ": data set 'b' is f32[3], needed f32[4]");
  CHECK(error(zeros("b", {3}, {.dtype = DType::f64})) == file + ": data set 'b' is f32[3], needed f64[3]");
  CHECK(a.version() == 0);
  CHECK(a.value().at({0}) == 0);
}

TEST_CASE("two parameters of one name are neither saved nor loaded", "[hdf5][checkpoint]") {
  const TemporaryFolder folder;
  const std::string file = folder / "weights.h5";
  const Parameter a = zeros("head/w", {2}), b = ones("head/w", {2});
  CHECK_THROWS_WITH(save_parameters({a, b}, file),
                    "save_parameters: two parameters have the name 'head/w': give each its own");
  CHECK(folder.names().empty());
  save_parameters({a}, file);
  CHECK_THROWS_WITH(load_parameters({a, b}, file),
                    "load_parameters: two parameters have the name 'head/w': give each its own");
}
