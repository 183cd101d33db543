#include "weft/hdf5.hpp"

#include <fmt/format.h>

#include "io/hdf5_file.hpp"
#include "weft/nn.hpp"

namespace weft {

Tensor read_tensor(const std::string& file, const std::string& dataset) {
  return hdf5::Reader(file).read(dataset);
}

Tensor read_rows(const std::string& file, const std::string& dataset, std::int64_t first,
                 std::int64_t count) {
  return hdf5::Reader(file).read_rows(dataset, first, count);
}

void write_tensors(const std::string& file, std::span<const NamedTensor> tensors) {
  hdf5::Writer writer(file);
  for (const auto& [name, tensor] : tensors) writer.write(name, tensor);
  writer.commit();
}

void write_tensors(const std::string& file, std::initializer_list<NamedTensor> tensors) {
  write_tensors(file, std::span(tensors.begin(), tensors.size()));
}

void save_parameters(const std::vector<Parameter>& parameters, const std::string& file) {
  require_distinct_names("save_parameters", parameters);
  hdf5::Writer writer(file);
  for (const Parameter& parameter : parameters) writer.write(parameter.name(), parameter.value());
  writer.commit();
}

void load_parameters(const std::vector<Parameter>& parameters, const std::string& file) {
  require_distinct_names("load_parameters", parameters);
  const hdf5::Reader reader(file);
  std::vector<Tensor> values;
  for (const Parameter& parameter : parameters) {
    const TensorType found = reader.type(parameter.name());
    const TensorType needed{parameter.shape(), parameter.value().dtype()};
    if (found != needed) {
      hdf5::fail(file, parameter.name(),
                 fmt::format("is {}, needed {}", to_string(found), to_string(needed)));
    }
    values.push_back(reader.read(parameter.name()));
  }
  for (std::size_t i = 0; i < values.size(); ++i) Parameter(parameters[i]).set_value(std::move(values[i]));
}

}  // namespace weft
