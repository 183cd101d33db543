// The seed article's perceptron 12288-25-12-6 on hand signs, and its `predict` on single images.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <weft/weft.hpp>

#include "support/signs_data.hpp"
#include "support/training.hpp"

using namespace weft;

// A module is any struct with layers, a call and visit_parameters().
struct Perceptron {
  nn::Linear l1, l2, l3;

  explicit Perceptron(std::uint64_t seed)
      : l1("l1", 12288, 25, {.initializer = glorot_normal, .seed = seed}),
        l2("l2", 25, 12, {.initializer = glorot_normal, .seed = seed}),
        l3("l3", 12, 6, {.initializer = glorot_normal, .seed = seed}) {}
  Var operator()(const Var& x) const { return l3(relu(l2(relu(l1(flatten(x)))))); }
  template <class V>
  void visit_parameters(V&& visit) const {
    visit(l1);
    visit(l2);
    visit(l3);
  }

  // The class of one image, u8 [64, 64, 3].
  std::int64_t predict(const Tensor& image) const {
    Graph g;
    const auto paused = g.pause();
    const Var logits = (*this)(g.input(examples::centred(image).reshape({1, 64, 64, 3})));
    return argmax(logits).value().at({0});
  }
};

int main(int argc, char** argv) try {
  std::string data_folder, out = "perceptron-out";
  std::int64_t epochs = 100;
  std::uint64_t seed = 1;
  CLI::App app{"Trains the perceptron 12288-25-12-6 to read hand signs."};
  app.add_option("--data", data_folder,
                 "folder of train_signs.h5 and test_signs.h5; without it, signs are drawn");
  app.add_option("--epochs", epochs)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--seed", seed, "of weights, order of images, drawn signs")->capture_default_str();
  app.add_option("--out", out, "folder for graph.svg and history.csv")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  require_writable_folder(out);
  const std::filesystem::path folder = out;
  const SignsData data = examples::load_signs(data_folder, folder / "data", seed);
  const Tensor train_x = examples::centred(data.train_x), test_x = examples::centred(data.test_x);
  const Perceptron model(seed);
  Adam adam(parameters_of(model), {.learning_rate = 1e-3});
  History history;
  ProgressBar progress(epochs * train_x.extent(0));
  Graph g;
  for (std::int64_t epoch = 1; epoch <= epochs; ++epoch) {
    progress.set_label(fmt::format("epoch {}/{}", epoch, epochs));
    examples::EpochMeter meter(epoch);
    for (const auto& rows : random_mini_batches(train_x.extent(0), 64, static_cast<std::uint32_t>(epoch))) {
      g.clear();
      const Tensor labels = take_rows(data.train_y, rows);
      const Var logits = model(g.input(take_rows(train_x, rows), "images"));
      const Var loss = softmax_crossentropy(logits, labels);
      g.backward(loss);
      adam.step();
      adam.zero_grad();
      progress.advance(labels.elements(),
                       meter.add(loss.item(), accuracy(logits.value(), labels), labels.elements()));
    }
    history.push_back(
        meter.result(accuracy(examples::predict(model, test_x), data.test_y), adam.learning_rate()));
  }
  progress.finish();
  save_diagram(g, folder / "graph.svg", {.title = "perceptron"});
  write_csv(history, folder / "history.csv");

  for (const std::int64_t row : {0, 1, 2}) {
    const Tensor image = take_rows(data.test_x, std::span(&row, 1)).reshape({64, 64, 3});
    fmt::print("test image {}: predicted {}, is {}\n", row, model.predict(image), data.test_y.at({row}));
  }
  fmt::print("test accuracy {}\n", examples::accuracy_text(data, examples::predict(model, test_x)));
} catch (const std::exception& error) {
  fmt::print(stderr, "perceptron: {}\n", error.what());
  return 1;
}
