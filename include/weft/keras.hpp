// Models and weights of Keras' .h5 files, the layout of Keras 1 and 2: attributes layer_names and
// weight_names, data sets such as model_weights/dense/dense/kernel:0, the sequential model in the attribute
// model_config.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weft/nn.hpp"
#include "weft/tensor_file.hpp"

namespace weft {

struct KerasOptions {
  DType dtype = DType::f32;  // of the parameters
  bool logits = false;       // leave out a softmax at the end: what softmax_crossentropy() takes
  ReadOptions read = {};
};

struct KerasModel {
  nn::Sequential model;             // parameters named by layer: conv2d/w, dense/b, batch_normalization/gamma
  std::vector<std::int64_t> input;  // extents of one input, [28, 28, 1]; -1: any; empty where it is not told
  std::string config;               // the model_config, for save_keras_weights()
};

// A sequential model of Conv2D, MaxPooling2D, AveragePooling2D, Dense, Flatten, Dropout, Activation,
// BatchNormalization, ReLU, Softmax (and InputLayer), channels last, with relu, softmax, sigmoid, tanh or
// linear activations, and its weights. Throws FileError that names the layer which is of another kind, or has
// an option that weft has not.
KerasModel load_keras_model(const std::string& file, const KerasOptions& options = {});

// Sets parameters from the layers of their names: conv1/w from the kernel of conv1, b from bias, gamma, beta,
// mean from moving_mean, variance from moving_variance; f32 or f64 of the same shape. All are checked before
// one is changed.
void load_keras_weights(const std::vector<Parameter>& parameters, const std::string& file,
                        const ReadOptions& options = {});
// The same way out: a file that Keras loads, with load_weights(), or with load_model() where `config` is
// given.
void save_keras_weights(const std::vector<Parameter>& parameters, const std::string& file,
                        std::string_view config = {});

}  // namespace weft
