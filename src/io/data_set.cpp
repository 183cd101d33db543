#include "weft/data_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "io/data_source.hpp"
#include "io/file_reader.hpp"
#include "weft/random.hpp"

namespace weft {

namespace {

std::vector<std::string_view> words_of(std::string_view name) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t end = name.find_first_of("_/");
    words.push_back(name.substr(0, end));
    if (end == std::string_view::npos) return words;
    name.remove_prefix(end + 1);
  }
}

// Without the words `part` and "set"; itself where nothing would be left.
std::string short_name(std::string_view name, std::string_view part) {
  std::vector<std::string_view> words = words_of(name);
  std::erase_if(words, [&](std::string_view word) { return word == part || word == "set" || word.empty(); });
  return words.empty() ? std::string(name) : fmt::format("{}", fmt::join(words, "_"));
}

bool is_class_list(std::string_view name) {
  return name == "list_classes" || name == "classes" || name == "class_names";
}

std::string within(const std::string& group, const std::string& name) {
  return group.empty() ? name : group + "/" + name;
}

std::vector<std::string> find_names(const TensorFile& file, const DataSetOptions& options) {
  const std::string prefix = options.group.empty() ? "" : options.group + "/";
  std::vector<std::string> names, others;
  for (const FileObject& object : file.objects()) {
    if (object.kind != FileObject::Kind::tensor || !object.name.starts_with(prefix)) continue;
    const std::string name = object.name.substr(prefix.size());
    if (is_class_list(name) || object.shape.rank() == 0) continue;
    const auto words = words_of(name);
    const bool fits = options.part.empty() || std::ranges::find(words, options.part) != words.end();
    (fits ? names : others).push_back(name);
  }
  if (names.empty()) {
    io::fail(file.path(), options.group,
             fmt::format("has no data sets of the part '{}'; it has: {}", options.part,
                         others.empty() ? "none" : fmt::format("{}", fmt::join(others, ", "))));
  }
  return names;
}

std::vector<std::string> read_class_names(const TensorFile& file, const std::string& group) {
  for (const char* name : {"list_classes", "classes", "class_names"}) {
    const std::string path = within(group, name);
    if (!file.contains(path)) continue;
    const FileObject object = file.object(path);
    if (object.kind == FileObject::Kind::strings) return file.read_strings(path);
    if (object.kind != FileObject::Kind::tensor || !is_integer(object.dtype)) continue;
    std::vector<std::string> names;
    const Tensor numbers = file.read(path).to(DType::i64);
    for (const std::int64_t number : numbers.values<std::int64_t>()) names.push_back(std::to_string(number));
    return names;
  }
  return {};
}

}  // namespace

