// Keras' .h5 files: models and weights in, weights out.
#include "weft/keras.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>

#include "file_support.hpp"
#include "weft/weft.hpp"

using namespace weft;
using Catch::Matchers::Contains;

namespace {

const std::string shared_data = WEFT_SHARED_DATA;

Tensor run(const nn::Sequential& model, const Tensor& x) {
  Graph g({.training = false});
  const auto paused = g.pause();
  return model(g.input(x)).value();
}

// A file as Keras 2 writes it, of every supported layer, and what NumPy makes of its input: "x" and "y".
constexpr const char* write_model = R"(
import json
rng = np.random.default_rng(3)
layers = []
def layer(kind, name, **config):
    layers.append({'class_name': kind, 'config': dict(config, name=name)})
layer('InputLayer', 'in', batch_input_shape=[None, 5, 6, 2])
layer('Conv2D', 'c', filters=3, kernel_size=[2, 2], strides=[1, 2], padding='same', activation='tanh',
      use_bias=False, data_format='channels_last')
layer('BatchNormalization', 'n', axis=[3], momentum=0.9, epsilon=0.01, center=True, scale=True)
layer('ReLU', 'r', max_value=None, negative_slope=0.0, threshold=0.0)
layer('AveragePooling2D', 'p', pool_size=[2, 2], strides=[1, 1], padding='valid')
layer('MaxPooling2D', 'm', pool_size=[2, 2], strides=[2, 1], padding='valid')
layer('Flatten', 'f'); layer('Dropout', 'd', rate=0.5)
layer('Dense', 'e', units=4, activation='linear', use_bias=True)
layer('Activation', 'a', activation='sigmoid'); layer('Dense', 'g', units=3); layer('Softmax', 's', axis=-1)
w = {'c': {'kernel': rng.normal(size=(2, 2, 2, 3))},
     'n': {k: rng.uniform(0.5, 2, 3) for k in ('gamma', 'beta', 'moving_mean', 'moving_variance')},
     'e': {'kernel': rng.normal(size=(6, 4)), 'bias': rng.normal(size=4)},
     'g': {'kernel': rng.normal(size=(4, 3)), 'bias': rng.normal(size=3)}}
f = h5py.File(path, 'w')
f.attrs['model_config'] = json.dumps({'class_name': 'Sequential', 'config': {'name': 's', 'layers': layers}})
root = f.create_group('model_weights')
names = [l['config']['name'] for l in layers]
root.attrs['layer_names'] = np.array([n.encode() for n in names])
for n in names:
    g = root.create_group(n)
    g.attrs['weight_names'] = np.array([f'{n}/{k}:0'.encode() for k in w.get(n, {})])
    for k, v in w.get(n, {}).items():
        v = v.astype(np.float32); w[n][k] = v.astype(np.float64); g[f'{n}/{k}:0'] = v
x = rng.normal(size=(7, 5, 6, 2)).astype(np.float32).astype(np.float64)
pad = np.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)))
y = np.zeros((7, 5, 3, 3))
for i in range(5):
    for j in range(3):
        y[:, i, j] = np.tensordot(pad[:, i:i+2, 2*j:2*j+2], w['c']['kernel'], 3)
y = np.tanh(y)
y = (y - w['n']['moving_mean']) / np.sqrt(w['n']['moving_variance'] + 0.01) * w['n']['gamma'] + w['n']['beta']
y = np.maximum(y, 0)
y = (y[:, :-1, :-1] + y[:, 1:, :-1] + y[:, :-1, 1:] + y[:, 1:, 1:]) / 4          # 4 x 2
y = np.maximum.reduce([y[:, 0::2, :-1], y[:, 1::2, :-1], y[:, 0::2, 1:], y[:, 1::2, 1:]])  # 2 x 1
y = y.reshape(7, 6) @ w['e']['kernel'] + w['e']['bias']
y = (1 / (1 + np.exp(-y))) @ w['g']['kernel'] + w['g']['bias']
f['x'] = x; f['logits'] = y; e = np.exp(y); f['y'] = e / e.sum(1, keepdims=True)
)";

}  // namespace

TEST_CASE("a Keras model of every supported layer computes what NumPy does", "[keras]") {
  if (!has_h5py()) return;
  const TemporaryFolder folder;
  const std::string file = folder / "k.h5";
  REQUIRE(python(write_model, file));
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const Tensor x = read_tensor(file, "x").to(dtype);
  const KerasModel keras = load_keras_model(file, {.dtype = dtype, .read = {.isolated = true}});
  CHECK(keras.input == std::vector<std::int64_t>{5, 6, 2});
  const double bound = dtype == DType::f32 ? 1e-5 : 1e-12;
  CHECK(largest_difference(run(keras.model, x), read_tensor(file, "y")) < bound);
  const KerasModel logits = load_keras_model(file, {.dtype = dtype, .logits = true});
  CHECK(largest_difference(run(logits.model, x), read_tensor(file, "logits")) < bound);

  save_keras_weights(parameters_of(logits.model), folder / "out.h5", logits.config);
  const KerasModel again = load_keras_model(folder / "out.h5", {.dtype = dtype, .logits = true});
  CHECK(largest_difference(run(again.model, x), run(logits.model, x)) == 0);
  CHECK(python(R"(
f = h5py.File(path, 'r')
g = f['model_weights']
names = [n.decode() if hasattr(n, 'decode') else n for n in g.attrs['layer_names']]
assert names == ['c', 'n', 'e', 'g'], names
names = list(g['n'].attrs['weight_names'])
assert names == ['n/gamma:0', 'n/beta:0', 'n/moving_mean:0', 'n/moving_variance:0'], names
assert g['e']['e/kernel:0'].shape == (6, 4)
)",
               folder / "out.h5"));
}

