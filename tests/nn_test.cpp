// Initial values, layers, the parameters of a module.
#include "weft/nn.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>

#include "weft/optim.hpp"
#include "weft/random.hpp"

using namespace weft;
using Catch::Matchers::Contains;

namespace {

double variance_of(const Parameter& p) {
  double sum = 0;
  for (const double v : p.value().values<double>()) sum += v * v;
  return sum / static_cast<double>(p.value().elements());
}

double largest_of(const Parameter& p) {
  double largest = 0;
  for (const double v : p.value().values<double>()) largest = std::max(largest, std::fabs(v));
  return largest;
}

std::vector<std::string> names_of(const std::vector<Parameter>& parameters) {
  std::vector<std::string> names;
  for (const Parameter& parameter : parameters) names.push_back(parameter.name());
  return names;
}

using Names = std::vector<std::string>;

struct Block {
  nn::Conv2d conv;
  Parameter scale;

  explicit Block(const std::string& name)
      : conv(name + "/conv", 3, 5, {.window = 1, .bias = false}), scale(ones(name + "/scale", {5})) {}
  Var operator()(const Var& x) const { return conv(x) * nn::use(scale, x); }
  template <class V>
  void visit_parameters(V&& visit) {
    visit(conv);
    visit(scale);
  }
};

struct Net {
  std::vector<Block> blocks{Block("block1"), Block("block2")};
  std::unique_ptr<nn::Linear> head = std::make_unique<nn::Linear>("head", 5, 2);
  std::optional<Parameter> none;
  template <class V>
  void visit_parameters(V&& visit) {
    visit(blocks);
    visit(head);
    visit(none);
    visit(nn::Relu{});
    visit(blocks[0]);
  }
};

}  // namespace

TEST_CASE("initial values have the variance of He's and Glorot's formulas", "[nn]") {
  const Shape filter{3, 5, 16, 64};  // fan_in 240, fan_out 960; 15360 numbers: the variance is known to 1.2 %
  const InitializerOptions f64{.seed = 1, .dtype = DType::f64};
  CHECK(variance_of(he_normal("w", filter, f64)) == Approx(2.0 / 240).epsilon(0.06));
  CHECK(variance_of(he_uniform("w", filter, f64)) == Approx(2.0 / 240).epsilon(0.06));
  CHECK(variance_of(glorot_normal("w", filter, f64)) == Approx(2.0 / 1200).epsilon(0.06));
  CHECK(variance_of(glorot_uniform("w", filter, f64)) == Approx(2.0 / 1200).epsilon(0.06));
  CHECK(variance_of(he_normal("w", {200, 70}, f64)) == Approx(2.0 / 200).epsilon(0.06));
  CHECK(variance_of(glorot_normal("w", {200, 70}, f64)) == Approx(2.0 / 270).epsilon(0.06));

  CHECK(largest_of(he_uniform("w", filter, f64)) <= std::sqrt(6.0 / 240));
  CHECK(largest_of(he_uniform("w", filter, f64)) > 0.99 * std::sqrt(6.0 / 240));
  CHECK(largest_of(he_normal("w", filter, f64)) > 2.5 * std::sqrt(2.0 / 240));
  CHECK(largest_of(glorot_uniform("w", filter, f64)) <= std::sqrt(6.0 / 1200));
}

TEST_CASE("initial values depend on seed and name alone", "[nn]") {
  const InitializerOptions f64{.seed = 3, .dtype = DType::f64};
  const auto first = [&](const char* name, const InitializerOptions& options) {
    return he_normal(name, {4, 7}, options).value().at({0, 0});
  };
  CHECK(first("conv1/w", f64) == first("conv1/w", f64));
  CHECK(first("conv1/w", f64) != first("conv2/w", f64));
  CHECK(first("conv1/w", f64) != first("conv1/w", {.seed = 4, .dtype = DType::f64}));
  CHECK(he_normal("w", {2}).value().dtype() == DType::f32);
  CHECK(to_string(zeros("b", {2}).value()) == "f32[2] {0, 0}");
  CHECK(to_string(ones("b", {2}, f64).value()) == "f64[2] {1, 1}");
  CHECK_THROWS_AS(zeros("b", {2}, {.dtype = DType::i64}), DTypeError);
}

