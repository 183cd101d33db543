// Optimisers, schedules, clipping.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <weft/optim.hpp>

using namespace weft;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

const std::vector<double> start{1.5, -0.75, 0.25};

// The gradient of sum(a w^2 + w^3 / 3), a = (2, 0.5, -1).
Tensor gradient_at(const Tensor& w) {
  const double a[] = {2.0, 0.5, -1.0};
  std::vector<double> g;
  for (int i = 0; i < 3; ++i) g.push_back(2 * a[i] * w.at({i}) + w.at({i}) * w.at({i}));
  return Tensor::of({3}, g).to(w.dtype());
}

template <class Optimiser, class Options>
std::vector<double> after_five_steps(const Options& options, DType dtype = DType::f64) {
  Parameter w("w", Tensor::of({3}, start).to(dtype));
  Optimiser optimiser({w}, options);
  for (int step = 0; step < 5; ++step) {
    optimiser.zero_grad();
    w.set_grad(gradient_at(w.value()));
    optimiser.step();
  }
  return {w.value().at({0}), w.value().at({1}), w.value().at({2})};
}

void check_close(const std::vector<double>& found, const std::vector<double>& needed,
                 double tolerance = 1e-14) {
  REQUIRE(found.size() == needed.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == Approx(needed[i]).epsilon(tolerance));
}

Parameter with_gradient(const std::string& name, const std::vector<double>& g) {
  const Shape shape{static_cast<std::int64_t>(g.size())};
  Parameter parameter(name, Tensor::zeros(shape, DType::f64));
  parameter.set_grad(Tensor::of(shape, g));
  return parameter;
}

}  // namespace

// PyTorch 1.13.0 (Debian 12), float64: torch.optim.X([w], ...), five times zero_grad, backward of the sum
// above, step; printed with repr.
TEST_CASE("SGD takes PyTorch's steps", "[optim]") {
  check_close(after_five_steps<Sgd>(SgdOptions{.learning_rate = 0.1}),
              {0.06913973102904375, -0.6476066699237393, 0.536287812200445});
  check_close(after_five_steps<Sgd>(SgdOptions{.learning_rate = 0.1, .weight_decay = 0.05}),
              {0.06626631312720423, -0.6286260294360321, 0.5256352140713965});
  check_close(after_five_steps<Sgd>(SgdOptions{.learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.05}),
              {-1.5548552442654624, -0.43108511282658746, 0.981232637816182});
}

TEST_CASE("Nesterov's momentum takes PyTorch's steps", "[optim]") {
  check_close(after_five_steps<Sgd>(
                  SgdOptions{.learning_rate = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 0.05}),
              {-0.3170807992674549, -0.32955043281995233, 1.3200586751576988});
}

TEST_CASE("Adam and AdamW take PyTorch's steps", "[optim]") {
  check_close(after_five_steps<Adam>(AdamOptions{.learning_rate = 0.1}),
              {1.0057675270051698, -0.24874690271178734, 0.7505448350233349});
  check_close(after_five_steps<Adam>(AdamOptions{
                  .learning_rate = 0.1, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-4, .weight_decay = 0.05}),
              {1.0082537228597623, -0.24809220627006673, 0.7553903645898324});
  check_close(after_five_steps<AdamW>(AdamWOptions{.learning_rate = 0.1}),
              {0.9993911992365327, -0.24602934774913532, 0.7483115317530001});
  check_close(after_five_steps<AdamW>(AdamWOptions{
                  .learning_rate = 0.1, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-4, .weight_decay = 0.2}),
              {0.8867848865452475, -0.19561893645216932, 0.711742920647924});
}

TEST_CASE("an f32 parameter takes the same steps to f32's precision", "[optim]") {
  check_close(after_five_steps<Sgd>(SgdOptions{.learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.05},
                                    DType::f32),
              {-1.5548552442654624, -0.43108511282658746, 0.981232637816182}, 2e-6);
  check_close(after_five_steps<Adam>(AdamOptions{.learning_rate = 0.1}, DType::f32),
              {1.0057675270051698, -0.24874690271178734, 0.7505448350233349}, 2e-6);
}

TEST_CASE("a step over many elements, on several threads, is the same for each of them", "[optim]") {
  const std::int64_t count = 200'003;
  Parameter w("w", Tensor::full({count}, 1.5));
  Adam adam({w}, {.learning_rate = 0.1});
  w.set_grad(Tensor::full({count}, -3));
  adam.step();
  const auto values = w.value().values<float>();
  CHECK(values[0] == Approx(1.6).epsilon(1e-6));
  CHECK(std::count(values.begin(), values.end(), values[0]) == count);
}

TEST_CASE("a frozen parameter and one without gradient are left alone", "[optim]") {
  Parameter frozen = with_gradient("frozen", {1, 2}), bare("bare", Tensor::full({2}, 3, DType::f64));
  Parameter trained = with_gradient("trained", {1, 2});
  frozen.set_trainable(false);
  Sgd sgd({frozen, bare, trained}, {.learning_rate = 1, .momentum = 0.5, .weight_decay = 0.1});
  Adam adam({frozen, bare}, {.weight_decay = 0.1});
  sgd.step();
  adam.step();
  CHECK(frozen.value().at({0}) == 0);
  CHECK(frozen.version() == 0);
  CHECK(bare.value().at({1}) == 3);
  CHECK(bare.version() == 0);
  CHECK(trained.value().at({1}) == -2);
  CHECK(trained.version() == 1);
  CHECK(adam.slots()[0].steps == 0);
}

