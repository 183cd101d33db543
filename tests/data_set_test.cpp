// Data sets of files and of memory: what is found in them, and the batches that are made of them.
#include "weft/data_set.hpp"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "file_support.hpp"
#include "weft/hdf5.hpp"

using namespace weft;
using Catch::Matchers::Contains;

namespace {

using Rows = std::vector<std::int64_t>;
using Strings = std::vector<std::string>;

// `rows` rows: x u8 [rows, 2, 3], whose first element is the row modulo 256, and y i64 [rows], the row.
std::vector<NamedTensor> numbered(std::int64_t rows) {
  Tensor x({rows, 2, 3}, DType::u8), y({rows}, DType::i64);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < 6; ++j)
      x.mutable_values<std::uint8_t>()[6 * i + j] = static_cast<std::uint8_t>(i + j);
    y.mutable_values<std::int64_t>()[i] = i;
  }
  return {{"x_train", x}, {"y_train", y}};
}

struct Epochs {
  std::vector<Rows> batches;  // the labels of each
};

// Every batch of `epochs` epochs; checks that x belongs to y, and that rows are told as they are.
Epochs take(BatchStream& stream, int epochs) {
  Epochs result;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    while (const auto batch = stream.next()) {
      const auto y = batch->tensor("y").values<std::int64_t>();
      const auto x = batch->tensor("x").values<std::uint8_t>();
      for (std::size_t i = 0; i < y.size(); ++i) {
        REQUIRE(x[6 * i + 4] == static_cast<std::uint8_t>(y[i] + 4));
        REQUIRE(batch->rows[i] == y[i]);
      }
      result.batches.emplace_back(y.begin(), y.end());
    }
  }
  return result;
}

Rows sorted_rows(const Epochs& epochs) {
  Rows all;
  for (const Rows& rows : epochs.batches) all.insert(all.end(), rows.begin(), rows.end());
  std::ranges::sort(all);
  return all;
}

Rows all_rows(std::int64_t count) {
  Rows rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

}  // namespace

TEST_CASE("a data set finds the equally long tensors of its part", "[data_set]") {
  const TemporaryFolder folder;
  const std::string file = folder / "d.h5";
  const Tensor x = counting({4, 2, 2, 3}, DType::u8), y = counting({4}, DType::i64);
  Hdf5Writer writer(file);
  writer.write("train_set_x", x);
  writer.write("train_set_y", y);
  writer.write("x_test", counting({2, 5}, DType::f32));
  writer.write("y_test", counting({2}, DType::i32));
  writer.write("other/images", x);
  writer.write("other/masks", x);
  writer.write_strings("list_classes", {"zero", "één"});
  writer.write("scalar_train", Tensor::scalar(1));
  writer.commit();

  const DataSet train(file);
  CHECK(train.rows() == 4);
  CHECK(train.names() == Strings{"x", "y"});
  CHECK(train.row_type("x") == TensorType{{2, 2, 3}, DType::u8});
  CHECK(train.class_names() == Strings{"zero", "één"});
  const auto rows = train.read(Rows{3, 0});
  CHECK(is_same(rows[1].second, Tensor::of<std::int64_t>({2}, {3, 0})));
  CHECK(DataSet(file, {.part = "test"}).row_type("x") == TensorType{{5}, DType::f32});
  CHECK(DataSet(file, {.group = "other", .part = ""}).names() == Strings{"images", "masks"});
  CHECK(DataSet(file, {.names = {"train_set_y"}}).names() == Strings{"train_set_y"});
  CHECK(error_of([&] { DataSet(file, {.part = "valid"}); }) ==
        file +
            ": has no data sets of the part 'valid'; it has: other/images, other/masks, train_set_x, "
            "train_set_y, x_test, y_test");
  CHECK(error_of([&] {
          DataSet(file, {.names = {"train_set_x", "y_test"}});
        }) == file + ": data set 'y_test' has 2 rows, needed 4 as 'train_set_x' has");
  CHECK(error_of([&] { DataSet(file, {.names = {"scalar_train"}}); }) ==
        file + ": data set 'scalar_train' is a scalar, needed rows");
  CHECK_THROWS_WITH(train.row_type("z"), "the data set has no 'z': it has x, y");
  CHECK_THROWS_WITH(train.read(Rows{4}), "row 4 of a data set that has 4");
}

