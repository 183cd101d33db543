// Time of diagrams of large records: ninja benchmark_diagrams, then run it. Arguments are ops.
#include <benchmark/benchmark.h>

#include <boost/graph/graphviz.hpp>
#include <sstream>

#include "weft/boost_graph.hpp"
#include "weft/weft.hpp"

using namespace weft;

namespace {

// Blocks of 30 ops with scopes and 1.6 edges an op.
void record_step(Graph& g, std::int64_t ops) {
  const Parameter w("w", Tensor::zeros({4}));
  Var h = g.input(Tensor::zeros({4}), "x");
  for (std::int64_t done = 0; done < ops; done += 30) {
    const Scope scope = g.scope(fmt::format("block{}", done));
    const Var in = h;
    for (int i = 0; i < 10; ++i) h = tanh(multiply(h, g.use(w)) + in);
  }
  g.backward(sum(h));
}

void snapshot(benchmark::State& state) {
  Graph g;
  record_step(g, state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(take_snapshot(g));
}

void dot(benchmark::State& state) {
  Graph g;
  record_step(g, state.range(0));
  std::size_t bytes = 0;
  for (auto _ : state) {
    std::ostringstream out;
    write_dot(g, out);
    bytes = out.str().size();
  }
  state.counters["MB"] = static_cast<double>(bytes) / 1e6;
}

// The same items by Boost's writer, without labels, clusters or looks.
void dot_by_boost(benchmark::State& state) {
  Graph g;
  record_step(g, state.range(0));
  boost::dynamic_properties properties;
  const auto text_map = [](auto f) {
    return boost::function_property_map<decltype(f), NodeId, std::string>(f);
  };
  properties.property("node_id", get(boost::vertex_index, g));
  properties.property("weft_op", text_map([&](NodeId n) { return std::string(get(vertex_op, g, n)); }));
  properties.property("weft_type", text_map([&](NodeId n) { return to_string(g.type(n)); }));
  properties.property("weft_attr",
                      text_map([&](NodeId n) { return g.op(n) ? to_string(g.op(n)->attributes()) : ""; }));
  for (auto _ : state) {
    std::ostringstream out;
    boost::write_graphviz_dp(out, g, properties);
    benchmark::DoNotOptimize(out.str().size());
  }
}

void folded(benchmark::State& state) {
  Graph g;
  record_step(g, state.range(0));
  const Snapshot s = take_snapshot(g);
  for (auto _ : state) {
    std::ostringstream out;
    write_dot(s, out, {.folded_dot = true});
    benchmark::DoNotOptimize(out.str().size());
  }
}

BENCHMARK(snapshot)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(dot)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK(dot_by_boost)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(folded)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