TEST_CASE("a step keeps gradients and zero_grad forgets them", "[optim]") {
  Parameter w = with_gradient("w", {1, 2});
  Sgd sgd({w}, {.learning_rate = 0.5});
  sgd.step();
  CHECK(w.grad().at({1}) == 2);
  sgd.set_learning_rate(0.25);
  CHECK(sgd.learning_rate() == 0.25);
  sgd.step();
  CHECK(w.value().at({1}) == -1.5);
  sgd.zero_grad();
  CHECK_FALSE(w.has_grad());
}

TEST_CASE("an optimiser that gets another's slots goes on where that one stopped", "[optim]") {
  Parameter w = with_gradient("w", {1, 2}), copy = with_gradient("w", {1, 2});
  Adam adam({w}), restored({copy});
  adam.step();
  copy.set_value(w.value().clone());
  restored.slots()[0].m = adam.slots()[0].m.clone();
  restored.slots()[0].v = adam.slots()[0].v.clone();
  restored.slots()[0].steps = adam.slots()[0].steps;
  w.set_grad(Tensor::of({2}, {-5.0, 0.5}));
  copy.set_grad(w.grad());
  adam.step();
  restored.step();
  CHECK(copy.value().at({0}) == w.value().at({0}));
  CHECK(copy.value().at({1}) == w.value().at({1}));
}

TEST_CASE("options out of range and two parameters of one name are errors", "[optim]") {
  const Parameter w = with_gradient("head/w", {1}), other = with_gradient("head/w", {2});
  CHECK_THROWS_WITH(Sgd({w, other}), "sgd: two parameters have the name 'head/w': give each its own");
  CHECK_THROWS_WITH(AdamW({w, w}), "adamw: two parameters have the name 'head/w': give each its own");
  CHECK_THROWS_WITH(Sgd({w}, {.learning_rate = not_a_number}),
                    "sgd: learning_rate is nan, needed a number that is not negative");
  CHECK_THROWS_WITH(Sgd({w}, {.momentum = 1}), "sgd: momentum is 1, needed a number in [0, 1)");
  CHECK_THROWS_WITH(Sgd({w}, {.nesterov = true}), "sgd: momentum is 0, needed more than 0 for nesterov");
  CHECK_THROWS_WITH(Adam({w}, {.beta2 = -0.5}), "adam: beta2 is -0.5, needed a number in [0, 1)");
  Sgd sgd({w}, {.learning_rate = 0.5});
  CHECK_THROWS_AS(sgd.set_options({.learning_rate = 0.25, .momentum = 2}), Error);
  CHECK(sgd.options().learning_rate == 0.5);
  sgd.set_options({.learning_rate = 0.25, .momentum = 0.5});
  CHECK(sgd.options().momentum == 0.5);
  CHECK_THROWS_WITH(Adam({w}).set_learning_rate(-1),
                    "adam: learning_rate is -1, needed a number that is not negative");
}

TEST_CASE("schedules give the rates of their formulas", "[optim]") {
  CHECK(ConstantSchedule{0.3}(1000) == 0.3);
  const StepSchedule steps{.learning_rate = 0.5, .factor = 0.1, .every = 10};
  CHECK(steps(9) == 0.5);
  CHECK(steps(10) == Approx(0.05));
  CHECK(steps(29) == Approx(0.005));
  CHECK(ExponentialSchedule{.learning_rate = 2, .factor = 0.5}(3) == 0.25);
  CHECK_THROWS_WITH((StepSchedule{.every = 0}(1)), "step schedule: every is 0, needed 1 step at least");

  const CosineSchedule cosine{.learning_rate = 1, .steps = 24, .warm_up = 4, .final = 0.2};
  CHECK(cosine(0) == 0.25);
  CHECK(cosine(3) == 1);
  CHECK(cosine(4) == 1);
  CHECK(cosine(14) == Approx(0.6));
  CHECK(cosine(9) == Approx(0.6 + 0.4 * std::sqrt(0.5)));
  CHECK(cosine(24) == 0.2);
  CHECK(cosine(1000) == 0.2);
}

TEST_CASE("clipping scales all gradients by one factor where their norm is larger", "[optim]") {
  const Parameter a = with_gradient("a", {3, 4}), b = with_gradient("b", {12});  // norm 13
  CHECK(clip_gradients({a, b}, 13) == 13);
  CHECK(a.grad().at({1}) == 4);
  CHECK(clip_gradients({a, b}, 6.5) == 13);
  CHECK(a.grad().at({0}) == 1.5);
  CHECK(a.grad().at({1}) == 2);
  CHECK(b.grad().at({0}) == 6);
}

TEST_CASE("clipping scales a gradient that two parameters share once", "[optim]") {
  Parameter a = with_gradient("a", {3, 4}), b = with_gradient("b", {0, 0});
  b.set_grad(a.grad());
  clip_gradients({a, b}, std::sqrt(50) / 2);
  CHECK(a.grad().at({0}) == Approx(1.5));
  CHECK(b.grad().at({0}) == Approx(1.5));
}

TEST_CASE("clipping leaves gradients of which the norm is not finite, and frozen ones", "[optim]") {
  Parameter a = with_gradient("a", {3, not_a_number}), b = with_gradient("b", {12});
  CHECK(std::isnan(clip_gradients({a, b}, 1)));
  CHECK(b.grad().at({0}) == 12);
  a.set_trainable(false);
  CHECK(clip_gradients({a, b}, 6) == 12);
  CHECK(b.grad().at({0}) == 6);
  CHECK(a.grad().at({0}) == 3);
  b.set_grad(Tensor::full({1}, std::numeric_limits<double>::infinity(), DType::f64));
  CHECK(clip_gradients({b}, 1) == std::numeric_limits<double>::infinity());
  CHECK_THROWS_WITH(clip_gradients({b}, 0), "clip_gradients: max_norm is 0, needed more than 0");
}
