// Keras' weights.
#include "weft/keras.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "io/file_reader.hpp"
#include "weft/hdf5.hpp"

namespace weft {

namespace {

struct Names {
  std::string_view ours, theirs;
};
constexpr std::array<Names, 6> weights{{{"w", "kernel"},
                                        {"b", "bias"},
                                        {"gamma", "gamma"},
                                        {"beta", "beta"},
                                        {"mean", "moving_mean"},
                                        {"variance", "moving_variance"}}};

// "net/conv1/w" is the kernel of the layer net/conv1.
struct Place {
  std::string layer, weight;
};
Place place_of(const Parameter& parameter) {
  const std::string& name = parameter.name();
  const std::size_t slash = name.rfind('/');
  const std::string ours = slash == std::string::npos ? name : name.substr(slash + 1);
  const auto known = std::ranges::find(weights, ours, &Names::ours);
  if (slash == std::string::npos || known == weights.end()) {
    throw Error(
        fmt::format("the parameter '{}' has no place in a Keras file: needed LAYER/w, b, gamma, beta, mean "
                    "or variance",
                    name));
  }
  return {name.substr(0, slash), std::string(known->theirs)};
}

// Keras cuts long lists into NAME0, NAME1, ...
std::vector<std::string> list_of(const TensorFile& file, const std::string& object, const std::string& name) {
  const FileAttributes attributes = file.attributes(object);
  std::vector<std::string> list;
  const auto append = [&](const std::string& part) {
    const FileAttribute* found = TensorFile::find(attributes, part);
    if (!found) return false;
    if (const auto* strings = std::get_if<std::vector<std::string>>(found)) {
      list.insert(list.end(), strings->begin(), strings->end());
    } else if (const auto* tensor = std::get_if<Tensor>(found); !tensor || tensor->elements() > 0) {
      io::fail(file.path(), object, fmt::format("has the attribute '{}', which is no list of names", part));
    }
    return true;
  };
  if (append(name)) return list;
  if (!append(name + "0"))
    io::fail(file.path(), object, fmt::format("lacks the attribute '{}': this is no Keras file", name));
  for (int i = 1; append(fmt::format("{}{}", name, i)); ++i) continue;
  return list;
}

// "dense/kernel:0" in a layer is its "kernel".
std::string_view weight_in(std::string_view path) {
  path.remove_prefix(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
  return path.substr(0, path.find(':'));
}

// Where each weight of each layer is in the file.
std::map<std::pair<std::string, std::string>, std::string> paths_in(const TensorFile& file) {
  const std::string root = file.contains("model_weights") ? "model_weights" : "";
  std::map<std::pair<std::string, std::string>, std::string> paths;
  for (const std::string& layer : list_of(file, root, "layer_names")) {
    const std::string group = root.empty() ? layer : root + "/" + layer;
    for (const std::string& path : list_of(file, group, "weight_names"))
      paths[{layer, std::string(weight_in(path))}] = group + "/" + path;
  }
  return paths;
}

}  // namespace

void load_keras_weights(const std::vector<Parameter>& parameters, const std::string& path,
                        const ReadOptions& options) {
  require_distinct_names("load_keras_weights", parameters);
  const TensorFile file(path, options);
  const auto paths = paths_in(file);
  std::vector<Tensor> values;
  for (const Parameter& parameter : parameters) {
    const Place place = place_of(parameter);
    const auto found = paths.find({place.layer, place.weight});
    if (found == paths.end()) {
      io::fail(path, "",
               fmt::format("has no weight '{}' of a layer '{}' for the parameter {}", place.weight,
                           place.layer, parameter.name()));
    }
    const TensorType type = file.type(found->second);
    if (type.shape != parameter.shape() || !is_floating(type.dtype)) {
      io::fail(
          path, found->second,
          fmt::format("is {}, needed {} for the parameter {}", to_string(type),
                      to_string(TensorType{parameter.shape(), parameter.value().dtype()}), parameter.name()));
    }
    values.push_back(file.read(found->second).to(parameter.value().dtype()));
  }
  for (std::size_t i = 0; i < values.size(); ++i) Parameter(parameters[i]).set_value(std::move(values[i]));
}

void save_keras_weights(const std::vector<Parameter>& parameters, const std::string& file,
                        std::string_view config) {
  require_distinct_names("save_keras_weights", parameters);
  Hdf5Writer writer(file);
  const std::string root = config.empty() ? "" : "model_weights";
  std::vector<std::string> layers;
  std::map<std::string, std::vector<std::string>> names;
  if (!root.empty()) writer.make_group(root);
  for (const Parameter& parameter : parameters) {
    const Place place = place_of(parameter);
    if (!names.contains(place.layer)) layers.push_back(place.layer);
    const std::string weight = fmt::format("{}/{}:0", place.layer, place.weight);
    names[place.layer].push_back(weight);
    writer.write(fmt::format("{}/{}/{}", root, place.layer, weight), parameter.value());
  }
  const auto mark = [&](const std::string& object) {
    writer.set_attribute(object, "backend", std::string("tensorflow"));
    writer.set_attribute(object, "keras_version", std::string("2.10.0"));
  };
  for (const auto& [layer, list] : names)
    writer.set_attribute(fmt::format("{}/{}", root, layer), "weight_names", list);
  writer.set_attribute(root, "layer_names", layers);
  mark(root);
  if (!config.empty()) {
    mark("");
    writer.set_attribute("", "model_config", std::string(config));
  }
  writer.commit();
}

}  // namespace weft
