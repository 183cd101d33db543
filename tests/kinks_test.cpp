// The choice of a step beside kinks, and the checker on random functions full of them.
#include "gradcheck/kinks.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "kinky_functions.hpp"

using namespace weft;

namespace {

Traced relu(const Traced& z) { return z <= Traced(0.0) ? Traced(0.0) : z; }

// The step for f, a function of t on Traced.
template <class F>
StepChoice step_for(const F& f, double most_u = 1, double most_step = 0.25) {
  const auto trace_at = [&](double t) {
    Trace trace;
    f(Traced(t, &trace));
    return trace;
  };
  return choose_step(trace_at, most_u, most_step);
}

}  // namespace

TEST_CASE("without decisions the step is the largest one", "[kinks]") {
  const StepChoice choice = step_for([](const Traced& t) { return t * t; });
  CHECK(choice.found);
  CHECK(choice.step == 0.25);
  CHECK(choice.side == Side::both);
  CHECK(step_for([](const Traced& t) { return t; }, 1, 0.01).step == 0x1p-7);
  CHECK_FALSE(step_for([](const Traced& t) { return t; }, 1, 0).found);
}

TEST_CASE("the step stays within half of the distance to a kink", "[kinks]") {
  for (const double distance : {0.5, 0.3, 0.01, 1e-4}) {
    const StepChoice choice = step_for([&](const Traced& t) { return relu(t - distance); });
    CHECK(choice.found);
    CHECK(choice.side == Side::both);
    CHECK(choice.step <= distance / 2);
    CHECK(choice.step > distance / 8);
  }
  // A margin that does not bound the step: the decision changes a hundred times as fast as t.
  const StepChoice steep = step_for([](const Traced& t) { return relu(100 * t + 1); });
  CHECK(steep.found);
  CHECK(steep.step < 0.01);
}

TEST_CASE("on a kink the side is the one whose branch was taken", "[kinks]") {
  const StepChoice left = step_for([](const Traced& t) { return relu(t); });
  CHECK(left.found);
  CHECK(left.side == Side::left);
  CHECK(left.step == 0.25);
  CHECK(step_for([](const Traced& t) { return relu(-t); }).side == Side::right);
  CHECK(step_for([](const Traced& t) { return abs(t); }).side == Side::right);
  CHECK(step_for([](const Traced& t) { return floor(t); }).side == Side::right);
  // Another kink on that side.
  const StepChoice between = step_for([](const Traced& t) { return relu(t) + relu(t + 0.1); });
  CHECK(between.side == Side::left);
  CHECK(between.step < 0.1);
  // Both ends of a step of 1/4 decide as 0 does; in between, on the right, it is another branch.
  const StepChoice arch = step_for([](const Traced& t) { return relu(t * (0.2 - t)); });
  CHECK(arch.found);
  CHECK(arch.side == Side::left);
}

TEST_CASE("a kink next to x does not make the step on its other side small", "[kinks]") {
  const StepChoice left = step_for([](const Traced& t) { return relu(t - 1e-12) + relu(t + 0.2); });
  CHECK(left.found);
  CHECK(left.side == Side::left);
  CHECK(left.step == 0.125);
}

TEST_CASE("between two kinks, or at a tie of which no side keeps the choice, there is no room", "[kinks]") {
  const StepChoice crossing = step_for([](const Traced& t) { return relu(t) + relu(-t); });
  CHECK_FALSE(crossing.found);
  CHECK(crossing.step == 0);
  CHECK(crossing.traces <= 6);
  CHECK_FALSE(step_for([](const Traced& t) { return relu(t - 1e-7) + relu(t + 1e-7); }).found);
}

TEST_CASE("a tie that lasts, or a decision that does not matter, leaves room", "[kinks]") {
  const StepChoice same = step_for([](const Traced& t) { return 2 * t > t + t ? t : -t; });
  CHECK(same.found);
  CHECK(same.side == Side::both);
  CHECK(same.step == 0.25);
  const StepChoice touching = step_for([](const Traced& t) { return relu(t * t + 1e-9); });
  CHECK(touching.found);
  CHECK(touching.side == Side::both);
}

TEST_CASE("on 3,000 kinky functions no right gradient is rejected and no wrong one accepted", "[kinks]") {
  kinky::Tally tally;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    const kinky::Function function(seed);
    const kinky::Result result = kinky::Check(function).run();
    tally.add(result);
    INFO("seed " << seed);
    CHECK(result.clean());
  }
  INFO(tally.text());
  CHECK(tally.clean());
  CHECK(tally.on_kink > 900);
  CHECK(tally.one_sided > 800);
  CHECK(50 * (tally.resampled_generic + tally.unresolved_generic) < tally.generic);
  CHECK(50 * tally.traced.unnoticed < 2 * 3000);
}