std::size_t DataSet::Source::index_of(std::string_view name) const {
  const auto found = std::ranges::find(names, name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  throw Error(fmt::format("the data set has no '{}': it has {}", name, fmt::join(names, ", ")));
}

std::vector<Tensor> DataSet::Source::read(std::int64_t first, std::int64_t count) const {
  const std::lock_guard lock(mutex);
  std::vector<Tensor> result;
  for (const std::string& path : paths) result.push_back(file->read_rows(path, first, count));
  return result;
}

void DataSet::Source::measure() {
  for (const TensorType& type : types) {
    row_bytes += type.shape.without(0).elements() * static_cast<std::int64_t>(size_of(type.dtype));
  }
  row_bytes = std::max<std::int64_t>(row_bytes, 1);
}

DataSet::DataSet(const std::string& path, const DataSetOptions& options) {
  const auto source = std::make_shared<Source>();
  source->file.emplace(path, options.read);
  const TensorFile& file = *source->file;
  std::int64_t largest = -1;
  for (const std::string& name : options.names.empty() ? find_names(file, options) : options.names) {
    const std::string full = within(options.group, name);
    const FileObject object = file.object(full);
    const TensorType type = file.type(full);
    if (type.shape.rank() == 0) io::fail(path, full, "is a scalar, needed rows");
    if (!source->types.empty() && type.shape[0] != source->rows) {
      io::fail(
          path, full,
          fmt::format("has {} rows, needed {} as '{}' has", type.shape[0], source->rows, source->paths[0]));
    }
    source->rows = type.shape[0];
    const std::int64_t bytes =
        type.shape.without(0).elements() * static_cast<std::int64_t>(size_of(type.dtype));
    if (bytes > largest) source->chunk_rows = object.chunk_rows;
    largest = std::max(largest, bytes);
    source->paths.push_back(full);
    source->types.push_back(type);
    source->names.push_back(options.names.empty() ? short_name(name, options.part) : name);
  }
  source->class_names = read_class_names(file, options.group);
  source->measure();
  if (options.in_memory) {
    source->tensors = source->read(0, source->rows);
    source->file.reset();
  }
  source_ = source;
}

DataSet::DataSet(std::vector<NamedTensor> tensors) {
  const auto source = std::make_shared<Source>();
  if (tensors.empty()) throw Error("a data set needs one tensor at least");
  for (auto& [name, tensor] : tensors) {
    if (tensor.rank() == 0 || tensor.extent(0) != tensors[0].second.extent(0)) {
      throw ShapeError(fmt::format("a data set of tensors of different length: '{}' is {}, '{}' is {}",
                                   tensors[0].first, to_string(tensors[0].second.shape()), name,
                                   to_string(tensor.shape())));
    }
    source->names.push_back(name);
    source->types.push_back({tensor.shape(), tensor.dtype()});
    source->tensors.push_back(tensor);
  }
  source->rows = source->types[0].shape[0];
  source->measure();
  source_ = source;
}

std::int64_t DataSet::rows() const {
  return selected_ ? static_cast<std::int64_t>(selected_->size()) : source_->rows;
}
const std::vector<std::string>& DataSet::names() const { return source_->names; }
const std::vector<std::string>& DataSet::class_names() const { return source_->class_names; }

TensorType DataSet::row_type(std::string_view name) const {
  const TensorType& type = source_->types[source_->index_of(name)];
  return {type.shape.without(0), type.dtype};
}

std::vector<NamedTensor> DataSet::read(std::span<const std::int64_t> rows) const {
  std::vector<std::int64_t> places(rows.begin(), rows.end());
  for (std::int64_t& row : places) {
    if (row < 0 || row >= this->rows())
      throw Error(fmt::format("row {} of a data set that has {}", row, this->rows()));
    if (selected_) row = (*selected_)[static_cast<std::size_t>(row)];
  }
  std::vector<NamedTensor> result;
  for (std::size_t i = 0; i < source_->names.size(); ++i) {
    const TensorType& type = source_->types[i];
    Tensor tensor(type.shape.with(0, static_cast<std::int64_t>(places.size())), type.dtype);
    if (source_->in_memory()) copy_rows(source_->tensors[i], places, tensor, 0);
    result.emplace_back(source_->names[i], std::move(tensor));
  }
  for (std::size_t k = 0; !source_->in_memory() && k < places.size(); ++k) {
    const std::vector<Tensor> row = source_->read(places[k], 1);
    constexpr std::int64_t zero = 0;
    for (std::size_t i = 0; i < row.size(); ++i)
      copy_rows(row[i], std::span(&zero, 1), result[i].second, static_cast<std::int64_t>(k));
  }
  return result;
}

std::vector<DataSet> DataSet::split(std::span<const double> shares, std::uint64_t seed) const {
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (std::ranges::any_of(shares, [](double share) { return !(share >= 0); }) || !(sum <= 1 + 1e-9)) {
    throw Error(fmt::format("split: shares {} must not be negative and add up to at most 1",
                            fmt::join(shares, ", ")));
  }
  const std::vector<std::int64_t> order = Random(seed, "split").permutation(rows());
  std::vector<DataSet> parts;
  double reached = 0;
  auto begin = order.begin();
  for (const double share : shares) {
    reached += share;
    const auto end =
        order.begin() + std::min<std::int64_t>(std::llround(reached * static_cast<double>(rows())), rows());
    std::vector<std::int64_t> rows_of_part(begin, end);
    std::ranges::sort(rows_of_part);
    if (selected_) {
      for (std::int64_t& row : rows_of_part) row = (*selected_)[static_cast<std::size_t>(row)];
    }
    parts.push_back(*this);
    parts.back().selected_ = std::make_shared<const std::vector<std::int64_t>>(std::move(rows_of_part));
    begin = end;
  }
  return parts;
}

ChannelStatistics channel_statistics(const DataSet& data, std::string_view name) {
  BatchStream rows(data, {.batch_size = 256, .shuffle = false, .memory = 64 << 20});
  ChannelStatistics statistics;
  while (const auto batch = rows.next()) statistics.add(batch->tensor(name));
  return statistics;
}

}  // namespace weft
