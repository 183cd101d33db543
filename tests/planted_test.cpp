// Ops with one part replaced: what the replacement leaves alone.
#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>

#include "weft/gradcheck_catch2.hpp"
#include "weft/gradient.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

using namespace weft;
using Catch::Matchers::Contains;

namespace weft {
const OpInfo& conv2d_info();
const OpInfo& dropout_info();
const OpInfo& multiply_info();
const OpInfo& pool2d_info();
const OpInfo& relu_info();
const OpInfo& sigmoid_info();
const OpInfo& slice_info();
const OpInfo& softmax_info();
const OpInfo& softmax_crossentropy_info();
}  // namespace weft

namespace {

Tensor vector_of(std::initializer_list<double> values, DType dtype = DType::f64) {
  return Tensor::of<double>({static_cast<std::int64_t>(values.size())}, values).to(dtype);
}

Var call(const OpInfo& info, std::initializer_list<Var> x, const Attributes& a = {}) {
  return info.call(std::span(x.begin(), x.size()), a);
}

void change_nothing(const Var&, const Var&, Gradients&) {}

OpInfo doubled_relu() {
  return with_gradients(relu_info(), [](const Var&, const Var&, Gradients& gx) {
    if (gx.wants(0)) gx.set(0, gx.result(0) * 2.0);
  });
}

}  // namespace

TEST_CASE("an op whose gradients are changed by nothing is right to every order", "[planted]") {
  for (const OpInfo* info : {&conv2d_info(), &pool2d_info(), &softmax_info(), &softmax_crossentropy_info(),
                             &dropout_info(), &multiply_info()}) {
    CHECK_THAT(check_op(with_gradients(*info, change_nothing)), GradientsAgree());
  }
}

// sigmoid's rule may write its result into the gradient that it was given.
TEST_CASE("a change of gradients reads gy as the rule found it", "[planted]") {
  const OpInfo planted = with_gradients(
      sigmoid_info(), [](const Var&, const Var& gy, Gradients& gx) { gx.set(0, gx.result(0) + gy * 10.0); });
  Graph g;
  const Var x = g.input(vector_of({0, 0}), "x");
  const Tensor gx = gradient(sum(call(planted, {x}) * vector_of({1, -2})), x).value();
  CHECK(gx.at({0}) == 10.25);
  CHECK(gx.at({1}) == -20.5);
}

// slice's rule may add to what has arrived.
TEST_CASE("a change of gradients finds what its rule added, not the sum", "[planted]") {
  const OpInfo planted = with_gradients(
      slice_info(), [](const Var&, const Var&, Gradients& gx) { gx.set(0, gx.result(0) * 10.0); });
  Graph g;
  const Var x = g.input(vector_of({1, 2, 3}), "x");
  Var y = sum(x);
  for (int i = 0; i < 3; ++i) y = y + sum(call(planted, {x}, {{"begin", {i}}}));
  const Tensor gx = gradient(y, x).value();
  for (int i = 0; i < 3; ++i) CHECK(gx.at({i}) == 1 + 10 * (i + 1));
}

TEST_CASE("a planted node has the attributes that the op resolved, and the planted info", "[planted]") {
  const OpInfo planted = with_gradients(pool2d_info(), change_nothing);
  Graph g;
  const Var x = g.input(Tensor::full({1, 4, 6, 1}, 1, DType::f64), "x");
  const Var y = call(planted, {x}, {{"window", {2, 3}}}),
            healthy = call(pool2d_info(), {x}, {{"window", {2, 3}}});
  CHECK(g.op(y.id())->attributes() == g.op(healthy.id())->attributes());
  CHECK(g.op(y.id())->attributes().find("stride")->as<Ints>() == Ints{2, 3});
  CHECK(g.op(y.id())->info().name == "pool2d");
  CHECK(&g.op(y.id())->info() != &pool2d_info());
  const Var constant = call(planted, {Var(x.value())}, {{"window", {2, 3}}});
  CHECK_FALSE(constant.is_recorded());
  g.verify();
}

