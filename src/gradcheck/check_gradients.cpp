// A whole record: every node in place, then every source end to end.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "core/replay.hpp"
#include "gradcheck/checks.hpp"
#include "gradcheck/end_to_end.hpp"
#include "weft/op.hpp"
#include "weft/snapshot.hpp"

namespace weft {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int most_alike = 8;  // nodes of one op, attributes and shapes that are checked in place

std::string node_name(const Graph& g, NodeId n) {
  const std::string scope = g.scope_path(g.scope_of(n)), at = to_string(g.source(n));
  return fmt::format("node {}{}{}{}{}", n, scope.empty() ? "" : " in ", scope, at.empty() ? "" : ", at ", at);
}

class RecordCheck {
 public:
  RecordCheck(const Graph& g, const Var& root, const GradcheckOptions& options)
      : g_(g), replay_(g, root), options_(options) {}

  // Every node in place. Returns false where the record has a NaN or an infinity.
  bool run(GradcheckReport& report) {
    const std::vector<Tensor> x = replay_.source_values();
    Graph scratch;
    const Pause paused = scratch.pause();
    values_ = replay_.run_all(scratch, std::vector<Var>(x.begin(), x.end()));
    const bool finite = is_finite(report);
    for (const NodeId n : replay_.nodes()) {
      if (finite && g_.op(n) && g_.is_differentiable(n)) check_node(n, report);
    }
    if (left_out_ > 0) {
      report.notes.push_back(fmt::format(
          "{} nodes are like {} others of the same op, attributes and shapes: checked end to end only",
          left_out_, most_alike));
    }
    return finite;
  }

  // From end to end as a function of the record's differentiable sources.
  EndToEnd ends() const {
    EndToEnd ends{.f = [this](Graph& target, std::span<const Var> x) { return replay_.run(target, x); },
                  .x = replay_.source_values(),
                  .references_fit = references_fit_,
                  .one_by_one = [this](const Tensor& gy) { return one_by_one(gy); }};
    for (const NodeId n : replay_.sources())
      ends.names.push_back(g_.name(n).empty() ? fmt::format("node {}", n) : std::string(g_.name(n)));
    return ends;
  }
  bool references_fit() const { return references_fit_; }

  // The gradients of the sources from the rules called one by one, each in a graph of its own, and added up
  // here: a second engine.
  std::vector<Tensor> one_by_one(const Tensor& gy) const {
    std::map<NodeId, Tensor> arrived{{replay_.nodes().back(), gy.clone()}};
    for (std::size_t k = replay_.nodes().size(); k-- > 0;) {
      const NodeId n = replay_.nodes()[k];
      const auto found = arrived.find(n);
      if (!g_.op(n) || found == arrived.end()) continue;
      const OpCase op = case_of(n);
      if (op.checked.empty()) continue;
      const std::vector<Tensor> gx = Recorded(op, op.inputs).gradients(found->second);
      for (std::size_t i = 0; i < gx.size(); ++i) {
        const NodeId input = g_.inputs(n)[op.checked[i]];
        const auto [sum, is_first] = arrived.try_emplace(input, gx[i].clone());
        if (is_first) continue;
        const auto to = sum->second.mutable_values<double>();
        for (std::size_t e = 0; e < to.size(); ++e) to[e] += gx[i].values<double>()[e];
      }
    }
    std::vector<Tensor> result;
    for (const NodeId source : replay_.sources()) {
      const auto found = arrived.find(source);
      result.push_back(found != arrived.end() ? found->second
                                              : Tensor::zeros(g_.type(source).shape, DType::f64));
    }
    return result;
  }

