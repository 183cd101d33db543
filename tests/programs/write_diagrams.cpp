// write_diagrams FOLDER THREADS: writes one training step in every format into FOLDER/0, FOLDER/1 and so on,
// from so many threads at once, in the locale of the environment.
#include <clocale>
#include <filesystem>
#include <locale>
#include <thread>

#include "weft/weft.hpp"

using namespace weft;

namespace {

void write(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  Graph g;
  Var h = g.input(Random(1).uniform({16, 16, 16, 3}, -1, 1), "images");
  {
    const Scope scope = g.scope("conv1");
    const Var w = g.use(he_normal("conv1/w", {3, 3, 3, 8})), b = g.use(zeros("conv1/b", {8}));
    h = relu(conv2d(h, w, b, {.padding = same}));
  }
  for (int i = 0; i < 20; ++i) {
    const Scope scope = g.scope(fmt::format("block{}", i));
    h = tanh(h * 1234567.25) + h * (1.5 + i);
  }
  g.backward(mean(h * h));
  Snapshot s = take_snapshot(g);
  for (NodeId n = 0; n < s.node_count(); ++n) {  // measured, but the same at every run
    s.measured.forward.push_back(1e-3 * (n % 7) + 1234.5);
    s.measured.backward.push_back(2.5e-3 * (n % 3));
  }
  const DiagramOptions options{
      .view = DiagramView::both, .overlay = DiagramOverlay::time, .layout_budget = 60};
  for (const char* format : {"dot", "json", "graphml", "txt", "svg", "html"})
    save_diagram(s, folder / fmt::format("step.{}", format), options);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) throw Error("usage: write_diagrams FOLDER THREADS");
  const std::locale locale("");
  std::locale::global(locale);
  fmt::print("{} {}\n", std::setlocale(LC_ALL, nullptr),
             std::use_facet<std::numpunct<char>>(locale).decimal_point());
  std::vector<std::jthread> threads;
  for (int i = 0; i < std::atoi(argv[2]); ++i)
    threads.emplace_back([folder = std::filesystem::path(argv[1]) / std::to_string(i)] { write(folder); });
} catch (const std::exception& error) {
  fmt::print(stderr, "write_diagrams: {}\n", error.what());
  return 1;
}