TEST_CASE("a record outlives the planted info, and a replay of it has the defect again", "[planted]") {
  Graph g;
  const Var x = g.input(vector_of({1, -2, 3}), "x");
  Var y;
  {
    auto planted = std::make_unique<OpInfo>(doubled_relu());
    y = call(*planted, {x});
  }
  const Tensor gy = vector_of({1, 1, 1});
  CHECK(gradient(y, x, {.gy = gy}).value().at({2}) == 2);
  const Var again = call(g.op(y.id())->info(), {x});
  CHECK(gradient(again, x, {.gy = gy}).value().at({2}) == 2);
  CHECK(check_gradients(g, sum(y)).verdict() == Verdict::disagree);
  const std::unique_ptr<OpInfo> copy = std::make_unique<OpInfo>(g.op(y.id())->info());
  g.clear();
  CHECK_THROWS_WITH(call(*copy, {Var(gy)}), Contains("after its graph had been cleared"));
}

TEST_CASE("in a pause a planted op records nothing", "[planted]") {
  const OpInfo with_kernel =
      with_forward(relu_info(), [](std::span<const Tensor> x, const Attributes&) { return x[0]; });
  const OpInfo ruled = with_rule(
      relu_info(), [](const Var&, const Var& gy, Gradients& gx, const Attributes&) { gx.set(0, gy); });
  Graph g;
  const Var x = g.input(vector_of({1, -2}), "x");
  const Pause pause = g.pause();
  for (const OpInfo& info : {doubled_relu(), with_kernel, ruled}) CHECK_FALSE(call(info, {x}).is_recorded());
  CHECK(call(with_kernel, {x}).value().at({1}) == -2);
  CHECK(g.node_count() == 1);
}

TEST_CASE("a planted forward is what the rule reads as its output", "[planted]") {
  const OpInfo planted =
      with_forward(relu_info(), [](std::span<const Tensor> x, const Attributes&) { return x[0]; });
  Graph g;
  const Var x = g.input(vector_of({1, -2, 3}), "x"), h = x * 1.0;
  const Var y = call(planted, {h});
  CHECK(y.value().at({1}) == -2);
  CHECK(g.kept_value(y.id()).at({1}) == -2);
  const OpInfo negated = with_forward(
      relu_info(), [](std::span<const Tensor> x0, const Attributes&) { return negate(relu(x0[0])).value(); });
  const Tensor gx = gradient(call(negated, {h}), x, {.gy = vector_of({1, 1, 1})}).value();
  CHECK(gx.at({0}) == 0);  // relu's rule found no positive output
}

TEST_CASE("a planted rule finds every operand and the output, in f32, each operand wanted alone",
          "[planted]") {
  const OpInfo planted =
      with_rule(multiply_info(), [](const Var& y, const Var& gy, Gradients& gx, const Attributes&) {
        CHECK(y.value().at({0}) == 8);
        for (const int i : {0, 1}) {
          if (gx.wants(i)) gx.set(i, gy * gx.input(1 - i));
        }
      });
  for (const int wanted : {0, 1}) {
    Graph g;
    Var x[] = {Var(vector_of({2}, DType::f32)), Var(vector_of({4}, DType::f32))};
    const Var source = g.input(x[wanted].value(), "x");
    x[wanted] = source * 1.0;  // no source: its value is there only if it is saved
    const Var y = call(planted, {x[0], x[1]});
    const Var gx = gradient(y, source, {.gy = vector_of({1}, DType::f32)});
    CHECK(gx.dtype() == DType::f32);
    CHECK(gx.item() == (wanted == 0 ? 4 : 2));
  }
}

TEST_CASE("a planted rule of a stochastic op draws the mask of its attributes, in training too",
          "[planted]") {
  const OpInfo planted =
      with_rule(dropout_info(), [](const Var&, const Var& gy, Gradients& gx, const Attributes& a) {
        gx.set(0, call(dropout_info(), {gy}, a));
      });
  CHECK_THAT(check_op(planted), GradientsAgree());
}

TEST_CASE("a defect cannot be planted in an op that records several nodes", "[planted]") {
  OpInfo composite = relu_info();
  composite.name = "composite";
  composite.call = [](std::span<const Var> x, const Attributes&) { return relu(x[0] * 2.0); };
  Graph g;
  const Var x = g.input(vector_of({1}), "x");
  CHECK_THROWS_WITH(call(with_gradients(composite, change_nothing), {x}),
                    Contains("composite: a call records several nodes"));
}