TEST_CASE("what weft has not is named", "[keras]") {
  const TemporaryFolder folder;
  const std::string file = folder / "k.h5";
  const auto error = [&](const std::string& layers) {
    Hdf5Writer writer(file);
    writer.write("model_weights/d/d/kernel:0", Tensor::zeros({4, 2}));
    writer.set_attribute("model_weights", "layer_names", std::vector<std::string>{"d"});
    writer.set_attribute("model_weights/d", "weight_names", std::vector<std::string>{"d/kernel:0"});
    writer.set_attribute("", "model_config",
                         R"({"class_name":"Sequential","config":{"layers":[)" + layers + "]}}");
    writer.commit();
    return error_of([&] { load_keras_model(file); });
  };
  const std::string input = R"({"class_name":"InputLayer","config":{"batch_input_shape":[null,4]}},)";
  CHECK(error(R"({"class_name":"LSTM","config":{"name":"memory"}})") ==
        file + ": layer 'memory' (LSTM) is of a kind that weft has not");
  CHECK(error(input + R"({"class_name":"Activation","config":{"name":"a","activation":"swish"}})") ==
        file + ": layer 'a' (Activation) has the activation 'swish', which weft has not");
  CHECK(error(input + R"({"class_name":"Flatten","config":{"name":"f","data_format":"channels_first"}})") ==
        file + ": layer 'f' (Flatten) has data_format = \"channels_first\", needed \"channels_last\"");
  CHECK(error(input + R"({"class_name":"Dense","config":{"name":"d","units":99999}})") ==
        file + ": layer 'd' (Dense) needs weights of shape [4, 99999], the file has none as large");
  CHECK(error(input + R"({"class_name":"BatchNormalization","config":{"name":"n","momentum":1}})") ==
        file +
            ": layer 'n' (BatchNormalization) cannot be made: batch norm layer n: momentum is 1, "
            "needed a number in [0, 1)");
  CHECK(error(input + R"({"class_name":"Dense","config":{"name":"e","units":2}})") ==
        file + ": has no weight 'kernel' of a layer 'e' for the parameter e/w");
  CHECK(error(input + R"({"class_name":"Dense","config":{"name":"d","units":1,"use_bias":false}})") ==
        file +
            ": data set 'model_weights/d/d/kernel:0' is f32[4, 2], needed f32[4, 1] for the parameter d/w");
  CHECK(error(input + R"({"class_name":"Dense","config":{"name":"d","units":2,"use_bias":false}})") ==
        "nothing was thrown");
  CHECK_THAT(error("{"), Contains(file + ": has a damaged model_config: "));
  CHECK_THAT(error("7"), Contains(file + ": has a damaged model_config: "));
  write_tensors(file, {{"x", Tensor::scalar(1)}});
  CHECK_THAT(error_of([&] { load_keras_model(file); }), Contains("has no model_config"));
  CHECK_THROWS_WITH(save_keras_weights({zeros("lonely", {1})}, file),
                    Contains("'lonely' has no place in a Keras file"));
}

TEST_CASE("the LeNet of Keras reads MNIST as Keras does", "[keras][slow]") {
  const std::string model = shared_data + "/keras/lenet.h5",
                    golden = shared_data + "/keras/lenet_golden_first64.h5";
  if (!std::filesystem::exists(model)) {
    WARN("skipped: there is no " << model);
    return;
  }
  const Tensor images = read_tensor(golden, "input_u8_nhwc"),
               logits = read_tensor(golden, "lenet/logits_f64");
  for (const DType dtype : {DType::f32, DType::f64}) {
    const KerasModel keras = load_keras_model(model, {.dtype = dtype, .logits = true});
    const Tensor x = (Var(images.to(dtype)) / 255).value();
    CHECK(largest_difference(run(keras.model, x), logits) < (dtype == DType::f32 ? 1e-4 : 1e-9));
  }
  const KerasModel keras = load_keras_model(model, {.logits = true});
  BatchStream test(DataSet(shared_data + "/mnist/mnist.h5", {.part = "test"}),
                   {.batch_size = 500, .shuffle = false});
  double right = 0;
  while (const auto batch = test.next()) {
    const Tensor x = images_to_f32(batch->tensor("x")).reshape({-1, 28, 28, 1});
    right += 500 * accuracy(run(keras.model, x), batch->tensor("y"));
  }
  CHECK(std::abs(right - 9902) <= 2);  // a float64 reference has 9902
}
