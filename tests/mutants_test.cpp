// The checker's own worth: every planted bug is caught by the standard samples, and so are mutants of every
// gradient that no one has thought of. What is right is never flagged.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "gradcheck/engine_records.hpp"
#include "mutants/automatic.hpp"
#include "mutants/planted_bugs.hpp"
#include "weft/gradcheck_catch2.hpp"
#include "weft/gradient.hpp"
#include "weft/ops.hpp"
#include "weft/random.hpp"

namespace weft {

namespace {

const OpInfo* find_op(std::string_view name) {
  const auto found = std::ranges::find(all_ops(), name, [](const OpInfo* info) { return info->name; });
  return found == all_ops().end() ? nullptr : *found;
}

bool names(const Finding& finding, const PlantedBug& bug) {
  return finding.verdict == Verdict::disagree && finding.op == bug.op && finding.argument == bug.argument;
}

// What the findings that name the bug's op and argument say.
struct Caught {
  bool is_caught = false;
  std::string likely;  // the first
};

void add(Caught& caught, const GradcheckReport& report, const PlantedBug& bug) {
  for (const Finding& finding : report.findings) {
    if (!names(finding, bug)) continue;
    caught.is_caught = true;
    if (caught.likely.empty()) caught.likely = finding.likely;
  }
}

Caught catch_by_samples(const PlantedBug& bug, const OpInfo& healthy) {
  const OpInfo planted = bug.plant(healthy);
  Caught caught;
  for (const Sample& sample : planted.samples.list()) {
    add(caught, check_op(planted, sample), bug);
    if (!caught.likely.empty()) break;
  }
  return caught;
}

std::string full_name(const PlantedBug& bug) {
  return fmt::format("{} of {}: {}", bug.id, bug.op, bug.title);
}

// What an engine adapter needs: gx_j = sum over i of gy_i J_ij.
Tensor transposed_product(const Tensor& jacobian, const Tensor& gy, const Shape& x) {
  Tensor gx = Tensor::zeros(x, DType::f64);
  const auto entries = jacobian.values<double>(), weights = gy.values<double>();
  const auto to = gx.mutable_values<double>();
  for (std::size_t k = 0; k < entries.size(); ++k) to[k % to.size()] += weights[k / to.size()] * entries[k];
  return gx;
}

// The library's engine.
std::vector<Tensor> by_gradient(const Var& y, std::span<const Var> xs, const Tensor& gy) {
  std::vector<Tensor> gradients;
  for (const Var& gx : gradient(y, xs, {.gy = gy})) gradients.push_back(gx.value());
  return gradients;
}

std::vector<Tensor> by_recorded_gradient(const Var& y, std::span<const Var> xs, const Tensor& gy) {
  std::vector<Tensor> gradients;
  for (const Var& gx : gradient(y, xs, {.record = true, .gy = gy})) gradients.push_back(gx.value());
  return gradients;
}

std::vector<Tensor> by_jacobian(const Var& y, std::span<const Var> xs, const Tensor& gy) {
  std::vector<Tensor> gradients;
  for (const Var& x : xs) gradients.push_back(transposed_product(jacobian(y, x), gy, x.shape()));
  return gradients;
}

// Column by column: <gy, J e_j>.
std::vector<Tensor> by_jvp(const Var& y, std::span<const Var> xs, const Tensor& gy) {
  std::vector<Tensor> gradients;
  for (const Var& x : xs) {
    Tensor gx(x.shape(), DType::f64);
    for (std::size_t j = 0; j < gx.values<double>().size(); ++j) {
      Tensor unit = Tensor::zeros(x.shape(), DType::f64);
      unit.mutable_values<double>()[j] = 1;
      const Tensor column = jvp(y, x, unit).value();
      const auto a = column.values<double>(), b = gy.values<double>();
      gx.mutable_values<double>()[j] = std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
    }
    gradients.push_back(gx);
  }
  return gradients;
}

}  // namespace

// Every planted bug of that id; called by a test case for each, which CMake generates.
void require_caught(std::string_view id) {
  bool listed = false;
  for (const PlantedBug& bug : planted_bugs()) {
    if (bug.id != id) continue;
    listed = true;
    INFO(full_name(bug));
    if (bug.engine) {
      const GradcheckReport report = check_engine(bug.engine);
      const auto failure = std::ranges::find(report.findings, Verdict::disagree, &Finding::verdict);
      REQUIRE(failure != report.findings.end());
      CHECK(failure->check == "E1");
      CHECK(failure->op == bug.op);
      CHECK_THAT(failure->likely, Catch::Contains(std::string(bug.mistake)));
    } else if (const OpInfo* healthy = find_op(bug.op)) {
      REQUIRE(bug.plant);
      const Caught caught = catch_by_samples(bug, *healthy);
      CHECK(caught.is_caught);
      CHECK(!bug.mistake.empty());
      CHECK_THAT(caught.likely, Catch::Contains(std::string(bug.mistake)));
    } else {
      WARN("skipped, " << full_name(bug) << ": there is no op " << bug.op << " yet");
    }
  }
  CHECK(listed);
}

namespace {

enum class Fate { caught, survives, changes_nothing };

// Whether the mutant's gradients for a dense gy are other ones on this sample.
bool changes(const AutomaticMutant& mutant, const Sample& sample) {
  if (!sample.throws.empty() || sample.pattern == Pattern::special) return false;
  Graph g;
  std::vector<Var> x, targets;
  for (const Tensor& tensor : sample_inputs(mutant.info, sample, GradcheckOptions{}.seed, DType::f64)) {
    x.push_back(is_floating(tensor.dtype()) ? g.input(tensor) : Var(tensor));
    if (x.back().is_recorded()) targets.push_back(x.back());
  }
  const Var y = mutant.info.call(x, sample.attributes);
  if (!is_differentiable(y)) return false;
  *mutant.changed = false;
  (void)gradient(y, targets, {.gy = Var(Random(1).uniform(y.shape(), 1, 2, DType::f64))});
  return *mutant.changed;
}

std::int64_t elements(const Sample& sample) {
  std::int64_t count = 0;
  for (const Shape& shape : sample.shapes) count += shape.elements();
  return count;
}

// Runs the samples that the mutant changes, small ones first, until one catches it.
Fate fate_of(const AutomaticMutant& mutant) {
  std::vector<const Sample*> changed;
  for (const Sample& sample : mutant.info.samples.list()) {
    if (changes(mutant, sample)) changed.push_back(&sample);
  }
  std::ranges::stable_sort(changed, {}, [](const Sample* sample) { return elements(*sample); });
  const auto catches = [&](const Sample* sample) {
    const GradcheckReport report = check_op(mutant.info, *sample);
    return std::ranges::any_of(report.findings, [&](const Finding& f) {
      return f.verdict == Verdict::disagree && f.op == mutant.info.name && f.argument == mutant.argument;
    });
  };
  if (changed.empty()) return Fate::changes_nothing;
  return std::ranges::any_of(changed, catches) ? Fate::caught : Fate::survives;
}

}  // namespace

// Every automatic mutant of that op; called by a test case for each op, which CMake generates.
void require_mutants_caught(std::string_view op) {
  for (const AutomaticMutant& mutant : automatic_mutants(*find_op(op))) {
    INFO(op << ", " << mutant.name);
    if (mutant.is_control)
      CHECK_THAT(check_op(mutant.info), GradientsAgree());
    else
      CHECK(fate_of(mutant) != Fate::survives);
  }
}

TEST_CASE("the naive rules and the second engine, into which bugs are planted, are right", "[mutants]") {
  for (const PlantedBug& rule : naive_rules()) {
    INFO(full_name(rule));
    CHECK_THAT(check_op(rule.plant(*find_op(rule.op))), GradientsAgree());
  }
  CHECK_THAT(check_engine(naive_engine()), GradientsAgree());
}

TEST_CASE("the engine agrees with dual numbers on every way to use a var and on random graphs",
          "[mutants][engine]") {
  CHECK_THAT(check_engine(by_gradient), GradientsAgree());
  CHECK_THAT(check_engine(by_recorded_gradient), GradientsAgree());
}

TEST_CASE("jacobian and jvp agree with dual numbers on the same records", "[mutants][engine]") {
  CHECK_THAT(check_engine(by_jacobian), GradientsAgree());
  CHECK_THAT(check_engine(by_jvp), GradientsAgree());
}

TEST_CASE("hessian agrees with dual numbers through the recorded gradient of random graphs",
          "[mutants][engine]") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Graph g;
    const EngineRecord record = random_record(g, seed, 5 + static_cast<int>(seed % 8));
    const Var loss = sum(record.y * record.y), x = record.xs[seed % 2];
    const Var gx = gradient(loss, x, {.record = true});
    const Tensor found = hessian(loss, x);
    const std::int64_t count = x.shape().elements();
    std::vector<double> expected;
    for (std::int64_t row = 0; row < count; ++row) {
      Tensor unit = Tensor::zeros(x.shape(), DType::f64);
      unit.mutable_values<double>()[static_cast<std::size_t>(row)] = 1;
      const Tensor gradient_of_row = dual_gradient(g, gx, x, unit);
      const auto values = gradient_of_row.values<double>();
      expected.insert(expected.end(), values.begin(), values.end());
    }
    INFO("seed " << seed);
    const double size =
        std::abs(*std::ranges::max_element(expected, {}, [](double v) { return std::abs(v); }));
    for (std::size_t k = 0; k < expected.size(); ++k) {
      CHECK(std::abs(found.values<double>()[k] - expected[k]) <= 1e-12 * size);
    }
  }
}

