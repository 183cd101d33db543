// What an op's samples leave out.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "gradcheck/op_case.hpp"
#include "weft/op.hpp"

namespace weft {

namespace {

class SampleCoverage {
 public:
  explicit SampleCoverage(const OpInfo& info) : info_(info) {
    for (const Sample& sample : info.samples.list()) {
      if (sample.throws.empty()) add(sample);
    }
  }

  CoverageReport report() {
    report_.samples = recorded_.size();
    attributes();
    pairs();
    decisions();
    if (info_.ties != TiePolicy::none && ties_ == 0) missing("no sample has a tie, but ties are declared");
    if (!has_empty_) missing("no sample has an operand without elements");
    return report_;
  }

 private:
  struct Recorded {
    Attributes given, all;
  };

  void missing(std::string what) { report_.missing.push_back(fmt::format("{}: {}", info_.name, what)); }

  void add(const Sample& sample) {
    const GradcheckOptions options;
    const std::vector<Tensor> inputs = sample_inputs(info_, sample, options.seed, DType::f64);
    Graph g;
    std::vector<Var> x;
    Inputs<Traced> traced = reference_inputs<Traced>(inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      has_empty_ |= inputs[i].elements() == 0;
      x.push_back(is_floating(inputs[i].dtype()) ? g.input(inputs[i]) : Var(inputs[i]));
      if (!is_floating(inputs[i].dtype())) continue;
      Array<Traced> values = traced[i];
      for (std::int64_t n = 0; n < values.elements(); ++n) values[n] = Traced(values[n].value(), &trace_);
      traced.replace(i, std::move(values));
    }
    const Var y = info_.call(x, sample.attributes);
    const bool is_node = y.is_recorded() && g.op(y.id());
    recorded_.push_back({sample.attributes, is_node ? g.op(y.id())->attributes() : sample.attributes});
    (void)info_.reference(traced, sample.attributes);
    ties_ = trace_.ties;
  }

  // What the op uses where nothing is said; without a sample that says nothing, the first value.
  std::string default_of(std::string_view name) const {
    for (const Recorded& sample : recorded_) {
      if (!sample.given.find(name)) return text(sample.all, name);
    }
    return recorded_.empty() ? std::string() : text(recorded_[0].all, name);
  }
  static std::string text(const Attributes& attributes, std::string_view name) {
    const AttributeValue* value = attributes.find(name);
    return value ? to_string(*value) : std::string("none");
  }
  bool leaves_default(const Recorded& sample, std::string_view name) const {
    return text(sample.all, name) != default_of(name);
  }

  void attributes() {
    for (const Attribute& attribute : info_.attributes) {
      if (!attribute.must_vary) continue;
      const auto count = std::ranges::count_if(
          recorded_, [&](const Recorded& sample) { return leaves_default(sample, attribute.name); });
      if (count < 2)
        missing(fmt::format("{} leaves its value {} in {} samples, 2 are needed", attribute.name,
                            default_of(attribute.name), count));
    }
  }

  void pairs() {
    for (std::size_t a = 0; a < info_.attributes.size(); ++a) {
      for (std::size_t b = a + 1; b < info_.attributes.size(); ++b) {
        const Attribute &first = info_.attributes[a], &second = info_.attributes[b];
        if (!first.must_vary || !second.must_vary) continue;
        const bool met = std::ranges::any_of(recorded_, [&](const Recorded& sample) {
          return leaves_default(sample, first.name) && leaves_default(sample, second.name);
        });
        if (!met)
          missing(fmt::format("{} and {} never leave their defaults together", first.name, second.name));
      }
    }
  }

  void decisions() {
    constexpr std::string_view names[] = {"<", ">", "<=", ">=", "==", "abs"};
    for (std::size_t k = 0; k < trace_.outcomes.size(); ++k) {
      const auto [yes, no] = trace_.outcomes[k];
      if (yes + no > 0 && (yes == 0 || no == 0))
        missing(fmt::format("the reference's {} always comes out {}", names[k], yes > 0));
    }
  }

  const OpInfo& info_;
  CoverageReport report_;
  std::vector<Recorded> recorded_;
  Trace trace_;  // of all samples
  std::int64_t ties_ = 0;
  bool has_empty_ = false;
};

}  // namespace

CoverageReport sample_coverage(const OpInfo& info) { return SampleCoverage(info).report(); }

}  // namespace weft