TEST_CASE("fixed-length strings name the classes", "[data_set]") {
  if (!has_h5py()) return;
  const TemporaryFolder folder;
  const std::string file = folder / "d.h5";
  REQUIRE(python(R"(
f = h5py.File(path, 'w')
f['x_train'] = np.zeros((2, 3), np.float64)
f['classes'] = np.array(['fist', 'hand'.encode(), 'vier'], 'S6')
)",
                 file));
  CHECK(DataSet(file).class_names() == Strings{"fist", "hand", "vier"});
}

TEST_CASE("a stream gives every row once per epoch, in an order of its own, the same for the same seed",
          "[data_set]") {
  const TemporaryFolder folder;
  const std::string file = folder / "d.h5";
  const std::int64_t rows = GENERATE(1, 7, 1000);
  const std::int64_t chunk_rows = GENERATE(0, 1, 16);
  write_tensors(file, numbered(rows), {.compression = chunk_rows == 16 ? 1 : 0, .chunk_rows = chunk_rows});
  // 14 bytes a row: at 4000 bytes a window holds some of the rows, at 1 MB all.
  const std::int64_t memory = GENERATE(4000, 1 << 20);
  INFO(rows << " rows in chunks of " << chunk_rows << ", memory " << memory);
  const StreamOptions options{.batch_size = 13, .seed = 5, .memory = memory};
  BatchStream stream(DataSet(file), options);
  CHECK(stream.batches_per_epoch() == (rows + 12) / 13);
  const Epochs first = take(stream, 1), second = take(stream, 1);
  CHECK(sorted_rows(first) == all_rows(rows));
  CHECK(sorted_rows(second) == all_rows(rows));
  for (std::size_t i = 0; i + 1 < first.batches.size(); ++i) CHECK(first.batches[i].size() == 13);
  if (rows == 1000) CHECK(first.batches != second.batches);

  BatchStream again(DataSet(file), options);
  CHECK(take(again, 1).batches == first.batches);
  BatchStream in_memory(DataSet(file, {.in_memory = true}), options);
  CHECK(take(in_memory, 1).batches == first.batches);
  CHECK(take(in_memory, 1).batches == second.batches);
  BatchStream isolated(DataSet(file, {.read = {.isolated = true}}), options);
  CHECK(take(isolated, 1).batches == first.batches);
  BatchStream plain(DataSet(file), {.batch_size = 13, .shuffle = false, .memory = memory});
  Rows in_order;
  for (const Rows& batch : take(plain, 1).batches)
    in_order.insert(in_order.end(), batch.begin(), batch.end());
  CHECK(in_order == all_rows(rows));
}

TEST_CASE("a window shuffles rows of blocks from all over the file", "[data_set]") {
  BatchStream stream(DataSet({{"x", counting({4096}, DType::f64)}}),
                     {.batch_size = 512, .seed = 1, .memory = 21760});
  // 17 kB for two windows of 8 blocks, and a block that is read: 1024 bytes, 128 rows each.
  const auto batch = stream.next();
  std::set<std::int64_t> blocks;
  int neighbours = 0;
  for (std::size_t i = 0; i < batch->rows.size(); ++i) {
    blocks.insert(batch->rows[i] / 128);
    if (i > 0) neighbours += batch->rows[i] == batch->rows[i - 1] + 1;
  }
  CHECK(blocks.size() == 8);
  CHECK(neighbours < 8);
}

