// Snapshots, views, folding, overlays, differences, failures: what diagrams say, without Graphviz.
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>
#include <regex>
#include <set>
#include <sstream>

#include "diagram_records.hpp"
#include "temporary_folder.hpp"
#include "weft/gradcheck_catch2.hpp"
#include "weft/op.hpp"
#include "weft/weft.hpp"

using namespace weft;

namespace {

// Sum of two operands whose rule notes which gradients it was asked for.
std::set<std::pair<NodeId, int>> asked;
struct Spy final : Op {
  void backward(const Var& y, const Var& gy, Gradients& gx) const override {
    for (int i = 0; i < gx.operand_count(); ++i) {
      if (gx.wants(i)) asked.insert({y.id(), i});
      gx.set(i, gy);
    }
  }
  const OpInfo& info() const override {
    static const OpInfo info{.name = "spy",
                             .arguments = {{"a"}, {"b"}},
                             .call = {},
                             .reference = []<class T>(const Inputs<T>& x, const Attributes&) { return x[0]; },
                             .samples = samples()};
    return info;
  }
};
Var spy(const Var& a, const Var& b) {
  return record(Spy(), add(Var(a.value()), Var(b.value())).value(), {a, b}, {}, SourceLocation::current());
}

// tanh with a gradient that is 1.5 times too large.
Var wrong_tanh(const Var& x);
struct WrongTanh final : Op {
  void backward(const Var& y, const Var& gy, Gradients& gx) const override {
    gx.set(0, gy * (1 - y * y) * 1.5);
  }
  const OpInfo& info() const override {
    static const OpInfo info{
        .name = "wrong_tanh",
        .arguments = {{"x"}},
        .call = [](std::span<const Var> x, const Attributes&) { return wrong_tanh(x[0]); },
        .reference =
            []<class T>(const Inputs<T>& x, const Attributes&) {
              using std::tanh;
              return map_reference(x[0], [](const T& v) { return tanh(v); });
            },
        .samples = samples()};
    return info;
  }
};
Var wrong_tanh(const Var& x) {
  return record(WrongTanh(), tanh(Var(x.value())).value(), {x}, {.output = true}, SourceLocation::current());
}

}  // namespace

TEST_CASE("FLOPs and parameters of a CNN are the closed forms", "[diagram]") {
  Graph g;
  Var h = g.input(Tensor::zeros({64, 64, 64, 3}), "x");
  const Var w1 = g.use(Parameter("w1", Tensor::zeros({4, 4, 3, 8}))),
            b1 = g.use(Parameter("b1", Tensor::zeros({8})));
  const Var w2 = g.use(Parameter("w2", Tensor::zeros({512, 6}))),
            b2 = g.use(Parameter("b2", Tensor::zeros({6})));
  h = pool2d(relu(conv2d(h, w1, b1, {.padding = same})), {.window = 8, .stride = 8});
  const Var logits = add(matmul(flatten(h), w2), b2);
  softmax_crossentropy(logits, Tensor::zeros({64}, DType::i64));
  const Snapshot s = take_snapshot(g);
  std::map<std::string, double> found;
  for (NodeId n = 0; n < s.node_count(); ++n) found[std::string(s.op_name(n))] += s.flops[n];
  CHECK(found["conv2d"] == 2.0 * 48 * 2097152 + 2097152);
  CHECK(found["relu"] == 2097152);
  CHECK(found["pool2d"] == 63.0 * 32768);
  CHECK(found["flatten"] == 0);
  CHECK(found["matmul"] == 2.0 * 64 * 512 * 6);
  CHECK(found["add"] == 384);
  CHECK(found["softmax_crossentropy"] == 5 * 384);
  CHECK_THAT(dot_of(g), Catch::Contains("7 ops | 3,470 parameters | 208.0 MFLOP"));
}

TEST_CASE("a snapshot outlives clear() and holds what was computed from, or all", "[diagram]") {
  Graph g;
  record_blocks(g, 3, false);
  const Var x = g.input(Tensor::zeros({3}), "late");
  const Var y = relu(x), z = tanh(x);
  const Snapshot all = take_snapshot(g), part = take_snapshot(std::array{y});
  const std::string dot = dot_of(g);
  g.clear();
  CHECK(dot_of(all) == dot);
  CHECK(part.node_count() == 2);
  CHECK(part.op_name(1) == "relu");
  CHECK_THROWS_AS(take_snapshot(std::array{y}), GraphError);
}

