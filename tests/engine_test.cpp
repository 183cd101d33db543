#include <catch2/catch.hpp>
#include <utility>

#include "integer_tensors.hpp"
#include "weft/gradcheck_catch2.hpp"
#include "weft/weft.hpp"

namespace weft {
const OpInfo& add_info();
const OpInfo& tanh_info();
}  // namespace weft

using namespace weft;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;

namespace {

Tensor vector_of(std::initializer_list<double> values) {
  return Tensor::of<double>({static_cast<std::int64_t>(values.size())}, values);
}

Parameter parameter(std::string name, std::initializer_list<double> values) {
  return Parameter(std::move(name), vector_of(values));
}

using Values = std::vector<double>;

}  // namespace

TEST_CASE("a var used k times gets k contributions", "[engine]") {
  for (int uses = 1; uses <= 9; ++uses) {
    Graph g;
    const Var x = g.input(vector_of({1, -2, 3}), "x");
    Var y = x;
    for (int i = 1; i < uses; ++i) y = y + x;
    const auto k = static_cast<double>(uses);
    CHECK(values_of(gradient(sum(y), x).value()) == Values{k, k, k});
  }
}

TEST_CASE("x * x has two edges and the gradient 2 x", "[engine]") {
  Graph g;
  const Var x = g.input(vector_of({1, -2, 3}), "x");
  const Var y = x * x;
  CHECK(g.inputs(y.id()).size() == 2);
  CHECK(values_of(gradient(sum(y), x).value()) == Values{2, -4, 6});
}

TEST_CASE("a diamond with paths of unequal length adds both paths", "[engine]") {
  Graph g;
  const Var x = g.input(vector_of({2}), "x");
  const Var left = x * 3.0;
  const Var right = ((x * x) * x) + 1.0;                      // 3 x^2 = 12
  CHECK(gradient(left * right, x).item() == 3 * 9 + 6 * 12);  // (3 x)(x^3 + 1)
}

TEST_CASE("backward gives each parameter its gradient, frozen and unused ones none", "[engine]") {
  Parameter used = parameter("used", {1, 2}), frozen = parameter("frozen", {3, 4}),
            unused = parameter("unused", {5, 6});
  frozen.set_trainable(false);
  Graph g;
  (void)g.use(unused);
  g.backward(sum(g.use(used) * g.use(frozen)));
  CHECK(values_of(used.grad()) == Values{3, 4});
  CHECK_FALSE(frozen.has_grad());
  CHECK_FALSE(unused.has_grad());
  CHECK(values_of(unused.grad()) == Values{0, 0});
}

TEST_CASE("a frozen parameter still has a gradient when it is asked for by name", "[engine]") {
  Parameter frozen = parameter("frozen", {3, 4});
  frozen.set_trainable(false);
  Graph g;
  const Var w = g.use(frozen);
  CHECK(values_of(gradient(sum(w * w), w).value()) == Values{6, 8});
}

TEST_CASE("two calls of backward add up, the first with retain", "[engine]") {
  Parameter w = parameter("w", {1, 2});
  Graph g;
  const Var loss = sum(g.use(w) * g.use(w));
  g.backward(loss, {.retain = true});
  g.backward(loss);
  CHECK(values_of(w.grad()) == Values{4, 8});
}

TEST_CASE("gradients that share storage are not added into one another", "[engine]") {
  Parameter a = parameter("a", {1}), b = parameter("b", {2});
  Graph g;
  const Var loss = g.use(a) + g.use(b);  // the rule of add returns gy twice
  g.backward(loss, {.retain = true});
  g.backward(loss * 10.0);
  CHECK(values_of(a.grad()) == Values{11});
  CHECK(values_of(b.grad()) == Values{11});
}

