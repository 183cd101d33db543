// The checker on functions whose answer is known.
#include <catch2/catch.hpp>

#include "weft/gradcheck_catch2.hpp"
#include "weft/weft.hpp"

using namespace weft;
using Catch::Matchers::Contains;

namespace weft {
const OpInfo& tanh_info();
const OpInfo& multiply_info();
}  // namespace weft

namespace {

Tensor vector_of(std::initializer_list<double> values) {
  return Tensor::of<double>({static_cast<std::int64_t>(values.size())}, values);
}

// tanh, whose gradient is wrong by `factor`.
OpInfo wrong_tanh(double factor) {
  return with_rule(tanh_info(), [factor](const Var& y, const Var& gy, Gradients& gx, const Attributes&) {
    gx.set(0, gy * (1 - y * y) * factor);
  });
}

}  // namespace

TEST_CASE("a right model agrees, in f32 and after backward too", "[gradcheck]") {
  Parameter w = he_normal("w", {5, 3}), b = zeros("b", {3});
  Graph g;
  const Var x = g.input(Random(1).normal({4, 5}, 0, 1), "x");
  const Var loss =
      softmax_crossentropy(tanh(matmul(x, g.use(w)) + g.use(b)), Tensor::of<std::int64_t>({4}, {0, 1, 2, 2}));
  g.backward(loss);
  const NodeId before = g.node_count();
  REQUIRE_THAT(check_gradients(g, loss), GradientsAgree());
  REQUIRE_THAT(check_gradients(g, loss, {.order = 2}), GradientsAgree());
  CHECK(g.node_count() == before);
}

TEST_CASE("a rule that is wrong by one part in a thousand, or a million, is found", "[gradcheck]") {
  for (const double error : {1e-3, 1e-5}) {
    const GradcheckReport report = check_op(wrong_tanh(1 + error));
    CHECK(report.verdict() == Verdict::disagree);
    CHECK_THAT(to_text(report), Contains("DISAGREE") && Contains("tanh") && Contains("gradient of x"));
  }
  CHECK(check_op(wrong_tanh(1)).verdict() == Verdict::agree);
  CHECK(check_op(wrong_tanh(1 + 1e-13)).verdict() == Verdict::agree);  // no false alarm about rounding errors
}

TEST_CASE("a wrong rule inside a model is found by check_gradients", "[gradcheck]") {
  const OpInfo wrong = wrong_tanh(1.001);
  Parameter w = he_normal("w", {5, 3});
  Graph g;
  const Var x = g.input(Random(1).normal({4, 5}, 0, 1), "x");
  const Var loss = mean(wrong.call(std::vector{matmul(x, g.use(w))}, {}));
  const GradcheckReport report = check_gradients(g, loss);
  CHECK(report.verdict() == Verdict::disagree);
  CHECK_THAT(to_text(report), Contains("gradient of w") && Contains("gradient of x"));
}

TEST_CASE("a rule that is right to first order and wrong to second is found", "[gradcheck]") {
  const OpInfo wrong =
      with_rule(tanh_info(), [](const Var& y, const Var& gy, Gradients& gx, const Attributes&) {
        gx.set(0, gy * (1 - (y * y).detach()));  // a constant, as far as the second order knows
      });
  const GradcheckReport report = check_op(wrong);
  CHECK(report.verdict() == Verdict::disagree);
  for (const Finding& finding : report.findings) {
    if (finding.verdict == Verdict::disagree) CHECK(finding.check == "O4");
  }
}

TEST_CASE("a rule that ignores gy is found", "[gradcheck]") {
  const OpInfo wrong = with_rule(
      tanh_info(), [](const Var& y, const Var&, Gradients& gx, const Attributes&) { gx.set(0, 1 - y * y); });
  CHECK(check_op(wrong).verdict() == Verdict::disagree);
}

TEST_CASE("two gradients exchanged are found", "[gradcheck]") {
  const OpInfo wrong =
      with_rule(multiply_info(), [](const Var&, const Var& gy, Gradients& gx, const Attributes&) {
        gx.set(0, gy * gx.input(0));
        gx.set(1, gy * gx.input(1));
      });
  CHECK(check_op(wrong).verdict() == Verdict::disagree);
}