TEST_CASE("signatures tell structure from names", "[diagram]") {
  const auto record = [](const char* name, bool swapped) {
    Graph g;
    const Var x = g.input(Tensor::zeros({2}), name), y = tanh(x);
    sum(swapped ? subtract(y, x) : subtract(x, y));
    return take_snapshot(g);
  };
  const Snapshot a = record("a", false), b = record("b", false), c = record("a", true);
  CHECK(structure(a) == structure(b));
  CHECK_FALSE(identity(a) == identity(b));
  CHECK_FALSE(structure(a) == structure(c));
}

TEST_CASE("JSON read back is the snapshot, and broken JSON is an error", "[diagram]") {
  const TemporaryFolder folder;
  Graph g;
  const Profile profile(g, {.gradients = true, .nonfinite = true});
  record_random(g, 7, 200);
  log(g.input(Tensor::full({2}, -1), "\"bad\"\n</script>"));
  const Snapshot s = take_snapshot(g);
  save_diagram(s, folder / "a.json");
  const Snapshot back = read_snapshot(folder / "a.json");
  CHECK(identity(back) == identity(s));
  CHECK(back.measured.forward == s.measured.forward);
  CHECK(back.measured.bad_values == s.measured.bad_values);
  CHECK(back.measured.origin == s.measured.origin);
  CHECK(back.kept_bytes == s.kept_bytes);
  for (const DiagramView view : {DiagramView::forward, DiagramView::backward, DiagramView::both})
    CHECK(dot_of(back, {.view = view, .overlay = DiagramOverlay::time}) ==
          dot_of(s, {.view = view, .overlay = DiagramOverlay::time}));
  save_diagram(back, folder / "b.json");
  CHECK(text_of(folder / "a.json") == text_of(folder / "b.json"));

  const std::string text = text_of(folder / "a.json");
  for (const std::string& broken :
       {std::string("{}"), std::string(), text.substr(0, text.size() / 2), std::string("[1]"),
        std::regex_replace(text, std::regex("\"source\":\\[0"), "\"source\":[9999"),
        std::regex_replace(text, std::regex("f32\\["), "f33["),
        std::regex_replace(text, std::regex("\"root\":\\d+"), "\"root\":99999")}) {
    write_text(folder / "broken.json", broken);
    CHECK_THROWS_AS(read_snapshot(folder / "broken.json"), FileError);
  }
  CHECK_THROWS_AS(read_snapshot(folder / "missing.json"), FileError);
}

TEST_CASE("the gradient edges of a backward view are what the engine asks of the rules", "[diagram]") {
  const unsigned seed = GENERATE(range(0u, 10u));
  std::mt19937 random(seed);
  Graph g;
  const Parameter w("w", Tensor::zeros({2}));
  std::vector<Var> nodes{g.input(Tensor::zeros({2}), "x"), g.use(w)};
  for (int i = 0; i < 40; ++i)
    nodes.push_back(spy(nodes[random() % nodes.size()], nodes[random() % nodes.size()]));
  const Var loss = sum(spy(nodes.back(), g.use(w)));
  asked.clear();
  g.backward(loss);
  const std::string dot = dot_of(g, {.view = DiagramView::both});
  std::set<std::pair<NodeId, int>> drawn;
  static const std::regex pattern(R"x(\[id="g(\d+)" class="gradient")x");
  for (std::sregex_iterator it(dot.begin(), dot.end(), pattern), end; it != end; ++it) {
    const EdgeId e{static_cast<std::uint32_t>(std::stoul((*it)[1]))};
    if (g.edge_source(e) != loss.id()) drawn.insert({g.edge_source(e), g.edge_slot(e)});
  }
  CHECK(drawn == asked);
}

