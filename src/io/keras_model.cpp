// Keras' sequential models.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/file_reader.hpp"
#include "weft/keras.hpp"

namespace weft {

namespace {

using Json = nlohmann::json;
using Extents = std::vector<std::int64_t>;

constexpr int deepest_config = 32;

// One layer of the config, with errors that name it.
class LayerConfig {
 public:
  LayerConfig(const std::string& file, const Json& layer) : file_(file) {
    kind_ = layer.at("class_name").get<std::string>();
    config_ = layer.at("config");
    name_ = config_.value("name", kind_);
  }
  const std::string& kind() const { return kind_; }
  const std::string& name() const { return name_; }

  [[noreturn]] void fail(std::string_view problem) const {
    io::fail(file_, "", fmt::format("layer '{}' ({}) {}", name_, kind_, problem));
  }
  // Throws where the option is there and not `needed`.
  template <class T>
  void require(const char* key, const T& needed) const {
    if (config_.contains(key) && !config_[key].is_null() && config_[key] != Json(needed))
      fail(fmt::format("has {} = {}, needed {}", key, config_[key].dump(-1, ' ', true), Json(needed).dump()));
  }
  template <class T>
  T get(const char* key, const T& otherwise) const {
    return config_.contains(key) && !config_[key].is_null() ? config_[key].get<T>() : otherwise;
  }
  std::int64_t positive(const char* key) const {
    const std::int64_t value = get<std::int64_t>(key, 0);
    if (value < 1 || value > (1 << 24)) fail(fmt::format("has {} = {}, needed 1 at least", key, value));
    return value;
  }
  Size2 size(const char* key, Size2 otherwise) const {
    const Extents both = get<Extents>(key, {otherwise.h, otherwise.w});
    if (both.size() != 2 || both[0] < 1 || both[1] < 1 || both[0] > (1 << 16) || both[1] > (1 << 16))
      fail(fmt::format("has {} = ({}), needed two sizes", key, fmt::join(both, ", ")));
    return {both[0], both[1]};
  }
  Padding padding() const {
    const auto text = get<std::string>("padding", "valid");
    if (text != "valid" && text != "same") fail(fmt::format("has the padding '{}'", text));
    return text == "same" ? same : valid;
  }
  Extents input() const {  // without the batch; empty where it is not told
    const char* key = config_.contains("batch_input_shape") ? "batch_input_shape" : "batch_shape";
    Extents extents;
    if (!config_.contains(key) || !config_[key].is_array()) return extents;
    for (const Json& extent : config_[key])
      extents.push_back(extent.is_null() ? -1 : extent.get<std::int64_t>());
    if (!extents.empty()) extents.erase(extents.begin());
    return extents;
  }

 private:
  const std::string& file_;
  std::string kind_, name_;
  Json config_;
};

// Builds the layers one after the other, and keeps the extents between them, which give the number of inputs.
class Builder {
 public:
  Builder(const std::string& file, const KerasOptions& options, std::int64_t most_elements)
      : file_(file), options_(options), most_elements_(most_elements) {}

  KerasModel build(const std::string& config) {
    Json json = parse(config);
    if (json.value("class_name", "") != "Sequential")
      io::fail(
          file_, "",
          fmt::format("holds a model of the class '{}', needed Sequential", json.value("class_name", "")));
    const Json& body = json.at("config");
    const Json& layers = body.is_array() ? body : body.at("layers");
    Extents input;
    for (const Json& entry : layers) {
      const LayerConfig layer(file_, entry);
      if (extents_.empty()) input = extents_ = layer.input();
      try {
        add(layer);
      } catch (const FileError&) {
        throw;
      } catch (const Error& error) {
        layer.fail(fmt::format("cannot be made: {}", error.what()));
      }
    }
    if (options_.logits && ends_in_softmax_) layers_.pop_back();
    return {nn::Sequential(std::move(layers_)), input, config};
  }

 private:
  Json parse(const std::string& config) const {
    return Json::parse(config, [&](int depth, Json::parse_event_t, Json&) {
      if (depth > deepest_config) io::fail(file_, "", "has a model_config that is nested too deep");
      return true;
    });
  }