 private:
  // The first node whose value has a NaN or an infinity is named; there is nothing to differentiate then.
  bool is_finite(GradcheckReport& report) {
    for (const NodeId n : replay_.nodes()) {
      const Tensor& value = values_[n].value();
      if (value.dtype() != DType::f64) continue;
      const auto elements = value.values<double>();
      const auto bad = std::ranges::count_if(elements, [](double v) { return !std::isfinite(v); });
      if (bad == 0) continue;
      Finding f;
      f.check = "P0";
      f.verdict = Verdict::unresolved;
      f.op = g_.op(n) ? g_.op(n)->info().name : g_.name(n);
      f.sample = node_name(g_, n);
      const std::string at = to_string(g_.source(n));
      f.summary = fmt::format("{} (node {}) has {} NaN or infinite elements of {}{}{}", f.op, n, bad,
                              elements.size(), at.empty() ? "" : ", at ", at);
      report.findings.push_back(std::move(f));
      return false;
    }
    return true;
  }

  OpCase case_of(NodeId n) const {
    std::vector<Tensor> inputs;
    for (const NodeId input : g_.inputs(n)) inputs.push_back(values_[input].value());
    return {g_.op(n)->info(), g_.op(n)->attributes(), std::move(inputs), node_name(g_, n), options_};
  }

  // Nodes that are alike are checked a few times only.
  bool is_enough(const OpCase& op) {
    std::string kind = fmt::format("{} {}", op.info.name, to_string(op.attributes));
    for (const Tensor& x : op.inputs) kind += to_string(TensorType{x.shape(), x.dtype()});
    const bool enough = alike_[kind]++ >= most_alike;
    left_out_ += enough;
    return enough;
  }

  void check_node(NodeId n, GradcheckReport& report) {
    OpCase op = case_of(n);
    if (op.checked.empty() || is_enough(op)) return;
    try {
      op.run_reference(false);
      if (op.reference_fits) {
        check_value(op, report);
        if (op.y_shape != op.bounds.shape()) return;
      } else {
        references_fit_ = false;
        report.notes.push_back(
            fmt::format("{} {}: its reference takes longer than {:.0f} ms: checked by differences alone",
                        op.info.name, op.name, 1000 * options_.budget));
      }
      (void)check_derivatives(op, true, report);
    } catch (const Error& error) {
      Finding f = op.finding("P1", op.checked[0], Verdict::disagree, fmt::format("threw '{}'", error.what()));
      f.blame = Blame::rule;
      report.findings.push_back(std::move(f));
    }
  }

  const Graph& g_;
  const Replay replay_;
  const GradcheckOptions& options_;
  std::vector<Var> values_;  // of each node, in f64
  std::map<std::string, int> alike_;
  int left_out_ = 0;
  bool references_fit_ = true;
};

}  // namespace

GradcheckReport check_gradients(const Graph& g, const Var& loss, const GradcheckOptions& options) {
  const auto start = Clock::now();
  GradcheckReport report;
  RecordCheck record(g, loss, options);
  if (record.run(report)) check_end_to_end(record.ends(), options, report);
  report.record = std::make_shared<const Snapshot>(take_snapshot(g));
  report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return report;
}

GradcheckReport check_gradients(const DifferentiableFunction& f, std::span<const Tensor> x,
                                const GradcheckOptions& options) {
  const auto start = Clock::now();
  GradcheckReport report;
  EndToEnd ends{.f = f, .executed = true};
  Graph g;
  std::vector<Var> vars;
  for (const Tensor& tensor : x) {
    ends.names.push_back(fmt::format("x{}", ends.names.size()));
    ends.x.push_back(is_floating(tensor.dtype()) ? tensor.to(DType::f64) : tensor);
    vars.push_back(is_floating(tensor.dtype()) ? g.input(ends.x.back(), ends.names.back()) : Var(tensor));
  }
  const Var y = f(g, vars);
  bool finite = true;
  if (y.is_recorded()) {
    RecordCheck record(g, y, options);
    finite = record.run(report);
    ends.references_fit = record.references_fit();
    report.record = std::make_shared<const Snapshot>(take_snapshot(g));
  }
  if (finite) check_end_to_end(ends, options, report);
  report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return report;
}

}  // namespace weft