// Slices and gathered elements of one x add to its gradient where it is, but for what shares it: b's is the
// same tensor as a's until the sum of a's is made.
TEST_CASE("many slices of a var add up in its gradient and nowhere else", "[engine]") {
  const bool is_target = GENERATE(false, true), record = GENERATE(false, true);
  Graph g;
  const Var a = g.input(vector_of({1, 2, 3, 4, 5, 6}), "a"), b = g.input(vector_of({1, 1, 1, 1, 1, 1}), "b");
  const Var x = is_target ? a : scale(a, 1);
  const auto slices = [&] {
    const Var head = slice(x, {.begin = {0}, .size = {4}}), odd = slice(x, {.begin = {1}, .step = {2}});
    const Var twice = gather(x, Tensor::of<std::int64_t>({3}, {5, 0, 5})),
              once = gather(x, Tensor::of<std::int64_t>({1}, {3}));
    return sum(head * vector_of({1, 2, 3, 4})) + 10 * sum(odd * vector_of({1, 2, 3})) +
           100 * sum(twice * vector_of({1, 2, 3})) + 1000 * sum(once);
  };
  const Var before = slices(), whole = sum((x + b) * vector_of({1, 2, 1, 2, 1, 2})), after = slices();
  const auto both = gradient(before + whole + after, {a, b}, {.record = record});
  CHECK(values_of(both[0].value()) == Values{403, 26, 7, 2050, 1, 862});
  CHECK(values_of(both[1].value()) == Values{1, 2, 1, 2, 1, 2});
  const auto shared_first = gradient(before + whole, {a, b}, {.record = record});
  CHECK(values_of(shared_first[0].value()) == Values{202, 14, 4, 1026, 1, 432});
  CHECK(values_of(shared_first[1].value()) == Values{1, 2, 1, 2, 1, 2});
  const Tensor ones = vector_of({1, 1, 1, 1, 1, 1}), gy = ones.clone();
  const Var shared = slice(x, {.size = {6}}) + x;
  CHECK(values_of(gradient(shared, a, {.gy = Var(gy)}).value()) == Values{2, 2, 2, 2, 2, 2});
  CHECK(values_of(gy) == values_of(ones));
}