  void add(const LayerConfig& layer) {
    ends_in_softmax_ = false;
    layer.require("data_format", "channels_last");
    const std::string& kind = layer.kind();
    if (kind == "InputLayer") return;
    if (kind == "Conv2D") return add_conv2d(layer);
    if (kind == "Dense") return add_dense(layer);
    if (kind == "MaxPooling2D") return add_pooling(layer, PoolKind::max);
    if (kind == "AveragePooling2D") return add_pooling(layer, PoolKind::average);
    if (kind == "BatchNormalization") return add_batch_norm(layer);
    if (kind == "Flatten") return add_flatten();
    if (kind == "Dropout") return add_dropout(layer);
    if (kind == "Activation") return add_activation(layer, layer.get<std::string>("activation", "linear"));
    if (kind == "ReLU") return add_relu(layer);
    if (kind == "Softmax") return add_softmax_layer(layer);
    layer.fail("is of a kind that weft has not");
  }

  // Throws where the extents before this layer are not known or not of that rank.
  std::int64_t channels(const LayerConfig& layer, std::size_t rank) const {
    if (extents_.size() != rank || extents_.back() < 1)
      layer.fail(
          fmt::format("gets ({}), needed {} extents with a known last one", fmt::join(extents_, ", "), rank));
    return extents_.back();
  }
  static std::int64_t positions(std::int64_t extent, std::int64_t window, std::int64_t stride, bool is_same) {
    if (extent < 0) return -1;
    return is_same ? (extent + stride - 1) / stride : (extent - window) / stride + 1;
  }
  void slide(const LayerConfig& layer, Size2 window, Size2 stride, Padding padding, std::int64_t out) {
    const bool is_same = padding == same;
    if (!is_same &&
        ((extents_[0] >= 0 && extents_[0] < window.h) || (extents_[1] >= 0 && extents_[1] < window.w)))
      layer.fail(fmt::format("has a window larger than what it gets, ({})", fmt::join(extents_, ", ")));
    extents_ = {positions(extents_[0], window.h, stride.h, is_same),
                positions(extents_[1], window.w, stride.w, is_same), out};
  }

  void add_conv2d(const LayerConfig& layer) {
    const std::int64_t in = channels(layer, 3), out = layer.positive("filters");
    const Size2 window = layer.size("kernel_size", 1), dilation = layer.size("dilation_rate", 1);
    const nn::ConvOptions conv{.window = window,
                               .stride = layer.size("strides", 1),
                               .padding = layer.padding(),
                               .dilation = dilation,
                               .groups = layer.get<std::int64_t>("groups", 1),
                               .bias = layer.get<bool>("use_bias", true),
                               .initializer = zeros,
                               .dtype = options_.dtype};
    if (conv.groups < 1 || in % conv.groups != 0 || out % conv.groups != 0)
      layer.fail(fmt::format("has {} groups of {} channels in and {} out", conv.groups, in, out));
    require_weights(layer, Shape{window.h, window.w, in / conv.groups, out});
    layers_.emplace_back(nn::Conv2d(layer.name(), in, out, conv));
    slide(layer, {(window.h - 1) * dilation.h + 1, (window.w - 1) * dilation.w + 1}, conv.stride,
          conv.padding, out);
    add_activation(layer, layer.get<std::string>("activation", "linear"));
  }

  void add_dense(const LayerConfig& layer) {
    const std::int64_t in = channels(layer, 1), out = layer.positive("units");
    require_weights(layer, Shape{in, out});
    layers_.emplace_back(nn::Linear(
        layer.name(), in, out,
        {.bias = layer.get<bool>("use_bias", true), .initializer = zeros, .dtype = options_.dtype}));
    extents_ = {out};
    add_activation(layer, layer.get<std::string>("activation", "linear"));
  }

  // A config must not ask for more memory than the file's weights take.
  void require_weights(const LayerConfig& layer, const Shape& shape) const {
    if (shape.elements() > most_elements_)
      layer.fail(fmt::format("needs weights of shape {}, the file has none as large", to_string(shape)));
  }

  void add_pooling(const LayerConfig& layer, PoolKind kind) {
    const std::int64_t depth = channels(layer, 3);
    const Size2 window = layer.size("pool_size", 2), stride = layer.size("strides", window);
    layers_.emplace_back(
        nn::Pool2d({.window = window, .stride = stride, .padding = layer.padding(), .kind = kind}));
    slide(layer, window, stride, layer.padding(), depth);
  }

