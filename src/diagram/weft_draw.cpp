// weft-draw step.json -o step.html --view both --overlay time --depth 3: draws a snapshot that was saved as
// JSON. --signature prints its signatures; --diff a.json b.json compares two.
//
// Exit status: 0 drawn, or equal; 1 different; 2 an error, told on stderr.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>

#include "weft/diagram.hpp"
#include "weft/diff.hpp"

namespace {

using namespace weft;

const std::map<std::string, DiagramView> views = {
    {"forward", DiagramView::forward}, {"backward", DiagramView::backward}, {"both", DiagramView::both}};
const std::map<std::string, DiagramOverlay> overlays = {
    {"shape", DiagramOverlay::shape},        {"time", DiagramOverlay::time},
    {"memory", DiagramOverlay::memory},      {"flops", DiagramOverlay::flops},
    {"gradient", DiagramOverlay::gradient},  {"nonfinite", DiagramOverlay::nonfinite},
    {"gradcheck", DiagramOverlay::gradcheck}};
const std::map<std::string, DiagramTheme> themes = {
    {"light", DiagramTheme::light}, {"dark", DiagramTheme::dark}, {"print", DiagramTheme::print}};

int compare(const std::vector<std::string>& files, const std::string& out, const DiagramOptions& options) {
  if (files.size() != 2) throw Error("--diff needs two files");
  const GraphDiff found = diff(read_snapshot(files[0]), read_snapshot(files[1]));
  if (!out.empty())
    fmt::print("{}", to_text(save_diagram(found, out, options)));
  else
    fmt::print("{}", to_text(found));
  return found.is_equal() ? 0 : 1;
}

int run(int argc, char** argv) {
  CLI::App app{"Draws a computation graph that weft saved as JSON."};
  std::vector<std::string> files;
  std::string out;
  DiagramOptions options;
  bool signature = false, differences = false;
  app.add_option("files", files, "graphs, as save_diagram(g, \"step.json\") writes them")->required();
  app.add_option("-o,--output", out, "picture: .svg .pdf .png .html .dot .graphml .txt .json");
  app.add_option("--view", options.view)->transform(CLI::CheckedTransformer(views));
  app.add_option("--overlay", options.overlay)->transform(CLI::CheckedTransformer(overlays));
  app.add_option("--theme", options.theme)->transform(CLI::CheckedTransformer(themes));
  app.add_option("--depth", options.fold.depth, "scopes below this depth are folded")->capture_default_str();
  app.add_option("--max-boxes", options.fold.max_boxes, "of one picture")->capture_default_str();
  app.add_option("--title", options.title, "default: the stem of the output");
  app.add_flag("--folded-dot", options.folded_dot, "DOT of the folded picture instead of the whole record");
  app.add_flag("--strict", options.strict, "an error where the picture could not be laid out");
  app.add_flag("--signature", signature, "print the signatures: structure, identity");
  app.add_flag("--diff", differences, "compare two graphs");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (differences) return compare(files, out, options);
  if (files.size() != 1) throw Error("one graph is drawn at a time");
  const Snapshot s = read_snapshot(files[0]);
  if (signature) {
    fmt::print("structure {}\nidentity {}\n", to_string(structure(s)), to_string(identity(s)));
    return 0;
  }
  if (out.empty())
    write_text(s, std::cout, options);
  else
    fmt::print("{}", to_text(save_diagram(s, out, options)));
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const int status = run(argc, argv);
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0) throw weft::FileError("cannot write to stdout");
  return status;
} catch (const std::exception& error) {
  fmt::print(stderr, "weft-draw: {}\n", error.what());
  return 2;
}