TEST_CASE("a function is checked with respect to each of its operands, and each of its nodes in place",
          "[gradcheck]") {
  const auto f = [](Graph&, std::span<const Var> x) { return exp(x[0]) * x[1] + 1 / x[1]; };
  const std::vector<Tensor> x{vector_of({0.5, -1, 2}), vector_of({1.5, 2, -0.75})};
  const GradcheckReport report = check_gradients(f, x, {.order = 2});
  REQUIRE_THAT(report, GradientsAgree());
  for (const std::string check : {"E1", "O2", "O4"}) {
    for (const std::string argument : {"x0", "x1"}) {
      INFO(check << " " << argument);
      CHECK(std::ranges::any_of(report.findings, [&](const Finding& finding) {
        return finding.op == "function" && finding.check == check && finding.argument == argument;
      }));
    }
  }
  CHECK(std::ranges::any_of(report.findings, [](const Finding& finding) {
    return finding.op == "exp" && finding.check == "O1" && finding.sample.starts_with("node ");
  }));
}

TEST_CASE("what a function computes beside the record is found", "[gradcheck]") {
  const auto hidden = [](Graph&, std::span<const Var> x) { return x[0] * x[0].detach(); };
  const GradcheckReport report = check_gradients(hidden, std::vector{vector_of({0.5, -1, 2})});
  CHECK(report.verdict() == Verdict::disagree);
  for (const Finding& finding : report.findings) {
    if (finding.verdict == Verdict::disagree) CHECK(finding.check == "O2");
  }
}

TEST_CASE("a kink is no false alarm, at any distance, and on it the convention is tested", "[gradcheck]") {
  const auto f = [](Graph&, std::span<const Var> x) { return relu(x[0]) * 3.0 + x[0] * x[0]; };
  for (const double distance : {1e-2, 1e-4, 1e-6, 1e-8, 1e-12, 0.0}) {
    INFO("distance " << distance);
    const GradcheckReport report = check_gradients(f, std::vector{vector_of({distance, 1, -distance})});
    CHECK_FALSE(report.verdict() == Verdict::disagree);
    if (distance == 0 || distance >= 1e-4) CHECK_THAT(report, GradientsAgree());
  }
}

TEST_CASE("NaN is unresolved, and the report names the op that made it", "[gradcheck]") {
  Graph g;
  const Var x = g.input(vector_of({1, -2, 3}), "x");
  const Var loss = sum(sqrt(x) * 2.0);
  const GradcheckReport report = check_gradients(g, loss);
  CHECK(report.verdict() == Verdict::unresolved);
  CHECK_THAT(report.findings.at(0).summary,
             Contains("sqrt (node 1) has 1 NaN or infinite elements of 3, at gradcheck_test.cpp"));
}

TEST_CASE("nothing checked is unresolved, not agreement", "[gradcheck]") {
  CHECK(GradcheckReport{}.verdict() == Verdict::unresolved);
  CHECK_THROWS_AS(check_gradients(Graph(), Var()), GraphError);
}

TEST_CASE("the samples of every op exercise its attributes, decisions, ties and empty operands",
          "[gradcheck]") {
  for (const OpInfo* info : all_ops()) CHECK(sample_coverage(*info).missing == std::vector<std::string>{});
}

TEST_CASE("an attribute that no sample takes from its default is named", "[gradcheck]") {
  OpInfo info = multiply_info();
  info.attributes = {{"tail"}};
  CHECK(sample_coverage(info).missing ==
        std::vector<std::string>{"multiply: tail leaves its value none in 0 samples, 2 are needed"});
}

TEST_CASE("every op that the tests' graphs can record is in the list of ops, under its own name",
          "[gradcheck]") {
  std::vector<std::string_view> names;
  for (const OpInfo* info : all_ops()) {
    names.push_back(info->name);
    CHECK_FALSE(info->samples.list().empty());
    CHECK_FALSE(info->arguments.empty());
  }
  std::ranges::sort(names);
  CHECK(std::ranges::adjacent_find(names) == names.end());
}
