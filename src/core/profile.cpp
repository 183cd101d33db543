#include <chrono>
#include <cmath>
#include <limits>

#include "core/graph_tables.hpp"
#include "weft/op.hpp"
#include "weft/snapshot.hpp"

namespace weft {

namespace {

struct Elements {
  double norm = 0, largest = 0;  // of the finite ones
  std::uint64_t bad = 0;         // NaN and infinite
};

Elements look_at(const Tensor& tensor) {
  Elements found;
  if (!tensor.defined() || !is_floating(tensor.dtype())) return found;
  visit_floating(tensor.dtype(), [&]<class T>() {
    double squares = 0;
    for (const T value : tensor.values<T>()) {
      if (!std::isfinite(value)) {
        ++found.bad;
        continue;
      }
      squares += static_cast<double>(value) * static_cast<double>(value);
      found.largest = std::max(found.largest, std::abs(static_cast<double>(value)));
    }
    found.norm = std::sqrt(squares);
  });
  return found;
}

}  // namespace

class Profile::Recorder final : public Observer {
 public:
  Recorder(Graph& g, const ProfileOptions& options) : graph_(g), options_(options), last_(Clock::now()) {}
  Graph& graph() { return graph_; }

  void recorded(NodeId n, const Tensor& value) override {
    Measurements& m = measurements();
    const double seconds = lap();
    if (options_.time) {
      resize(m.forward, 0.0);
      (graph_.op(n) ? m.forward[n] : m.other) += seconds;
    }
    if (options_.nonfinite) {
      resize(m.bad_values, std::uint64_t{0});
      m.bad_values[n] = look_at(value).bad;
      bool finite_operands = true;
      for (const NodeId input : graph_.inputs(n)) finite_operands &= m.bad_values[input] == 0;
      if (m.origin == no_node && m.bad_values[n] > 0 && finite_operands) m.origin = n;
    }
    last_ = Clock::now();  // what was measured here is nobody's
  }

  void gradient_arrived(NodeId n, const Tensor& gradient) override {
    Measurements& m = measurements();
    if (options_.gradients || options_.nonfinite) {
      const Elements found = look_at(gradient);
      if (options_.gradients) {
        resize(m.gradient_norm, std::numeric_limits<double>::quiet_NaN());
        resize(m.gradient_max, std::numeric_limits<double>::quiet_NaN());
        m.gradient_norm[n] = found.bad > 0 ? std::numeric_limits<double>::infinity() : found.norm;
        m.gradient_max[n] = found.bad > 0 ? std::numeric_limits<double>::infinity() : found.largest;
      }
      if (options_.nonfinite) {
        resize(m.bad_gradients, std::uint64_t{0});
        m.bad_gradients[n] = found.bad;
      }
    }
    last_ = Clock::now();
  }

  void rule_ended(NodeId n, std::span<const NodeId> inputs, std::span<const Var> results) override {
    Measurements& m = measurements();
    const double seconds = lap();
    if (options_.time) {
      resize(m.backward, 0.0);
      m.backward[n] += seconds;
    }
    if (options_.nonfinite && m.origin == no_node && m.bad_gradients[n] == 0) {
      bool finite = m.bad_values.size() <= n || m.bad_values[n] == 0;
      for (const NodeId input : inputs) finite &= m.bad_values.size() <= input || m.bad_values[input] == 0;
      bool makes_bad = false;
      for (const Var& result : results) makes_bad |= result.defined() && look_at(result.value()).bad > 0;
      if (finite && makes_bad) {
        m.origin = n;
        m.origin_in_rule = true;
      }
    }
    last_ = Clock::now();
  }

  void cleared() override {
    RecordAccess::tables(graph_).measurements.reset();
    last_ = Clock::now();
  }

 private:
  using Clock = std::chrono::steady_clock;

  Measurements& measurements() {
    std::unique_ptr<Measurements>& kept = RecordAccess::tables(graph_).measurements;
    if (!kept) kept = std::make_unique<Measurements>();
    return *kept;
  }
  double lap() const { return std::chrono::duration<double>(Clock::now() - last_).count(); }
  template <class T>
  void resize(std::vector<T>& column, T missing) const {
    if (column.size() < graph_.node_count()) column.resize(graph_.node_count(), missing);
  }

  Graph& graph_;
  ProfileOptions options_;
  Clock::time_point last_;
};

Profile::Profile(Graph& g, const ProfileOptions& options)
    : recorder_(std::make_unique<Recorder>(g, options)) {
  RecordAccess::Tables& tables = RecordAccess::tables(g);
  if (tables.observer) throw GraphError("a profile measures this graph already");
  tables.measurements.reset();
  RecordAccess::set_observer(g, recorder_.get());
}

Profile::~Profile() { RecordAccess::set_observer(recorder_->graph(), nullptr); }

double forward_seconds(const Graph& g, NodeId n) {
  const std::unique_ptr<Measurements>& measured = RecordAccess::tables(g).measurements;
  return measured && n < measured->forward.size() ? measured->forward[n] : 0;
}

double flops(const Graph& g, NodeId n) {
  if (!g.op(n)) return 0;
  std::vector<TensorType> operands;
  for (const NodeId input : g.inputs(n)) operands.push_back(g.type(input));
  return g.op(n)->flops(operands, g.type(n));
}

}  // namespace weft