TEST_CASE("x * x sends two gradients back, which meet in a circle", "[diagram]") {
  Graph g;
  const Var x = g.use(Parameter("x", Tensor::zeros({2})));
  g.backward(sum(multiply(x, x)));
  const std::string dot = dot_of(g, {.view = DiagramView::backward, .folded_dot = true});
  CHECK(count(dot, "b1 -> a0 [id=\"g") == 2);
  CHECK(count(dot, "a0 -> n0 [") == 1);
  CHECK_THAT(line_of(dot, "b1"), Catch::Contains("gradient of multiply"));
  CHECK_THAT(line_of(dot, "a0"), Catch::Contains("label=\"+\""));
  Graph none;
  none.input(Tensor::zeros({1}));
  CHECK_THROWS_AS(dot_of(none, {.view = DiagramView::backward}), GraphError);
  CHECK_THROWS_AS(dot_of(g, {.view = DiagramView::backward, .root = 99}), GraphError);
}

TEST_CASE("the critical path by measured times is a plain loop's", "[diagram]") {
  Graph g;
  record_random(g, 3, 300);
  Snapshot s = take_snapshot(g);
  std::mt19937 random(5);
  for (NodeId n = 0; n < s.node_count(); ++n) {
    s.measured.forward.push_back(static_cast<double>(random() % 1000) * 1e-6);
    s.measured.backward.push_back(static_cast<double>(random() % 1000) * 1e-6);
  }
  const auto longest = [&](const std::vector<double>& seconds) {
    std::vector<double> best(s.node_count());
    for (NodeId n = 0; n <= s.root; ++n) {
      for (const NodeId input : s.inputs(n)) best[n] = std::max(best[n], best[input]);
      best[n] += seconds[n];
    }
    return best[s.root];
  };
  const CriticalPath path = critical_path(s);
  double along = 0;
  for (const NodeId n : path.forward) along += s.measured.forward[n];
  CHECK(along == Approx(longest(s.measured.forward)));
  CHECK(path.seconds == Approx(longest(s.measured.forward) + longest(s.measured.backward)));
  CHECK(path.forward.back() == s.root);
  CHECK(path.backward.front() == s.root);
}

TEST_CASE("a planted NaN is named at its origin, in an op or in a rule", "[diagram]") {
  Graph g;
  const Profile profile(g, {.nonfinite = true});
  const Var x = g.input(Tensor::full({2}, -1), "x");
  const Var bad = log(tanh(x)), loss = sum(scale(bad, 2));
  g.backward(loss);
  const std::string dot = dot_of(g, {.overlay = DiagramOverlay::nonfinite});
  CHECK(count(dot, "ORIGIN") == 1);
  CHECK_THAT(line_of(dot, fmt::format("n{}", bad.id())), Catch::Contains("ORIGIN NaN 2/2"));

  g.clear();
  const Var w = g.use(Parameter("w", Tensor::zeros({2})));
  const Var root = sqrt(w);  // its rule divides by zero
  g.backward(sum(root));
  CHECK_THAT(line_of(dot_of(g, {.overlay = DiagramOverlay::nonfinite}), fmt::format("n{}", root.id())),
             Catch::Contains("ORIGIN in its rule"));
  CHECK_THROWS_AS(Profile(g), GraphError);
}

TEST_CASE("a profile sees every op of a long chain while it lives, and none after", "[diagram]") {
  Graph g;
  Var y = g.input(Tensor::full({2}, 1), "x");
  for (int i = 0; i < 100; ++i) y = scale(y, 1);  // there is room for more of the kind in the record
  {
    const Profile profile(g, {.nonfinite = true});
    for (int i = 0; i < 100; ++i) y = scale(y, 10);  // above 3.4e38 from the 39th on
    const Snapshot s = take_snapshot(g);
    for (NodeId n = 0; n < s.node_count(); ++n) CHECK(s.measured.bad_values[n] == (n < 139 ? 0 : 2));
    CHECK(s.measured.origin == 139);
  }
  y = scale(y, 10);
  CHECK(take_snapshot(g).measured.bad_values.back() == 0);
}

TEST_CASE("gradient norms are those of the gradients", "[diagram]") {
  Graph g;
  const Profile profile(g, {.gradients = true});
  const Var w = g.use(Parameter("w", Tensor::of<float>({2}, {1, 2}))),
            unused = g.use(Parameter("v", Tensor::zeros({2})));
  const Var loss = sum(multiply(w, Var(Tensor::of<float>({2}, {3, -4}))));
  g.backward(loss);
  const std::string dot = dot_of(g, {.overlay = DiagramOverlay::gradient});
  CHECK_THAT(line_of(dot, "n0"), Catch::Contains("|g| 5, max 4"));
  CHECK_THAT(line_of(dot, "n1"), Catch::Contains("no gradient"));
}