TEST_CASE("a linear layer computes x w + b in a scope of its name", "[nn]") {
  nn::Linear layer("head", 2, 3, {.dtype = DType::f64});
  layer.w.set_value(Tensor::of<double>({2, 3}, {1, 2, 3, 4, 5, 6}));
  layer.b->set_value(Tensor::of<double>({3}, {10, 20, 30}));
  Graph g;
  const Var x = g.input(Tensor::of<double>({2, 2}, {1, 1, 2, -1}), "x");
  const Var y = layer(x);
  CHECK(to_string(y.value()) == "f64[2, 3] {{15, 27, 39}, {8, 19, 30}}");
  CHECK(g.scope_path(g.scope_of(y.id())) == "head");
  CHECK(g.current_scope().empty());

  g.backward(sum(y));
  CHECK(to_string(layer.w.grad()) == "f64[2, 3] {{3, 3, 3}, {0, 0, 0}}");
  CHECK(to_string(layer.b->grad()) == "f64[3] {2, 2, 2}");
}

TEST_CASE("a linear layer without bias and with relu", "[nn]") {
  nn::Linear layer("l", 1, 2, {.bias = false, .relu = true, .dtype = DType::f64});
  layer.w.set_value(Tensor::of<double>({1, 2}, {-2, 3}));
  CHECK(to_string(layer(Tensor::full({1, 1}, 2, DType::f64)).value()) == "f64[1, 2] {{0, 6}}");
  CHECK(names_of(parameters_of(layer)) == Names{"l/w"});
}

TEST_CASE("a layer called with a constant computes a constant", "[nn]") {
  const nn::Linear layer("head", 4, 3);
  const Var y = layer(Tensor::full({2, 4}, 1));
  CHECK(y.shape() == Shape{2, 3});
  CHECK_FALSE(y.is_recorded());
  CHECK(y.graph() == nullptr);
}

TEST_CASE("a convolution layer has the filters of its options", "[nn]") {
  const nn::Conv2d layer("conv1", 4, 6,
                         {.window = {3, 5}, .stride = 2, .padding = same, .groups = 2, .relu = true});
  CHECK(layer.w.shape() == Shape{3, 5, 2, 6});
  CHECK(layer.b->shape() == Shape{6});
  CHECK(names_of(parameters_of(layer)) == Names{"conv1/w", "conv1/b"});
  Graph g;
  const Var y = layer(g.input(Random(1).normal({2, 7, 9, 4}, 0, 1), "x"));
  CHECK(y.shape() == Shape{2, 4, 5, 6});
  const auto values = y.value().values<float>();
  CHECK(std::ranges::all_of(values, [](float v) { return v >= 0; }));
  CHECK(std::ranges::any_of(values, [](float v) { return v > 0; }));
  CHECK(g.scope_path(g.scope_of(y.id())) == "conv1");
}

TEST_CASE("a 1x1 convolution layer is a linear map of channels", "[nn]") {
  nn::Conv2d layer("c", 2, 1, {.window = 1, .dtype = DType::f64});
  layer.w.set_value(Tensor::of<double>({1, 1, 2, 1}, {2, -1}));
  layer.b->set_value(Tensor::of<double>({1}, {0.5}));
  const Var y = layer(Tensor::of<double>({1, 1, 2, 2}, {3, 4, 5, 6}));
  CHECK(to_string(y.value()) == "f64[1, 1, 2, 1] {{{{2.5}, {4.5}}}}");
}

