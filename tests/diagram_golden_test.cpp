// Files of diagrams, byte for byte. Each was looked at as a picture before it was kept. Rewritten by
//   WEFT_UPDATE_GOLDEN=1 build/release/tests/weft_tests "[golden]"
#include <catch2/catch.hpp>
#include <cstdlib>

#include "diagram_records.hpp"
#include "temporary_folder.hpp"

using namespace weft;

namespace {

void check_golden(const std::string& name, const std::string& text) {
  const std::string file = fmt::format("{}/tests/golden/{}", WEFT_SOURCE_DIR, name);
  if (std::getenv("WEFT_UPDATE_GOLDEN")) write_text(file, text);
  INFO(name);
  CHECK(text == text_of(file));
}

DiagramOptions titled(const std::string& title) {
  return {.title = title, .source_root = "/home/user/project"};
}

// A recorded CNN after backward().
struct Trained : Cnn {
  Trained() { g.backward(record(g)); }
  Graph g;
};

// One of eight edits of a small model; 0: none.
Snapshot edited(int edit) {
  Graph g;
  const SourceLocation at = Cnn::line(1);
  const Var x = g.input(Tensor::zeros({2, 3}), edit == 1 ? "renamed" : "x", at);
  const Var w = g.use(Parameter("w", Tensor::zeros(edit == 2 ? Shape{3, 5} : Shape{3, 4})), at);
  Var h = matmul(x, w, {}, at);
  {
    const Scope scope = g.scope(edit == 8 ? "neck" : "head");
    if (edit == 3) h = tanh(h, at);
    if (edit != 4) h = relu(h, at);
    h = scale(h, edit == 5 ? 3 : 2, at);
  }
  const Var r = relu(h, at);
  h = edit == 6 ? subtract(h, r, at) : subtract(r, h, at);
  if (edit == 7) exp(h, at);
  sum(h, {}, at);
  return take_snapshot(g);
}

}  // namespace

TEST_CASE("the DOT of a small CNN is what the golden file says", "[diagram][golden]") {
  const Cnn cnn;
  Graph g;
  cnn.record(g);
  check_golden("cnn.dot", dot_of(g, titled("cnn")));
}

TEST_CASE("views, folds, overlays and themes of a CNN are what the golden files say", "[diagram][golden]") {
  const Trained cnn;
  const auto check = [&](std::string_view name, DiagramOptions options) {
    options.title = "cnn";
    options.source_root = "/home/user/project";
    check_golden(fmt::format("cnn_{}.dot", name), dot_of(cnn.g, options));
  };
  check("backward", {.view = DiagramView::backward});
  check("both", {.view = DiagramView::both});
  check("folded", {.fold = {.depth = 0}, .folded_dot = true});
  check("folded_both", {.view = DiagramView::both, .fold = {.depth = 1}, .folded_dot = true});
  check("memory", {.overlay = DiagramOverlay::memory});
  check("flops", {.overlay = DiagramOverlay::flops, .theme = DiagramTheme::print});
  check("around", {.around = NodeId{6}, .radius = 1, .theme = DiagramTheme::dark});
}

TEST_CASE("overlays of measurements are what the golden files say", "[diagram][golden]") {
  const Trained cnn;
  Snapshot s = take_snapshot(cnn.g);
  Measurements& m = s.measured;
  for (NodeId n = 0; n < s.node_count(); ++n) {
    m.forward.push_back(s.is_op(n) ? 1e-3 * (n % 5 + 1) : 0);
    m.backward.push_back(s.is_op(n) && s.differentiable[n] ? 2e-3 : 0);
    m.gradient_norm.push_back(n % 7 == 0 ? std::nan("") : 1e-3 * n * n);
    m.gradient_max.push_back(1e-4 * n);
    m.bad_values.push_back(n >= 12 && s.is_op(n));
    m.bad_gradients.push_back(n == 4 ? 3 : 0);
    m.check.push_back(n == 8 ? 2 : s.is_op(n));
    m.check_error.push_back(n == 8 ? 1e-2 : 2e-9);
    m.check_where.push_back(n == 8 ? s.strings.add("[0, 3]") : 0);
  }
  m.other = 1e-4;
  m.origin = 12;
  for (const auto& [name, overlay] : {std::pair("time", DiagramOverlay::time),
                                      {"gradient", DiagramOverlay::gradient},
                                      {"nonfinite", DiagramOverlay::nonfinite},
                                      {"gradcheck", DiagramOverlay::gradcheck}}) {
    DiagramOptions options = titled("cnn");
    options.overlay = overlay;
    check_golden(fmt::format("cnn_{}.dot", name), dot_of(s, options));
  }
}

TEST_CASE("folded blocks, an empty graph and a failed call are what the golden files say",
          "[diagram][golden]") {
  Graph own, shared;
  record_blocks(own, 12, false);
  record_blocks(shared, 12, true);
  const auto folded = [](const Graph& g) {
    std::string dot = dot_of(g, {.folded_dot = true, .title = "blocks"});
    return dot;
  };
  check_golden("blocks_own.dot", folded(own));
  check_golden("blocks_shared.dot", folded(shared));
  check_golden("empty.dot", dot_of(Graph(), titled("nothing")));

  const TemporaryFolder folder;
  Graph g;
  const Var a = g.input(Tensor::zeros({2, 3}), "a", Cnn::line(1));
  const Var b = g.input(Tensor::zeros({2, 3}), "b", Cnn::line(2));
  add(a, b, Cnn::line(3));
  try {
    const FailureDiagram guard = on_failure(g, folder / "failed.dot");
    matmul(a, b, {}, Cnn::line(4));
  } catch (const ShapeError&) {
  }
  check_golden("failed.dot", text_of(folder / "failed.dot"));
}

TEST_CASE("text, JSON and GraphML are what the golden files say", "[diagram][golden]") {
  const Trained cnn;
  const Snapshot s = take_snapshot(cnn.g);
  const auto written = [](auto&& write) {
    std::ostringstream out;
    write(out);
    return out.str();
  };
  check_golden("cnn.txt", written([&](std::ostream& out) { write_text(s, out, {.title = "cnn"}); }));
  check_golden("cnn.json", written([&](std::ostream& out) { write_json(s, out); }));
  check_golden("cnn.graphml", written([&](std::ostream& out) { write_graphml(s, out); }));
  const Snapshot nothing = take_snapshot(Graph());
  check_golden("empty.txt", written([&](std::ostream& out) { write_text(nothing, out, {}); }));
  check_golden("empty.json", written([&](std::ostream& out) { write_json(nothing, out); }));
}

TEST_CASE("the diffs of eight edits are what the golden files say, and none of no edit",
          "[diagram][golden]") {
  CHECK(to_text(diff(edited(0), edited(0))) == "equal\n");
  const TemporaryFolder folder;
  for (int edit = 1; edit <= 8; ++edit) {
    const GraphDiff found = diff(edited(0), edited(edit));
    CHECK_FALSE(found.is_equal());
    check_golden(fmt::format("diff_{}.txt", edit), to_text(found));
    save_diagram(found, folder / "diff.dot");
    check_golden(fmt::format("diff_{}.dot", edit), text_of(folder / "diff.dot"));
  }
}
