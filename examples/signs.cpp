// Trains a CNN to read hand signs from HDF5 files, and leaves its graph, curves, mistakes and weights in a
// folder.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <weft/weft.hpp>

#include "support/signs_data.hpp"
#include "support/signs_models.hpp"
#include "support/training.hpp"

using namespace weft;

using examples::Recipe;

struct Resuming {
  std::string folder;      // of checkpoints
  std::int64_t every = 0;  // epochs; 0: none is written
  bool resume = false;
};

// Every epoch passes over all images in a new order; the learning rate falls along a cosine.
// A run that goes on from a checkpoint ends with the same bits as one that was never stopped.
History train(Graph& g, const Recipe& recipe, const SignsData& data, std::uint64_t seed,
              const Resuming& resuming) {
  const Tensor train_x = examples::centred(data.train_x), test_x = examples::centred(data.test_x);
  const std::int64_t count = train_x.extent(0);
  const std::int64_t steps = recipe.epochs * ((count + recipe.batch - 1) / recipe.batch);
  AdamW optimizer(parameters_of(recipe.model),
                  {.learning_rate = recipe.learning_rate, .weight_decay = recipe.weight_decay});
  Schedule schedule = CosineSchedule{recipe.learning_rate, steps, recipe.warm_up};
  Random random(seed, "augmentation");
  History history;
  std::int64_t epoch = 0, step = 0;
  const TrainingState state{.parameters = parameters_of(recipe.model),
                            .optimizer = &optimizer,
                            .schedule = &schedule,
                            .graph = &g,
                            .random = {{"augmentation", &random}},
                            .history = &history,
                            .epoch = &epoch,
                            .step = &step};
  std::optional<Checkpoints> checkpoints;
  if (resuming.every > 0 || resuming.resume) checkpoints.emplace(resuming.folder);
  if (checkpoints && !resuming.resume && !checkpoints->files().empty())
    throw Error(resuming.folder + " has the checkpoints of a run: --resume it, or give another --out");
  if (resuming.resume) {
    const auto file = checkpoints->resume(state);
    fmt::print("{}\n", file ? "goes on from " + *file : "there is no checkpoint in " + resuming.folder);
  }
  ProgressBar progress((recipe.epochs - epoch) * count);
  while (epoch < recipe.epochs) {
    ++epoch;
    progress.set_label(fmt::format("epoch {}/{}", epoch, recipe.epochs));
    examples::EpochMeter meter(epoch);
    for (const auto& rows :
         random_mini_batches(count, recipe.batch, static_cast<std::uint32_t>(seed * 1000 + epoch))) {
      g.clear();
      const Tensor images = augment(take_rows(train_x, rows), recipe.augmentation, random);
      const Var labels = g.input(take_rows(data.train_y, rows), "labels");
      const Var logits = recipe.model(g.input(images, "images"));
      const Var loss = softmax_crossentropy(logits, labels, {.label_smoothing = recipe.label_smoothing});
      g.backward(loss);
      optimizer.set_learning_rate(learning_rate(schedule, step++));
      optimizer.step();
      optimizer.zero_grad();
      const double right = accuracy(logits.value(), labels.value());
      progress.advance(labels.extent(0), meter.add(loss.item(), right, labels.extent(0)));
    }
    const Tensor logits = examples::predict(recipe.model, test_x);
    history.push_back(meter.result(accuracy(logits, data.test_y), optimizer.learning_rate()));
    if (resuming.every > 0 && epoch % resuming.every == 0) checkpoints->save(state);
  }
  return history;
}

int main(int argc, char** argv) try {
  std::string data_folder, out = "signs-out", model = "seed";
  std::int64_t epochs = 0, batch = 0;
  std::uint64_t seed = 1;
  Resuming resuming;
  CLI::App app{"Trains a CNN to read hand signs, 0 to 5 raised fingers, from images of 64 x 64 pixels."};
  app.add_option("--data", data_folder,
                 "folder of train_signs.h5 and test_signs.h5; without it, signs are drawn");
  app.add_option("--model", model, "seed: the article's network; better: more layers, augmented images")
      ->check(CLI::IsMember({"seed", "better"}));
  app.add_option("--epochs", epochs, "default: 100 for seed, 60 for better")->check(CLI::PositiveNumber);
  app.add_option("--batch", batch, "images per step; default: 64 for seed, 32 for better")
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", seed, "of weights, order of images, augmentation, drawn signs")
      ->capture_default_str();
  app.add_option("--out", out, "folder for what it leaves behind")->capture_default_str();
  app.add_option("--checkpoint-every", resuming.every, "epochs between checkpoints, in OUT/checkpoints")
      ->check(CLI::PositiveNumber);
  app.add_flag("--resume", resuming.resume, "go on from the newest checkpoint");
  CLI11_PARSE(app, argc, argv);

  require_writable_folder(out);
  const std::filesystem::path folder = out;
  const SignsData data = examples::load_signs(data_folder, folder / "data", seed);
  Recipe recipe = model == "seed" ? examples::seed_recipe(seed) : examples::better_recipe(seed);
  if (epochs > 0) recipe.epochs = epochs;
  if (batch > 0) recipe.batch = batch;

  Graph g({.seed = seed});
  resuming.folder = folder / "checkpoints";
  const History history = train(g, recipe, data, seed, resuming);
  const Tensor logits = examples::predict(recipe.model, examples::centred(data.test_x));
  save_diagram(g, folder / "graph.svg", {.title = "signs, " + model});
  write_csv(history, folder / "history.csv");
  write_svg(history, folder / "curves.svg");
  examples::save_mistakes(data, argmax(logits).value(), folder / "mistakes.png");
  save_parameters(parameters_of(recipe.model), folder / "weights.h5");
  fmt::print("graph.svg, history.csv, curves.svg, mistakes.png and weights.h5 are in {}\n", out);
  fmt::print("test accuracy {}\n", examples::accuracy_text(data, logits));
} catch (const std::exception& error) {
  fmt::print(stderr, "signs: {}\n", error.what());
  return 1;
}