TEST_CASE("what a gradient check found is on the node it names", "[diagram]") {
  Graph g;
  const Var w = g.use(Parameter("layer/w", Tensor::zeros({2})));
  const Var h = tanh(w), loss = sum(h);
  GradcheckReport report;
  report.findings.resize(2);
  report.findings[0].sample = fmt::format("node {} in net, at model.cpp:3", h.id());
  report.findings[0].resolution = 2e-9;
  report.findings[1].argument = "layer/w";
  report.findings[1].verdict = Verdict::disagree;
  report.findings[1].scale = 4;
  report.findings[1].worst = {{"[0, 1]", 3, 1}};
  Snapshot s = take_snapshot(g);
  annotate(s, report);
  const std::string dot = dot_of(s, {.overlay = DiagramOverlay::gradcheck});
  CHECK_THAT(line_of(dot, "n0"), Catch::Contains("FAIL 0.5 at [0, 1]"));
  CHECK_THAT(line_of(dot, "n1"), Catch::Contains("pass 2e-09"));
  CHECK_THAT(line_of(dot, fmt::format("n{}", loss.id())), Catch::Contains("untested"));
}

TEST_CASE("a wrong rule that check_gradients finds is named in the picture that GradientsAgree draws",
          "[diagram]") {
  const TemporaryFolder folder;
  Graph g;
  const Var x = g.input(Tensor::of<float>({2}, {1, 2}), "x");
  Var h = tanh(x);
  for (int i = 0; i < 5; ++i) h = scale(h, 0.9);
  const Var wrong = wrong_tanh(h);
  const GradcheckReport report = check_gradients(g, sum(wrong));
  CHECK_FALSE(GradientsAgree({.diagram = folder / "fail.dot"}).match(report));
  const std::string dot = text_of(folder / "fail.dot");
  CHECK_THAT(line_of(dot, fmt::format("n{}", wrong.id())),
             Catch::Contains("FAIL ") && Catch::Contains(" at y["));
  CHECK(line_of(dot, "n1").empty());  // more than two edges away
  CHECK(count(dot, "FAIL ") == 1);

  const GradcheckReport right = check_gradients(g, sum(h));
  CHECK(GradientsAgree({.diagram = folder / "none.dot"}).match(right));
  CHECK_FALSE(GradientsAgree({.diagram = folder / "missing/fail.dot"}).match(report));  // says so on stderr
  CHECK(folder.names() == std::vector<std::string>{"fail.dot"});
  CHECK_THROWS_AS(save_diagram(GradcheckReport(), folder / "fail.dot"), GraphError);
}

TEST_CASE("text stands out from every fill by a contrast of 4.5", "[diagram]") {
  const auto luminance = [](const std::string& color) {
    double sum = 0;
    for (int i = 0; i < 3; ++i) {
      const double c = std::stoi(color.substr(static_cast<std::size_t>(2 * i), 2), nullptr, 16) / 255.0;
      sum += (c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4)) *
             std::array{0.2126, 0.7152, 0.0722}[static_cast<std::size_t>(i)];
    }
    return sum;
  };
  Graph g;
  const Profile profile(g, {.gradients = true});
  record_random(g, 1, 60);
  for (const DiagramTheme theme : {DiagramTheme::light, DiagramTheme::dark, DiagramTheme::print}) {
    for (int overlay = 0; overlay < 7; ++overlay) {
      std::istringstream dot(dot_of(g, {.overlay = static_cast<DiagramOverlay>(overlay), .theme = theme}));
      std::string plain_fill, plain_text;
      static const std::regex fill(" fillcolor=\"#(.{6})\""), text(" fontcolor=\"#(.{6})\"");
      for (std::string line; std::getline(dot, line);) {
        std::smatch found;
        if (line.starts_with("  edge") || line.find("label=") == std::string::npos) {
          if (!line.starts_with("  node [")) continue;
          std::regex_search(line, found, fill);
          plain_fill = found[1];
          std::regex_search(line, found, text);
          plain_text = found[1];
          continue;
        }
        if (line.find("class=\"") == std::string::npos) continue;
        const std::string own_fill = std::regex_search(line, found, fill) ? found[1].str() : plain_fill;
        const std::string own_text = std::regex_search(line, found, text) ? found[1].str() : plain_text;
        const double a = luminance(own_fill), b = luminance(own_text);
        REQUIRE((std::max(a, b) + 0.05) / (std::min(a, b) + 0.05) >= 4.5);
      }
    }
  }
}