TEST_CASE("an engine that throws, or answers with another type, is told so", "[mutants][engine]") {
  const auto first = [](const GradientFunction& engine) { return check_engine(engine).findings.front(); };
  const Finding threw = first([](const Var&, std::span<const Var>, const Tensor&) -> std::vector<Tensor> {
    throw Error("no gradient today");
  });
  CHECK(threw.verdict == Verdict::disagree);
  CHECK(threw.summary == "the engine threw 'no gradient today'");
  const Finding narrow = first([](const Var&, std::span<const Var> xs, const Tensor&) {
    return std::vector<Tensor>(xs.size(), Tensor::zeros({3, 3}, DType::f32));
  });
  CHECK(narrow.summary == "the gradient is f32[3, 3], its var f64[3, 3]");
}

TEST_CASE("every id of the specification's table is planted", "[mutants]") {
  for (const auto& [letter, count] : {std::pair('M', 48), std::pair('G', 15)}) {
    for (int i = 1; i <= count; ++i) {
      const std::string id = fmt::format("{}{:02}", letter, i);
      const auto has_id = [&](const PlantedBug& bug) { return bug.id == id; };
      INFO(id);
      CHECK(std::ranges::any_of(planted_bugs(), has_id));
    }
  }
}

TEST_CASE("the seed article's six defects are each planted in a test-only op and caught",
          "[mutants][defects]") {
  // The bias in every product, the stride in conv_backward (dA, dW) and in pool_backward (max, average), the
  // mask of all ties, the slice [pad:-pad], the extent rounded towards 0.
  for (const std::string_view id : {"M47", "M01", "M02", "M17", "M23", "M15", "M24", "M48"})
    require_caught(id);
}

}  // namespace weft
