// Writes HTML views for tests/browser/view.py into a folder: a CNN of 10 ops with a NaN, 400 ops in blocks,
// 100,000 ops, and hostile names.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "hostile_strings.hpp"
#include "weft/weft.hpp"

using namespace weft;

namespace {

void small(const std::string& file) {
  Graph g;
  const Profile profile(g, {.gradients = true, .nonfinite = true});
  Var h = g.input(Random(1).uniform({2, 8, 8, 3}, -1, 1), "images");
  {
    const Scope scope = g.scope("conv1");
    h = relu(conv2d(h, g.use(he_normal("conv1/w", {3, 3, 3, 4})), g.use(zeros("conv1/b", {4})),
                    {.padding = same}));
  }
  h = pool2d(h, {.window = 2});
  const Scope scope = g.scope("head");
  h = log(matmul(flatten(h), g.use(he_normal("head/w", {64, 6}))) + g.use(zeros("head/b", {6})));
  g.backward(mean(h * h));
  save_diagram(g, file, {.view = DiagramView::both, .overlay = DiagramOverlay::nonfinite});
}

void blocks(const std::string& file, int count, int layers) {
  Graph g;
  Var h = g.input(Tensor::zeros({4}), "x");
  for (int b = 0; b < count; ++b) {
    const Scope scope = g.scope(fmt::format("block{}", b));
    const Var in = h;
    const Var w = g.use(Parameter(fmt::format("block{}/w", b), Tensor::zeros({4})));
    for (int i = 0; i < layers; ++i) h = tanh(h * w + static_cast<double>(i + 1));
    h = h + in;
  }
  g.backward(sum(h));
  save_diagram(g, file);
}

// Every hostile string as a name, a scope and a title, in every format; and expected.json, the strings as
// they have to be read.
void hostile(const std::string& folder) {
  const auto strings = hostile_strings();
  std::string title;
  nlohmann::json expected = nlohmann::json::array();
  Graph g;
  Var h = g.input(Tensor::zeros({2}), "x");
  for (const auto& [given, read] : strings) {
    title += given;
    expected.push_back(read);
    const Scope scope = g.scope(given);
    h = h * g.use(Parameter(given, Tensor::zeros({2})));
  }
  const Scope scope = g.scope(std::string(1'000'000, '<'));
  h* g.use(Parameter(std::string(1'000'000, '"'), Tensor::zeros({2})));
  std::ofstream(folder + "/expected.json") << expected;
  for (const char* format : {"html", "svg", "json", "graphml", "dot", "txt", "pdf", "png"}) {
    save_diagram(g, fmt::format("{}/hostile.{}", folder, format),
                 {.fold = {.repeats = false}, .title = title, .layout_budget = 60});
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string folder = argc > 1 ? argv[1] : ".";
  std::filesystem::create_directories(folder);
  small(folder + "/small.html");
  blocks(folder + "/middle.html", 10, 13);
  blocks(folder + "/large.html", 250, 133);
  hostile(folder);
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