TEST_CASE("a diff names what was added, removed, changed, and nothing else", "[diagram]") {
  const auto record = [](int variant) {
    Graph g;
    const Var x = g.input(Tensor::zeros({2, 3}), variant == 1 ? "renamed" : "x");
    const Var w = g.use(Parameter("w", Tensor::zeros(variant == 2 ? Shape{3, 5} : Shape{3, 4})));
    Var h = matmul(x, w);
    if (variant == 3) h = tanh(h);                                   // inserted
    if (variant != 4) h = relu(h);                                   // left out
    h = scale(h, variant == 5 ? 3 : 2);                              // another attribute
    h = variant == 6 ? subtract(h, relu(h)) : subtract(relu(h), h);  // swapped
    if (variant == 7) exp(h);                                        // a branch
    sum(h);
    return take_snapshot(g);
  };
  const Snapshot base = record(0);
  CHECK(diff(base, record(0)).is_equal());
  CHECK(to_text(diff(base, record(0))) == "equal\n");
  CHECK_THAT(to_text(diff(base, record(1))), Catch::Contains("+ n0 renamed") && Catch::Contains("- n0 x"));
  CHECK_THAT(to_text(diff(base, record(2))), Catch::Contains("w: type f32[3, 4] -> f32[3, 5]"));
  CHECK_THAT(to_text(diff(base, record(3))), Catch::StartsWith("+ n3 tanh\n") && !Catch::Contains("- "));
  CHECK_THAT(to_text(diff(base, record(4))), Catch::Contains("- n3 relu"));
  CHECK_THAT(to_text(diff(base, record(5))), Catch::Contains("attributes factor=2 -> factor=3"));
  CHECK_THAT(to_text(diff(base, record(6))), Catch::Contains("~ n6 subtract: a relu"));
  CHECK_THAT(to_text(diff(base, record(7))), Catch::Contains("+ n7 exp"));
  const TemporaryFolder folder;
  save_diagram(diff(base, record(4)), folder / "diff.dot");
  CHECK_THAT(text_of(folder / "diff.dot"), Catch::Contains("label=\"- relu") && Catch::Contains("dotted"));
}

TEST_CASE("the graph of a failed call is drawn, and nothing where none failed", "[diagram]") {
  const TemporaryFolder folder;
  Graph g;
  const Var a = g.input(Tensor::zeros({2, 3}), "a"), b = g.input(Tensor::zeros({2, 3}), "b");
  {
    const FailureDiagram guard = on_failure(g, folder / "fine.dot");
    add(a, b);
  }
  CHECK(folder.names().empty());
  try {
    const FailureDiagram guard = on_failure(g, folder / "failed.dot");
    matmul(a, b);
    FAIL("matmul must throw");
  } catch (const ShapeError&) {
  }
  const std::string dot = text_of(folder / "failed.dot");
  CHECK_THAT(dot, Catch::Contains("shape=octagon") && Catch::Contains("failed: matmul: a has 3 columns"));
  CHECK(count(dot, " -> ") == 4);  // a and b into the sum that there is, and into the call that failed
  try {
    const FailureDiagram guard = on_failure(g, folder / "missing/failed.dot");
    throw std::runtime_error("of the user");
  } catch (const std::runtime_error& error) {
    CHECK(error.what() == std::string("of the user"));
  }
}

TEST_CASE("text tells scopes with their totals", "[diagram]") {
  Graph g;
  record_blocks(g, 2, false);
  std::ostringstream out;
  write_text(take_snapshot(g), out, {.title = "model"});
  CHECK_THAT(out.str(),
             Catch::StartsWith("model   5 ops, 4 parameters, 10 FLOP   f32[]\n  n0 x   f32[2]\n"
                               "  block0   2 ops, 2 parameters, 4 FLOP   f32[2]\n    n1 w0   f32[2]\n"
                               "    n2 multiply (n0, n1)   f32[2]   2 FLOP\n"));
}