TEST_CASE("layers of impossible extents are errors that name the layer", "[nn]") {
  CHECK_THROWS_WITH(nn::Conv2d("conv1", 3, 8, {.groups = 2}),
                    "conv2d layer conv1: 2 groups do not divide 3 channels in and 8 out");
  CHECK_THROWS_WITH(nn::Conv2d("conv1", 0, 8),
                    "conv2d layer conv1: 0 channels in, 8 out, a window of (3, 3): each must be at least 1");
  CHECK_THROWS_WITH(nn::Linear("head", 2, -1),
                    "linear layer head: 2 features in, -1 out: each must be at least 1");
}

TEST_CASE("a layer's error names the scope and the user's line", "[nn]") {
  const nn::Linear layer("head", 4, 3);
  const nn::Sequential net{nn::Flatten(), layer};
  Graph g;
  const Var x = g.input(Tensor::zeros({2, 5}), "x");
  CHECK_THROWS_WITH(layer(x), Contains("in scope head, at nn_test.cpp:"));
  CHECK_THROWS_WITH(net(x), Contains("in scope head, at nn_test.cpp:"));
}

TEST_CASE("the parameters of a module are those of its parts, each once", "[nn]") {
  Net net;
  CHECK(names_of(parameters_of(net)) ==
        Names{"block1/conv/w", "block1/scale", "block2/conv/w", "block2/scale", "head/w", "head/b"});
  CHECK(parameters_of(net)[0].key() == net.blocks[0].conv.w.key());
}

TEST_CASE("a sequence calls layers, modules and lambdas one after the other", "[nn]") {
  const nn::Sequential net{Block("block1"),
                           nn::Pool2d({.window = 2, .kind = PoolKind::average}),
                           nn::Relu(),
                           nn::Flatten(),
                           [](const Var& x) { return x + 1.0; },
                           nn::Linear("head", 20, 2)};
  CHECK(names_of(parameters_of(net)) == Names{"block1/conv/w", "block1/scale", "head/w", "head/b"});
  Graph g;
  const Var y = net(g.input(Random(2).normal({3, 4, 4, 3}, 0, 1), "x"));
  CHECK(y.shape() == Shape{3, 2});
  g.backward(sum(y));
  for (const Parameter& parameter : parameters_of(net)) CHECK(parameter.has_grad());

  const nn::Sequential twice{net, [](const Var& x) { return 2.0 * x; }};
  CHECK(parameters_of(twice).size() == 4);
}

TEST_CASE("dropout obeys the mode of the graph", "[nn]") {
  const nn::Dropout dropout(0.5);
  Graph training, testing({.training = false});
  const Tensor x = Tensor::full({1000}, 1);
  const Var y = dropout(training.input(x, "x"));
  const auto dropped = y.value().values<float>();
  CHECK(std::ranges::count(dropped, 0.0f) > 300);
  CHECK(std::ranges::count(dropped, 2.0f) > 300);
  CHECK(dropout(testing.input(x, "x")).value().shares_storage(x));
}

TEST_CASE("a paused graph takes no scopes from layers", "[nn]") {
  const nn::Linear layer("head", 4, 3);
  Graph g;
  const auto paused = g.pause();
  for (int i = 0; i < 3; ++i) layer(g.input(Tensor::full({2, 4}, 1)));
  CHECK(g.scopes().size() == 1);
  CHECK(g.node_count() == 0);
}

TEST_CASE("a small network learns exclusive or", "[nn]") {
  const nn::Sequential net{nn::Linear("hidden", 2, 8, {.initializer = glorot_uniform, .seed = 1}), nn::Tanh(),
                           nn::Linear("output", 8, 2, {.initializer = glorot_uniform, .seed = 1})};
  const Tensor x = Tensor::of<float>({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1});
  const Tensor labels = Tensor::of<std::int64_t>({4}, {0, 1, 1, 0});
  Adam adam(parameters_of(net), {.learning_rate = 0.05});
  Graph g;
  double loss = 0;
  for (int step = 0; step < 200; ++step) {
    g.clear();
    const Var l = softmax_crossentropy(net(g.input(x, "x")), labels);
    g.backward(l);
    adam.step();
    adam.zero_grad();
    loss = l.item();
  }
  CHECK(loss < 0.05);
}
