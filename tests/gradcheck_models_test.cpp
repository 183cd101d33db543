// The checker on whole models.
#include <algorithm>
#include <catch2/catch.hpp>

#include "weft/gradcheck_catch2.hpp"
#include "weft/weft.hpp"

using namespace weft;
using Catch::Matchers::Contains;

namespace weft {
const OpInfo& tanh_info();
const OpInfo& relu_info();
}  // namespace weft

namespace {

Tensor images(std::int64_t count) { return Random(3).uniform({count, 64, 64, 3}, -0.5, 0.5); }

// The seed article's CNN on hand signs, with `activation` between its two convolutions.
struct SignsCnn {
  Parameter w1 = he_normal("conv1/w", {4, 4, 3, 8}), b1 = zeros("conv1/b", {8});
  Parameter w2 = he_normal("conv2/w", {2, 2, 8, 16}), b2 = zeros("conv2/b", {16});
  Parameter w3 = glorot_uniform("dense/w", {64, 6}), b3 = zeros("dense/b", {6});

  Var loss(Graph& g, const Tensor& x, const Tensor& labels, const OpInfo& activation) const {
    Var h = conv2d(g.input(x, "x"), g.use(w1), g.use(b1), {.padding = same});
    {
      const Scope scope = g.scope("between");
      h = activation.call(std::vector{pool2d(h, {.window = 8})}, {});
    }
    h = pool2d(relu(conv2d(h, g.use(w2), g.use(b2), {.padding = same})), {.window = 4, .padding = same});
    return softmax_crossentropy(matmul(flatten(h), g.use(w3)) + g.use(b3), labels);
  }
};

}  // namespace

TEST_CASE("the gradients of the signs CNN agree, node by node and end to end", "[gradcheck][models]") {
  const SignsCnn net;
  Graph g;
  const Var loss = net.loss(g, images(2), Tensor::of<std::int64_t>({2}, {4, 1}), relu_info());
  g.backward(loss);
  const GradcheckReport report = check_gradients(g, loss);
  REQUIRE_THAT(report, GradientsAgree());
  for (const std::string op : {"conv2d", "relu", "pool2d", "matmul", "softmax_crossentropy"}) {
    CHECK(std::ranges::any_of(report.findings, [&](const Finding& f) { return f.op == op; }));
  }
  for (const std::string argument : {"x", "conv1/w", "conv1/b", "conv2/w", "conv2/b", "dense/w", "dense/b"}) {
    CHECK(std::ranges::any_of(report.findings, [&](const Finding& f) {
      return f.sample == "end to end" && f.argument == argument;
    }));
  }
}

TEST_CASE("a wrong rule of one op inside a larger model is blamed on that op", "[gradcheck][models]") {
  const OpInfo wrong =
      with_rule(tanh_info(), [](const Var& y, const Var& gy, Gradients& gx, const Attributes&) {
        gx.set(0, gy * (1 - y));  // 1 - y^2 was meant
      });
  const SignsCnn net;
  Graph g;
  const Var loss = net.loss(g, images(2), Tensor::of<std::int64_t>({2}, {4, 1}), wrong);
  const GradcheckReport report = check_gradients(g, loss);
  CHECK(report.verdict() == Verdict::disagree);
  for (const Finding& f : report.findings) {
    if (f.verdict == Verdict::agree || f.sample == "end to end") continue;
    CHECK(f.op == "tanh");
    CHECK(f.argument == "x");
    CHECK(f.blame == Blame::rule);
    CHECK_THAT(f.sample, Contains("in between"));
  }
  CHECK_THAT(to_text(report), Contains("GRADIENTS DISAGREE  tanh, gradient of x"));
}

TEST_CASE("an executed forward that is another function than its reference is found", "[gradcheck][models]") {
  const OpInfo wrong = with_forward(tanh_info(), [](std::span<const Tensor> x, const Attributes&) {
    return scale(tanh(x[0]), 1.0001).value();
  });
  Graph g;
  const Var x = g.input(Random(1).normal({4, 5}, 0, 1), "x");
  const GradcheckReport report = check_gradients(g, sum(wrong.call(std::vector{x}, {})));
  CHECK(report.verdict() == Verdict::disagree);
  CHECK(std::ranges::any_of(report.findings, [](const Finding& f) {
    return f.op == "tanh" && f.check == "P0" && f.verdict == Verdict::disagree;
  }));
}

TEST_CASE("a gradient that is 0 everywhere was not tested", "[gradcheck][models]") {
  Graph g;
  const Var x = g.input(Random(1).normal({4, 5}, 0, 1), "x");
  const GradcheckReport report = check_gradients(g, sum(softmax(x) * 0.0));
  CHECK(report.verdict() == Verdict::unresolved);
  CHECK_THAT(to_text(report), Contains("0 everywhere"));
}