  void add_batch_norm(const LayerConfig& layer) {
    layer.require("center", true);
    layer.require("scale", true);
    const Extents axis = axes(layer);
    const auto rank = static_cast<std::int64_t>(extents_.size());
    if (extents_.empty()) layer.fail("gets an unknown number of channels");
    if (axis.size() != 1 || (axis[0] != -1 && axis[0] != rank)) layer.fail("is not over the last axis");
    const std::int64_t depth = channels(layer, extents_.size());
    require_weights(layer, Shape{depth});
    layers_.emplace_back(nn::BatchNorm(layer.name(), depth,
                                       {.momentum = layer.get<double>("momentum", 0.99),
                                        .epsilon = layer.get<double>("epsilon", 1e-3),
                                        .dtype = options_.dtype}));
  }
  // A list in Keras 2.x, one number before.
  Extents axes(const LayerConfig& layer) const {
    try {
      return layer.get<Extents>("axis", {-1});
    } catch (const Json::exception&) {
      return {layer.get<std::int64_t>("axis", -1)};
    }
  }

  void add_flatten() {
    std::int64_t product = 1;
    for (const std::int64_t extent : extents_) {
      if (extent < 0 || (extent > 0 && product > (std::int64_t{1} << 40) / extent)) product = -1;
      if (product >= 0) product *= extent;
    }
    extents_ = {product};
    layers_.emplace_back(nn::Flatten());
  }

  void add_dropout(const LayerConfig& layer) {
    const double rate = layer.get<double>("rate", 0.5);
    if (!(rate >= 0 && rate < 1)) layer.fail(fmt::format("has rate = {}, needed a number in [0, 1)", rate));
    layers_.emplace_back(nn::Dropout(rate));
  }

  void add_relu(const LayerConfig& layer) {
    layer.require("negative_slope", 0.0);
    layer.require("threshold", 0.0);
    if (layer.get<Json>("max_value", Json()) != Json()) layer.fail("has a max_value, which weft has not");
    layers_.emplace_back(nn::Relu());
  }

  void add_softmax_layer(const LayerConfig& layer) {
    layer.require("axis", -1);
    add_activation(layer, "softmax");
  }

  void add_activation(const LayerConfig& layer, const std::string& activation) {
    if (activation == "linear") return;
    ends_in_softmax_ = activation == "softmax";
    if (activation == "relu")
      layers_.emplace_back(nn::Relu());
    else if (activation == "softmax")
      layers_.emplace_back(nn::Softmax());
    else if (activation == "sigmoid")
      layers_.emplace_back(nn::Sigmoid());
    else if (activation == "tanh")
      layers_.emplace_back(nn::Tanh());
    else
      layer.fail(fmt::format("has the activation '{}', which weft has not", activation));
  }

  const std::string& file_;
  const KerasOptions& options_;
  std::int64_t most_elements_;  // of one tensor in the file
  std::vector<nn::Layer> layers_;
  Extents extents_;  // of what the next layer gets, without the batch
  bool ends_in_softmax_ = false;
};

std::string config_of(const TensorFile& file) {
  const FileAttributes attributes = file.attributes();
  const FileAttribute* found = TensorFile::find(attributes, "model_config");
  const auto* text = found ? std::get_if<std::string>(found) : nullptr;
  if (!text) io::fail(file.path(), "", "has no model_config: it holds weights alone, or is no Keras file");
  return *text;
}

std::int64_t most_elements_in(const TensorFile& file) {
  std::int64_t most = 0;
  for (const FileObject& object : file.objects()) {
    if (object.kind == FileObject::Kind::tensor) most = std::max(most, object.shape.elements());
  }
  return most;
}

}  // namespace

KerasModel load_keras_model(const std::string& file, const KerasOptions& options) {
  const TensorFile opened(file, options.read);
  KerasModel model = [&] {
    try {
      return Builder(file, options, most_elements_in(opened)).build(config_of(opened));
    } catch (const Json::exception& error) {
      io::fail(file, "", fmt::format("has a damaged model_config: {}", error.what()));
    }
  }();
  load_keras_weights(parameters_of(model.model), file, options.read);
  return model;
}

}  // namespace weft