TEST_CASE("a stream goes on at any batch of any epoch as if all before had been taken", "[data_set]") {
  const TemporaryFolder folder;
  const std::string file = folder / "d.h5";
  write_tensors(file, numbered(100), {.chunk_rows = 8});
  const bool drop_last = GENERATE(false, true);
  const StreamOptions options{.batch_size = 9, .drop_last = drop_last, .seed = 2, .memory = 1000};
  BatchStream whole(DataSet(file), options);
  std::vector<std::vector<Rows>> epochs;
  for (int epoch = 0; epoch < 3; ++epoch) epochs.push_back(take(whole, 1).batches);
  CHECK(epochs[0].size() == (drop_last ? 11 : 12));
  BatchStream stream(DataSet(file), options);
  for (const auto& [epoch, batch] : {std::pair{0, 0}, {1, 5}, {0, 10}, {2, 1}, {1, 0}}) {
    stream.seek(epoch, batch);
    CHECK(stream.epoch() == epoch);
    CHECK(stream.batch() == batch);
    const auto rest = take(stream, 1).batches;
    CHECK(std::ranges::equal(rest, std::span(epochs[static_cast<std::size_t>(epoch)]).subspan(batch)));
    CHECK(stream.epoch() == epoch + 1);
  }
  CHECK_THROWS_WITH(stream.seek(0, 12), Contains("seek: batch 12 of epoch 0: an epoch has"));
}

TEST_CASE("splits share no row, and lose none", "[data_set]") {
  const TemporaryFolder folder;
  const std::string file = folder / "d.h5";
  write_tensors(file, numbered(1000), {.chunk_rows = 10});
  const auto parts = DataSet(file).split({0.8, 0.15, 0.05}, 3);
  CHECK(parts[0].rows() == 800);
  CHECK(parts[1].rows() == 150);
  Rows all;
  for (const DataSet& part : parts) {
    BatchStream stream(part, {.batch_size = 7, .seed = 1, .memory = 3000});
    const Rows rows = sorted_rows(take(stream, 1));
    CHECK(static_cast<std::int64_t>(rows.size()) == part.rows());
    all.insert(all.end(), rows.begin(), rows.end());
  }
  std::ranges::sort(all);
  CHECK(all == all_rows(1000));
  const auto again = DataSet(file).split({0.8}, 3)[0].read(Rows{0, 799});
  CHECK(is_same(again[1].second, parts[0].read(Rows{0, 799})[1].second));
  const auto of_part = parts[1].split({0.5, 0.5}, 1);
  CHECK(of_part[0].rows() + of_part[1].rows() == 150);
  CHECK_THROWS_WITH(parts[0].split({0.6, 0.6}, 1),
                    "split: shares 0.6, 0.6 must not be negative and add up to at most 1");
}

TEST_CASE("rows that are stored together must fit into the memory", "[data_set]") {
  const TemporaryFolder folder;
  const std::string file = folder / "d.h5";
  write_tensors(file, numbered(1000), {.chunk_rows = 500});
  CHECK_THROWS_WITH(BatchStream(DataSet(file), {.memory = 10000}),
                    file +
                        ": 500 rows of 14 bytes are stored together, so that streaming needs 26250 bytes of "
                        "memory, and 10000 are allowed");
  CHECK_NOTHROW(BatchStream(DataSet(file), {.memory = 26250}));
  CHECK_THROWS_AS(BatchStream(DataSet(file), {.batch_size = 0}), Error);
}

TEST_CASE("streaming takes no more memory than allowed, however large the file", "[data_set]") {
#if defined(__SANITIZE_ADDRESS__)
  WARN("skipped: AddressSanitizer keeps what is freed");
#else
  if (!has_h5py()) return;
  const TemporaryFolder folder;
  const std::string file = folder / "d.h5";
  // 100 MB of zeros that take no place on the disk.
  REQUIRE(python(R"(
f = h5py.File(path, 'w')
f.create_dataset('x_train', (8192, 64, 64, 3), 'u1', chunks=(64, 64, 64, 3))
f['y_train'] = np.zeros(8192, np.int64)
)",
                 file));
  const auto resident = [] {  // bytes
    std::int64_t pages = 0, of_which_resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> of_which_resident;
    return of_which_resident * ::sysconf(_SC_PAGESIZE);
  };
  constexpr std::int64_t memory = 8 << 20, batch = 64 * 12288;
  BatchStream stream(DataSet(file), {.batch_size = 64, .seed = 1, .memory = memory});
  const std::int64_t before = resident();
  std::int64_t most = 0, rows = 0;
  while (const auto next = stream.next()) {
    rows += next->tensor("x").extent(0);
    most = std::max(most, resident() - before);
  }
  CHECK(rows == 8192);
  INFO(most << " bytes more than before");
  CHECK(most < memory + 2 * batch + (4 << 20));  // and HDF5's caches