TEST_CASE("slices of a matrix add up in its gradient for any strides and dtype", "[engine]") {
  const DType dtype = GENERATE(DType::f32, DType::f64);
  Graph g;
  const Var x = g.input(Tensor::zeros({70, 9, 1100}, dtype), "x");
  const auto weighted = [dtype](const Var& part, std::uint64_t seed) {
    const Tensor weights = integers(part.shape(), dtype, seed);
    return std::pair(sum(part * weights), weights.to(DType::f64));
  };
  const auto [y1, w1] = weighted(slice(x, {.size = {40}}), 1);
  const auto [y2, w2] = weighted(slice(x, {.begin = {3, 1, 0}, .size = {60, 8, 1100}}), 2);
  const auto [y3, w3] = weighted(slice(x, {.begin = {0, 8, 1000}, .step = {3, 1, 7}}), 3);
  const auto [y4, w4] = weighted(gather(x, Tensor::of<std::int64_t>({2}, {1099, 1099}), 2), 4);
  const auto [y5, w5] = weighted(gather(x, Tensor::of<std::int64_t>({1}, {69})), 5);
  const Tensor gx = gradient(y1 + y2 + y3 + y4 + y5, x).value().to(DType::f64);
  std::size_t wrong = 0, at = 0;
  for (int i = 0; i < 70; ++i) {
    for (int j = 0; j < 9; ++j) {
      for (int k = 0; k < 1100; ++k) {
        double expected = i < 40 ? w1.at({i, j, k}) : 0;
        if (i >= 3 && i < 63 && j > 0) expected += w2.at({i - 3, j - 1, k});
        if (i % 3 == 0 && j == 8 && k >= 1000 && (k - 1000) % 7 == 0)
          expected += w3.at({i / 3, 0, (k - 1000) / 7});
        if (k == 1099) expected += w4.at({i, j, 0}) + w4.at({i, j, 1});
        if (i == 69) expected += w5.at({0, j, k});
        wrong += gx.values<double>()[at++] != expected;
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a value that backward released is an error that names retain", "[engine]") {
  Parameter w = parameter("w", {1, 2});
  Graph g;
  const Var loss = sum(tanh(g.use(w)));
  g.backward(loss);
  CHECK_THROWS_WITH(g.backward(loss), Contains("tanh (node 1)") && Contains("retain = true"));
  CHECK_THROWS_AS(gradient(loss, g.use(w)), GraphError);
}

TEST_CASE("backward of one loss leaves what another loss needs", "[engine]") {
  Parameter a = parameter("a", {1}), b = parameter("b", {2});
  Graph g;
  const Var first = exp(g.use(a)), second = exp(g.use(b));
  g.backward(first);
  g.backward(second);
  CHECK(b.grad().item() == Approx(std::exp(2.0)));
}

TEST_CASE("an updated parameter is an error that says to run the forward again", "[engine]") {
  Parameter w = parameter("w", {1, 2});
  Graph g;
  const Var loss = sum(g.use(w) * g.use(w));
  w.set_value(vector_of({3, 4}));
  CHECK_THROWS_WITH(g.backward(loss), Contains("parameter w was updated") && Contains("clear()"));
  CHECK_THROWS_WITH(g.use(w), Contains("parameter w was updated"));
  CHECK_FALSE(w.has_grad());
  g.clear();
  g.backward(sum(g.use(w)));
  CHECK(values_of(w.grad()) == Values{1, 1});
}

TEST_CASE("a stale var is an error and not a crash", "[engine]") {
  Graph g;
  const Var x = g.input(vector_of({1, 2}), "x");
  const Var y = sum(x);
  g.clear();
  CHECK_THROWS_WITH(sum(x), Contains("stale var") && Contains("cleared") && Contains("engine_test.cpp:"));
  CHECK_THROWS_AS(g.backward(y), GraphError);
  CHECK_THROWS_AS(gradient(y, x), GraphError);
  CHECK(values_of(x.value()) == Values{1, 2});  // its value is still there
}

TEST_CASE("vars of two graphs in one op are an error with the remedy", "[engine]") {
  Graph g, h;
  const Var x = g.input(vector_of({1}), "x"), y = h.input(vector_of({2}), "y");
  CHECK_THROWS_WITH(x + y, Contains("two graphs") && Contains("detach()"));
  CHECK((x + y.detach()).item() == 3);
  CHECK(h.node_count() == 1);
}

TEST_CASE("a loss of several elements needs gy", "[engine]") {
  Parameter w = parameter("w", {1, 2});
  Graph g;
  const Var y = g.use(w) * 3.0;
  CHECK_THROWS_WITH(g.backward(y), Contains("shape [2]") && Contains("sum or mean") && Contains("gy"));
  CHECK_THROWS_AS(gradient(y, g.use(w)), GraphError);
  CHECK_THROWS_AS(g.backward(y, {.gy = vector_of({1, 2, 3})}), ShapeError);
  g.backward(y, {.gy = vector_of({1, 10})});
  CHECK(values_of(w.grad()) == Values{3, 30});
}

TEST_CASE("nothing flows through detach, constants and pauses", "[engine]") {
  Graph g;
  const Var x = g.input(vector_of({3}), "x");
  CHECK(gradient(x * x.detach(), x).item() == 3);
  Var paused;
  {
    const auto pause = g.pause();
    const NodeId before = g.node_count();
    paused = x * x;
    CHECK(g.node_count() == before);
    CHECK_FALSE(paused.is_recorded());
  }
  CHECK(gradient(x * paused, x).item() == 9);
  const Var constant = Tensor::full({1}, 2, DType::f64);
  CHECK_FALSE((constant * constant).is_recorded());
}

TEST_CASE("an op with nothing to differentiate upstream is a node that keeps no tensor", "[engine]") {
  Graph g;
  const Var labels = g.input(Tensor::of<std::int64_t>({2}, {0, 1}), "labels");
  const Var y = exp(one_hot(labels, 3, DType::f64));
  CHECK(g.op(y.id()) != nullptr);
  CHECK_FALSE(g.is_differentiable(y.id()));
  CHECK_FALSE(g.kept_value(y.id()).defined());
}

TEST_CASE("gradient of an intermediate var, of y itself, and of what y does not depend on", "[engine]") {
  Graph g;
  const Var x = g.input(vector_of({2}), "x"), other = g.input(vector_of({5}), "other");
  const Var h = x * x, y = h * h;
  const std::vector<Var> gradients = gradient(y, {x, h, y, other});
  CHECK(gradients[0].item() == 32);
  CHECK(gradients[1].item() == 8);
  CHECK(gradients[2].item() == 1);
  CHECK(gradients[3].item() == 0);
}

TEST_CASE("gradients of gradients: the derivatives of x^4 of order 1 to 5", "[engine]") {
  Graph g;
  const Var x = g.input(vector_of({2}), "x");
  Var y = pow(x, 4);
  for (const double expected : {32.0, 48.0, 48.0, 24.0, 0.0}) {
    y = gradient(y, x, {.record = true});
    CHECK(y.item() == Approx(expected).margin(1e-12));
    if (!y.is_recorded()) break;
  }
}

TEST_CASE("jacobian, hessian and jvp of a small function", "[engine]") {
  Graph g;
  const Var x = g.input(vector_of({1, 2, 3}), "x");
  const Var y = x * x;
  CHECK(values_of(jacobian(y, x)) == Values{2, 0, 0, 0, 4, 0, 0, 0, 6});
  CHECK(values_of(hessian(sum(y * x), x)) == Values{6, 0, 0, 0, 12, 0, 0, 0, 18});
  CHECK(values_of(jvp(y, x, vector_of({1, 10, 100})).value()) == Values{2, 40, 600});
}

TEST_CASE("an unrecorded gradient leaves no node behind, a recorded one lies in a scope of its own",
          "[engine]") {
  Graph g;
  const Var x = g.input(vector_of({1, 2}), "x");
  Var y;
  {
    const auto scope = g.scope("net");
    y = sum(exp(x * x));
  }
  const NodeId before = g.node_count();
  (void)gradient(y, x);
  CHECK(g.node_count() == before);
  const Var gx = gradient(y, x, {.record = true});
  CHECK(g.scope_path(g.scope_of(gx.id())) == "gradient/net");
  CHECK(g.current_scope().empty());
  CHECK(std::string(g.source(gx.id()).file).find("engine_test.cpp") != std::string::npos);
  CHECK_NOTHROW(g.verify());
}

TEST_CASE("a chain of 1,000,000 ops records, differentiates and is destroyed", "[engine]") {
  Parameter w = parameter("w", {1});
  Graph g;
  Var y = g.use(w);
  for (int i = 0; i < 1'000'000; ++i) y = y + 1e-6;
  CHECK(y.item() == Approx(2));
  CHECK(g.node_count() == 1'000'001);
  g.backward(y);
  CHECK(w.grad().item() == 1);
}

TEST_CASE("a rule that returns the wrong shape is an error that names the op, its node and the operand",
          "[engine]") {
  const OpInfo wrong = with_rule(add_info(), [](const Var&, const Var&, Gradients& gx, const Attributes&) {
    gx.set(0, Tensor::zeros({2}, DType::f64));
    gx.set(1, Tensor::zeros({7}, DType::f64));
  });
  Graph g;
  const Var a = g.input(vector_of({1, 2}), "a"), b = g.input(vector_of({3, 4}), "b");
  const Var y = sum(wrong.call(std::vector{a, b}, {}));
  CHECK_THROWS_WITH(gradient(y, b), Equals("the rule set a gradient of shape [7] for an operand of shape [2] "
                                           "in the gradient of add (node 2, operand 1)"));
}

TEST_CASE("what a rule set before it threw is no gradient of the next pass", "[engine]") {
  bool throws = true;
  const OpInfo forgetful =
      with_rule(add_info(), [&](const Var&, const Var&, Gradients& gx, const Attributes&) {
        if (!throws) return;
        gx.set(0, Tensor::zeros({2}, DType::f64));
        throw Error("out of luck");
      });
  Graph g;
  const Var a = g.input(vector_of({1, 2}), "a"), b = g.input(vector_of({3, 4}), "b");
  const Var y = forgetful.call(std::vector{a, b}, {}), gy = vector_of({1, 1});
  CHECK_THROWS_WITH(gradient(y, a, {.gy = gy}), Contains("out of luck"));
  throws = false;
  CHECK_THROWS_WITH(gradient(y, a, {.gy = gy}),
                    Contains("the rule set no gradient for an operand that wants one"));
}

TEST_CASE("a rule of one operand that threw leaves no gradient behind and keeps what it was lent",
          "[engine]") {
  bool throws = true;
  const OpInfo shaky =
      with_rule(tanh_info(), [&](const Var& y, const Var& gy, Gradients& gx, const Attributes&) {
        gx.set(0, gx.take(gy));
        if (throws) throw Error("out of luck");
        gx.set(0, y.value().clone());
      });
  Graph g;
  const Var x = g.input(vector_of({0.5, -2}), "x");
  const Var y = shaky.call(std::vector{scale(x, 3)}, {}), gy = vector_of({1, 1});
  CHECK_THROWS_WITH(gradient(y, x, {.gy = gy}), Contains("out of luck"));
  CHECK(g.kept_value(y.id()).shares_storage(y.value()));
  CHECK(gy.value().at({1}) == 1);
  throws = false;
  const Tensor gx = gradient(y, x, {.gy = gy}).value();
  CHECK(gx.at({0}) == Approx(3 * std::tanh(1.5)));
  CHECK(gx.at({1}) == Approx(3 * std::tanh(-6)));
}
