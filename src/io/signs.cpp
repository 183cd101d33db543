#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "io/file_reader.hpp"
#include "weft/data.hpp"
#include "weft/hdf5.hpp"
#include "weft/train.hpp"

namespace weft {

namespace {

// One of the two files: "train" or "test".
struct Part {
  Tensor x, y, classes;
};

std::string path_of(const std::string& folder, std::string_view part) {
  return (std::filesystem::path(folder) / fmt::format("{}_signs.h5", part)).string();
}

// "u8[n, 64, 64, 3]" for an image set, "i64[n]" for labels: n is any extent.
void require_layout(const std::string& file, const std::string& dataset, const TensorType& found, DType dtype,
                    std::initializer_list<std::int64_t> row) {
  Ints needed{found.shape.rank() > 0 ? found.shape[0] : 0};
  for (const std::int64_t extent : row) needed.push_back(extent);
  if (found.dtype == dtype && found.shape.extents() == needed) return;
  std::string row_text;
  for (const std::int64_t extent : row) row_text += fmt::format(", {}", extent);
  io::fail(file, dataset, fmt::format("is {}, needed {}[n{}]", to_string(found), name(dtype), row_text));
}

void require_count(const std::string& file, const std::string& y_name, const Tensor& y,
                   const std::string& x_name, std::int64_t images) {
  if (y.extent(0) == images) return;
  io::fail(file, y_name,
           fmt::format("has {} labels, needed {}: one per image of '{}'", y.extent(0), images, x_name));
}

void require_classes(const std::string& file, const std::string& y_name, const Tensor& y,
                     const Tensor& classes) {
  try {
    require_labels(y, y.extent(0), classes.extent(0));
  } catch (const Error& error) {
    io::fail(file, y_name, fmt::format("is wrong: {}", error.what()));
  }
}

Part read_part(const std::string& folder, std::string_view part) {
  const std::string file = path_of(folder, part);
  const std::string x_name = fmt::format("{}_set_x", part), y_name = fmt::format("{}_set_y", part);
  const TensorFile reader(file);
  const TensorType x_type = reader.type(x_name);
  require_layout(file, x_name, x_type, DType::u8, {64, 64, 3});
  require_layout(file, y_name, reader.type(y_name), DType::i64, {});
  require_layout(file, "list_classes", reader.type("list_classes"), DType::i64, {});
  Part result;
  result.y = reader.read(y_name);
  result.classes = reader.read("list_classes");
  require_count(file, y_name, result.y, x_name, x_type.shape[0]);
  require_classes(file, y_name, result.y, result.classes);
  result.x = reader.read(x_name);
  return result;
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.values<std::int64_t>(), b.values<std::int64_t>());
}

void require_part(const std::string& file, std::string_view part, const Tensor& x, const Tensor& y,
                  const Tensor& classes) {
  const std::string x_name = fmt::format("{}_set_x", part), y_name = fmt::format("{}_set_y", part);
  require_layout(file, x_name, {x.shape(), x.dtype()}, DType::u8, {64, 64, 3});
  require_layout(file, y_name, {y.shape(), y.dtype()}, DType::i64, {});
  require_layout(file, "list_classes", {classes.shape(), classes.dtype()}, DType::i64, {});
  require_count(file, y_name, y, x_name, x.extent(0));
  require_classes(file, y_name, y, classes);
}

}  // namespace

SignsData read_signs(const std::string& folder) {
  Part train = read_part(folder, "train"), test = read_part(folder, "test");
  if (!equal(train.classes, test.classes)) {
    io::fail(path_of(folder, "test"), "list_classes",
             fmt::format("is {}, needed that of train_signs.h5, {}", to_string(test.classes),
                         to_string(train.classes)));
  }
  return {train.x, train.y, test.x, test.y, train.classes};
}

void write_signs(const std::string& folder, const SignsData& data) {
  const std::string train = path_of(folder, "train"), test = path_of(folder, "test");
  require_part(train, "train", data.train_x, data.train_y, data.classes);
  require_part(test, "test", data.test_x, data.test_y, data.classes);
  require_writable_folder(folder);
  write_tensors(
      train, {{"train_set_x", data.train_x}, {"train_set_y", data.train_y}, {"list_classes", data.classes}});
  write_tensors(test,
                {{"test_set_x", data.test_x}, {"test_set_y", data.test_y}, {"list_classes", data.classes}});
}

}  // namespace weft
