// The models of Keras' configs, in a file that is not damaged.
#include <weft/weft.hpp>

#include "fuzz.hpp"
#include "read_everything.hpp"

using namespace weft;

std::vector<std::string> fuzz_seeds() {
  const std::string input =
      R"({"class_name":"InputLayer","config":{"batch_input_shape":[null,4,4,2],"name":"i"}},)";
  const std::string conv =
      R"({"class_name":"Conv2D","config":{"name":"c","filters":2,"kernel_size":[2,2],"strides":[1,1],)"
      R"("padding":"same","dilation_rate":[1,1],"groups":1,"activation":"relu","use_bias":true}},)";
  const std::string rest =
      R"({"class_name":"MaxPooling2D","config":{"name":"p","pool_size":[2,2],"strides":null,)"
      R"("padding":"valid"}},)"
      R"({"class_name":"BatchNormalization","config":{"name":"n","axis":[3],)"
      R"("momentum":0.9,"epsilon":0.001}},)"
      R"({"class_name":"Flatten","config":{"name":"f","data_format":"channels_last"}},)"
      R"({"class_name":"Dropout","config":{"name":"o","rate":0.5}},)"
      R"({"class_name":"Dense","config":{"name":"d","units":2,"activation":"softmax"}})";
  const auto model = [](const std::string& layers) {
    return R"({"class_name":"Sequential","config":{"name":"s","layers":[)" + layers + "]}}";
  };
  return {model(input + conv + rest), model(input + rest)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1 << 14)) return 0;
  Hdf5Writer writer(fuzz_file());
  const auto layer = [&](const std::string& name, const std::vector<NamedTensor>& weights) {
    std::vector<std::string> names;
    for (const auto& [weight, value] : weights) {
      names.push_back(name + "/" + weight + ":0");
      writer.write("model_weights/" + name + "/" + names.back(), value);
    }
    writer.set_attribute("model_weights/" + name, "weight_names", names);
  };
  const Tensor two = Tensor::zeros({2});
  layer("c", {{"kernel", Tensor::zeros({2, 2, 2, 2})}, {"bias", two}});
  layer("n", {{"gamma", two}, {"beta", two}, {"moving_mean", two}, {"moving_variance", two}});
  layer("d", {{"kernel", Tensor::zeros({8, 2})}, {"bias", two}});
  writer.set_attribute("model_weights", "layer_names", std::vector<std::string>{"c", "n", "d"});
  writer.set_attribute("", "model_config", std::string(reinterpret_cast<const char*>(data), size));
  writer.commit();
  try {
    const KerasModel keras = load_keras_model(fuzz_file());
    try {
      keras.model(Tensor::zeros({1, 4, 4, 2}));
    } catch (const Error&) {
      // A model may be one for other inputs.
    }
  } catch (const FileError&) {
  }
  return 0;
}
