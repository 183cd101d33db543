#include "weft/hdf5.hpp"

#include <fmt/format.h>

#include "io/file_reader.hpp"
#include "weft/nn.hpp"

namespace weft {

void save_parameters(const std::vector<Parameter>& parameters, const std::string& file) {
  require_distinct_names("save_parameters", parameters);
  Hdf5Writer writer(file);
  for (const Parameter& parameter : parameters) writer.write(parameter.name(), parameter.value());
  writer.commit();
}

void load_parameters(const std::vector<Parameter>& parameters, const std::string& file,
                     const ReadOptions& options) {
  require_distinct_names("load_parameters", parameters);
  const TensorFile reader(file, options);
  std::vector<Tensor> values;
  for (const Parameter& parameter : parameters) {
    const TensorType found = reader.type(parameter.name());
    const TensorType needed{parameter.shape(), parameter.value().dtype()};
    if (found != needed) {
      io::fail(file, parameter.name(), fmt::format("is {}, needed {}", to_string(found), to_string(needed)));
    }
    values.push_back(reader.read(parameter.name()));
  }
  for (std::size_t i = 0; i < values.size(); ++i) Parameter(parameters[i]).set_value(std::move(values[i]));
}

}  // namespace weft