#endif
}

TEST_CASE("an error while streaming arrives at the one who takes batches", "[data_set]") {
  const TemporaryFolder folder;
  const std::string file = folder / "d.h5";
  write_tensors(file, numbered(1000), {.compression = 1, .chunk_rows = 10});
  const DataSet data(file, {.read = {.isolated = true}});  // HDF5 itself may crash on what follows
  std::string bytes = text_of(file);
  const auto third = static_cast<std::ptrdiff_t>(bytes.size() / 3);
  std::fill(bytes.begin() + third, bytes.begin() + 2 * third, '\xff');
  write_text(file, bytes);
  BatchStream stream(data, {.batch_size = 10, .memory = 1000});
  const auto take_all = [&] {
    while (stream.next()) continue;
  };
  CHECK_THROWS_WITH(take_all(), Contains(file + ": data set '") && Contains("cannot be read"));
  CHECK_THROWS_AS(take_all(), FileError);
}

TEST_CASE("an empty data set has empty epochs", "[data_set]") {
  BatchStream stream(DataSet({{"x", Tensor::zeros({0, 3})}}));
  CHECK_FALSE(stream.next());
  CHECK(stream.epoch() == 1);
  CHECK(stream.batches_per_epoch() == 0);
}

TEST_CASE("channels are measured in one pass and normalised", "[data_set][data]") {
  const TemporaryFolder folder;
  const std::string file = folder / "d.h5";
  const Tensor x = counting({500, 2, 3}, DType::f64);
  write_tensors(file, {{"x_train", x}});
  const ChannelStatistics streamed = channel_statistics(DataSet(file), "x");
  ChannelStatistics whole;
  whole.add(x);
  // Channel c of 0, 1, 2, ...: c, c + 3, ... of 1000 elements.
  const double deviation = 3 * std::sqrt((1000.0 * 1000.0 - 1) / 12);
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(streamed.mean()[c] == Approx(1.5 * 999 + static_cast<double>(c)));
    CHECK(streamed.deviation()[c] == Approx(deviation));
    CHECK(whole.deviation()[c] == Approx(deviation));
  }
  CHECK(streamed.count() == 1000);
  const Tensor y = normalize(x, streamed);
  CHECK(y.at({0, 0, 1}) == Approx(-1.5 * 999 / deviation));
  CHECK(normalize(counting({2, 3}, DType::u8), streamed).dtype() == DType::f32);
  CHECK_THROWS_WITH(normalize(counting({2, 2}, DType::f32), streamed),
                    "normalize: x is [2, 2], needed [..., 3]");
}

TEST_CASE("the real MNIST and SIGNS files are data sets", "[data_set]") {
  const std::string folder = WEFT_SHARED_DATA;
  if (!std::filesystem::exists(folder + "/mnist/mnist.h5")) {
    WARN("skipped: there is no folder " << folder << "/mnist");
    return;
  }
  const DataSet mnist(folder + "/mnist/mnist.h5", {.part = "test"});
  CHECK(mnist.rows() == 10000);
  CHECK(mnist.row_type("x") == TensorType{{28, 28}, DType::u8});
  std::map<std::int64_t, int> counts;
  BatchStream stream(mnist, {.batch_size = 100, .memory = 4 << 20});
  while (const auto batch = stream.next()) {
    for (const std::uint8_t label : batch->tensor("y").values<std::uint8_t>()) ++counts[label];
  }
  CHECK(counts[0] == 980);  // LeCun's test set
  CHECK(counts[1] == 1135);
  const DataSet signs(folder + "/signs/train_signs.h5");
  CHECK(signs.names() == Strings{"x", "y"});
  CHECK(signs.class_names() == Strings{"0", "1", "2", "3", "4", "5"});
}
