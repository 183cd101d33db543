// weft-inspect FILE...: which kind of file it is and what is in it: shapes, dtypes, statistics, attributes.
// Files are read in a helper process, so that a damaged one harms nobody.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>

#include "weft/format.hpp"
#include "weft/tensor_file.hpp"

namespace weft {

namespace {

constexpr std::int64_t most_bytes = std::int64_t{1} << 30;  // of a tensor that has no rows
constexpr std::int64_t piece_bytes = 64 << 20;              // read at once
constexpr std::size_t longest_text = 200;                   // of an attribute

struct Statistics {
  std::int64_t finite = 0, nan = 0, infinite = 0;
  double lowest = INFINITY, highest = -INFINITY, mean = 0, squares = 0;  // squares: sum of (x - mean)^2

  void add(const Tensor& x) {
    visit_dtype(x.dtype(), [&]<class T>() {
      for (const T value : x.values<T>()) add(static_cast<double>(value));
    });
  }
  void add(double value) {  // Welford's update
    if (std::isnan(value)) ++nan;
    if (std::isinf(value)) ++infinite;
    if (!std::isfinite(value)) return;
    ++finite;
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
    const double d = value - mean;
    mean += d / static_cast<double>(finite);
    squares += d * (value - mean);
  }
  std::string text() const {
    if (finite + nan + infinite == 0) return "no elements";
    std::string text = "no finite element";
    if (finite > 0) {
      text = fmt::format("{:.6g} .. {:.6g}, mean {:.6g}, deviation {:.6g}", lowest, highest, mean,
                         std::sqrt(squares / static_cast<double>(finite)));
    }
    return text + fmt::format(", {} NaN, {} infinite", nan, infinite);
  }
};

Statistics measure(const TensorFile& file, const FileObject& object) {
  Statistics statistics;
  if (object.shape.rank() == 0 || object.shape.elements() == 0) {
    statistics.add(file.read(object.name));
    return statistics;
  }
  const std::int64_t rows = object.shape[0];
  const std::int64_t row_bytes =
      object.shape.without(0).elements() * static_cast<std::int64_t>(size_of(object.dtype));
  std::int64_t step = std::max<std::int64_t>(piece_bytes / std::max<std::int64_t>(row_bytes, 1), 1);
  if (object.chunk_rows > 0 && step > object.chunk_rows) step = step / object.chunk_rows * object.chunk_rows;
  for (std::int64_t first = 0; first < rows; first += step)
    statistics.add(file.read_rows(object.name, first, std::min(step, rows - first)));
  return statistics;
}

// Control characters would reach the terminal.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string text_of(const FileAttribute& attribute) {
  std::string text;
  if (const auto* tensor = std::get_if<Tensor>(&attribute)) {
    text = tensor->rank() == 0 ? fmt::format("{} {}", name(tensor->dtype()), tensor->item())
                               : to_string(*tensor, 20);
  } else if (const auto* strings = std::get_if<std::vector<std::string>>(&attribute)) {
    text = fmt::format("[{}]", fmt::join(*strings, ", "));
  } else {
    text = std::get<std::string>(attribute);
  }
  if (text.size() > longest_text)
    text = text.substr(0, longest_text) + fmt::format("... ({} bytes)", text.size());
  return printable(text);
}

void print_attributes(const FileAttributes& attributes, const char* indent) {
  for (const auto& [name, value] : attributes)
    fmt::print("{}@{} = {}\n", indent, printable(name), text_of(value));
}

std::string kind_of(const TensorFile& file, const std::vector<FileObject>& objects) {
  const FileAttributes attributes = file.attributes();
  const auto text = std::string(name(file.kind()));
  const auto has = [&](const char* attribute) { return TensorFile::find(attributes, attribute) != nullptr; };
  const auto holds = [&](std::string_view object) {
    return std::ranges::find(objects, object, &FileObject::name) != objects.end();
  };
  const FileAttribute* kind = TensorFile::find(attributes, "kind");
  const auto* said = kind ? std::get_if<std::string>(kind) : nullptr;
  if (said && *said == "weft checkpoint") return text + ", a checkpoint of weft's";
  if (has("model_config")) return text + ", a Keras model with its weights";
  if (has("layer_names")) return text + ", weights of a Keras model";
  if (holds("train_set_x") || holds("test_set_x")) return text + ", data in the layout of SIGNS";
  if (holds("x_train") || holds("x_test")) return text + ", data in the layout of MNIST";
  return text;
}

// False where its elements cannot be read.
bool inspect_tensor(const TensorFile& file, const FileObject& object) {
  fmt::print("  {}  {}  {}\n", printable(object.name), to_string(TensorType{object.shape, object.dtype}),
             printable(object.storage));
  try {
    fmt::print("      {}\n", measure(file, object).text());
    return true;
  } catch (const FileError& error) {
    fmt::print("      {}\n", printable(error.what()));
    return false;
  }
}

// False where something in it cannot be read.
bool inspect(const std::string& path) {
  const TensorFile file(path, {.isolated = true, .max_bytes = most_bytes});
  const std::vector<FileObject> objects = file.objects();
  fmt::print("{}: {}\n", path, kind_of(file, objects));
  print_attributes(file.attributes(), "  ");
  bool is_whole = true;
  for (const FileObject& object : objects) {
    const std::string shown = printable(object.name);
    switch (object.kind) {
      case FileObject::Kind::group:
        fmt::print("  {}/\n", shown);
        break;
      case FileObject::Kind::strings:
        fmt::print("  {}  strings{}  {}\n", shown, to_string(object.shape), printable(object.storage));
        break;
      case FileObject::Kind::other:
        fmt::print("  {}  {}\n", shown, printable(object.storage));
        continue;
      case FileObject::Kind::tensor:
        is_whole = inspect_tensor(file, object) && is_whole;
    }
    print_attributes(file.attributes(object.name), "      ");
  }
  return is_whole;
}

constexpr const char* help = R"(weft-inspect FILE...: what is in HDF5, safetensors and npz files.

Prints which kind of file it is (data sets, a checkpoint of weft's, a Keras model or its weights), its groups,
strings, links and attributes, and of each tensor shape, dtype, storage, range, mean, deviation, and how many
elements are NaN and infinite. Files are read in a helper process: a damaged one harms nobody.

Exit status: 0; 1 where a file, or something in it, cannot be read; 2 where it is called wrongly.
)";

}  // namespace

}  // namespace weft

int main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--help" || first == "-h") {
    fmt::print("{}", weft::help);
    return 0;
  }
  if (first.empty() || first.starts_with('-')) {
    fmt::print(stderr, "weft-inspect: {}\n{}", first.empty() ? "needs a file" : "unknown option", weft::help);
    return 2;
  }
  bool is_whole = true;
  for (int i = 1; i < argc; ++i) {
    try {
      is_whole = weft::inspect(argv[i]) && is_whole;
    } catch (const std::exception& error) {
      std::fflush(stdout);
      fmt::print(stderr, "weft-inspect: {}\n", weft::printable(error.what()));
      is_whole = false;
    }
  }
  return is_whole ? 0 : 1;
}
