// safetensors: 8 bytes with the length of the header, the header in JSON, the elements.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "io/plain_elements.hpp"

namespace weft {

namespace {

using Json = nlohmann::json;
using Kind = io::PlainElement::Kind;

constexpr std::uint64_t most_header_bytes = 100'000'000;  // as the format's own reader allows
constexpr int deepest = 4;                                // nesting of the header

struct Named {
  std::string_view name;
  io::PlainElement element;
};
constexpr std::array<Named, 13> elements{{{"F32", {Kind::floating, 4}},
                                          {"F64", {Kind::floating, 8}},
                                          {"F16", {Kind::floating, 2}},
                                          {"BF16", {Kind::brain, 2}},
                                          {"I8", {Kind::integer, 1}},
                                          {"I16", {Kind::integer, 2}},
                                          {"I32", {Kind::integer, 4}},
                                          {"I64", {Kind::integer, 8}},
                                          {"U8", {Kind::natural, 1}},
                                          {"U16", {Kind::natural, 2}},
                                          {"U32", {Kind::natural, 4}},
                                          {"U64", {Kind::natural, 8}},
                                          {"BOOL", {Kind::boolean, 1}}}};

std::string_view name_in_file(DType dtype) {
  constexpr std::array<std::string_view, 6> names{"F32", "F64", "I32", "I64", "U8", "BOOL"};
  return names[static_cast<std::size_t>(dtype)];
}

class SafetensorsReader final : public io::PlainReader {
 public:
  SafetensorsReader(const std::string& file, std::int64_t max_bytes)
      : PlainReader(file, max_bytes), in_(file, std::ios::binary), size_(std::filesystem::file_size(file)) {
    const Json header = read_header();
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        read_metadata(entry);
      } else {
        add_entry(name, entry);
      }
    }
  }
  FileKind kind() const override { return FileKind::safetensors; }
  FileAttributes attributes(const std::string& name) override {
    if (!name.empty()) find(name);
    return name.empty() ? metadata_ : FileAttributes{};
  }

 private:
  Json read_header() {
    std::uint64_t length = 0;
    in_.read(reinterpret_cast<char*>(&length), sizeof length);
    if (!in_ || length > most_header_bytes || length > size_ - sizeof length) {
      fail("", fmt::format("is cut off or damaged: it has {} bytes, its header {}", size_, length));
    }
    std::string text(length, '\0');
    in_.read(text.data(), static_cast<std::streamsize>(length));
    if (!in_) fail("", "cannot be read");
    data_begin_ = sizeof length + length;
    const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
      if (depth > deepest) fail("", "has a header that is nested too deep");
      if (event == Json::parse_event_t::key && depth == 1 && !names_.insert(value).second)
        fail(value.get<std::string>(), "is there twice");
      return true;
    };
    try {
      Json header = Json::parse(text, check);
      if (!header.is_object()) fail("", "has a header that is no JSON object");
      return header;
    } catch (const Json::exception& error) {
      fail("", fmt::format("has a header that is no JSON: {}", error.what()));
    }
  }

  void read_metadata(const Json& entry) {
    if (!entry.is_object()) fail("__metadata__", "is no JSON object");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail("__metadata__", fmt::format("has '{}', which is no string", key));
      metadata_.emplace_back(key, value.get<std::string>());
    }
  }

  // A list of numbers that are not negative; throws where it is something else.
  std::vector<std::int64_t> numbers(const std::string& name, const Json& entry, const char* key) const {
    const auto found = entry.is_object() ? entry.find(key) : entry.end();
    if (found == entry.end() || !found->is_array()) fail(name, fmt::format("has no list '{}'", key));
    std::vector<std::int64_t> values;
    for (const Json& number : *found) {
      if (!number.is_number_unsigned() || number.get<std::uint64_t>() > INT64_MAX)
        fail(name,
             fmt::format("has '{}' with something that is no size: {}", key, found->dump(-1, ' ', true)));
      values.push_back(number.get<std::int64_t>());
    }
    return values;
  }

  void add_entry(const std::string& name, const Json& entry) {
    Array array;
    array.object.name = name;
    array.object.kind = FileObject::Kind::tensor;
    array.object.storage = "contiguous";
    array.object.shape = io::require_shape(file_, name, numbers(name, entry, "shape"));
    const auto type = entry.find("dtype");
    if (type == entry.end() || !type->is_string()) fail(name, "has no 'dtype'");
    const auto type_name = type->get<std::string>();
    const auto known = std::ranges::find(elements, type_name, &Named::name);
    if (known == elements.end()) fail(name, fmt::format("has elements of the unknown type '{}'", type_name));
    array.element = known->element;
    const std::vector<std::int64_t> range = numbers(name, entry, "data_offsets");
    const auto data_bytes = static_cast<std::int64_t>(size_ - data_begin_);
    if (range.size() != 2 || range[0] > range[1] || range[1] > data_bytes)
      fail(name, fmt::format("lies at ({}), the file has {} bytes of elements", fmt::join(range, ", "),
                             data_bytes));
    const std::int64_t count = array.object.shape.elements(), bytes = range[1] - range[0];
    if (bytes % array.element.bytes != 0 || bytes / array.element.bytes != count)
      fail(name, fmt::format("has {} bytes for {} elements of {}", bytes, count, type_name));
    array.position = data_begin_ + static_cast<std::uint64_t>(range[0]);
    if (const auto dtype = io::dtype_of(array.element)) {
      array.object.dtype = *dtype;
    } else {
      array.object.kind = FileObject::Kind::other;
      array.object.storage = "has integers that do not fit into i64";
    }
    add(std::move(array));
  }

  void load(const Array& array, std::uint64_t first, std::string& to) override {
    in_.clear();
    in_.seekg(static_cast<std::streamoff>(array.position + first));
    in_.read(to.data(), static_cast<std::streamsize>(to.size()));
    if (!in_) fail(array.object.name, "cannot be read: the file has become shorter");
  }

  std::ifstream in_;
  std::uint64_t size_, data_begin_ = 0;
  std::set<std::string> names_;
  FileAttributes metadata_;
};

}  // namespace

std::unique_ptr<FileReader> open_safetensors(const std::string& file, std::int64_t max_bytes) {
  return std::make_unique<SafetensorsReader>(file, max_bytes);
}

void write_safetensors(const std::string& file, std::span<const NamedTensor> tensors,
                       std::span<const std::pair<std::string, std::string>> metadata) {
  Json header = Json::object();
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  std::vector<std::string_view> parts(1);
  std::uint64_t position = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) io::fail(file, name, "cannot be written: its tensor is empty");
    if (name == "__metadata__" || header.contains(name))
      io::fail(file, name, "cannot be written: the name is taken");
    header[name] = {{"dtype", name_in_file(tensor.dtype())},
                    {"shape", std::vector<std::int64_t>(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {position, position + tensor.bytes()}}};
    position += tensor.bytes();
    if (tensor.bytes() > 0) parts.emplace_back(static_cast<const char*>(tensor.data()), tensor.bytes());
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception& error) {
    io::fail(file, "", fmt::format("cannot be written: a name is no UTF-8 ({})", error.what()));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // elements begin at a multiple of 8
  const std::uint64_t length = text.size();
  text.insert(0, reinterpret_cast<const char*>(&length), sizeof length);
  parts[0] = text;
  io::replace_file(file, parts);
}

}  // namespace weft
