// Time of diagrams of large records: ninja benchmark_diagrams, then run it. Arguments are ops.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <boost/graph/graphviz.hpp>
#include <ctime>
#include <filesystem>
#include <ostream>
#include <streambuf>

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

// Text in memory that is kept from one writing to the next, so that its first touch by the operating system
// is not measured.
class Memory : public std::streambuf {
 public:
  template <class Write>
  std::size_t fill(Write&& write) {
    text_.clear();
    std::ostream out(this);
    write(out);
    return text_.size();
  }

 private:
  std::streamsize xsputn(const char* data, std::streamsize size) override {
    text_.append(data, static_cast<std::size_t>(size));
    return size;
  }
  int overflow(int c) override {
    text_.push_back(static_cast<char>(c));
    return c;
  }
  std::string text_;
};

std::size_t bytes_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

void snapshot(benchmark::State& state) {
  Graph g;
  record_step(g, state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(take_snapshot(g));
  const std::size_t before = bytes_in_use();
  const Snapshot s = take_snapshot(g);
  state.counters["bytes/op"] =
      static_cast<double>(bytes_in_use() - before) / static_cast<double>(state.range(0));
}

void dot(benchmark::State& state) {
  Graph g;
  record_step(g, state.range(0));
  Memory memory;
  std::size_t bytes = memory.fill([&](std::ostream& out) { write_dot(g, out); });
  for (auto _ : state) bytes = memory.fill([&](std::ostream& out) { write_dot(g, out); });
  state.counters["MB"] = static_cast<double>(bytes) / 1e6;
}

// The bars: 100,000 ops within 250 ms, and at most 11 times that for 1,000,000; medians of processor time. An
// error where one is missed.
void dot_bars(benchmark::State& state) {
  Graph small, large;
  record_step(small, 100'000);
  record_step(large, 1'000'000);
  Memory memory;
  const auto seconds = [&](const Graph& g) {
    std::array<double, 5> took{};
    memory.fill([&](std::ostream& out) { write_dot(g, out); });
    for (double& one : took) {
      const std::clock_t start = std::clock();
      memory.fill([&](std::ostream& out) { write_dot(g, out); });
      one = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    }
    std::ranges::nth_element(took, took.begin() + 2);
    return took[2];
  };
  double base = 0, growth = 0;
  for (auto _ : state) {
    base = seconds(small);
    growth = seconds(large) / base;
  }
  state.counters["100,000 ms"] = 1000 * base;
  state.counters["growth"] = growth;
  if (base > 0.25) state.SkipWithError("DOT of 100,000 ops takes more than 250 ms");
  if (growth > 11) state.SkipWithError("DOT of 1,000,000 ops takes more than 11 times as long as of 100,000");
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
  Memory memory;
  for (auto _ : state) memory.fill([&](std::ostream& out) { boost::write_graphviz_dp(out, g, properties); });
}

void folded(benchmark::State& state) {
  Graph g;
  record_step(g, state.range(0));
  const Snapshot s = take_snapshot(g);
  Memory memory;
  for (auto _ : state) memory.fill([&](std::ostream& out) { write_dot(s, out, {.folded_dot = true}); });
}

// The view without pictures: there is no layout program.
void html_without_layout(benchmark::State& state) {
  Graph g;
  record_step(g, state.range(0));
  const std::filesystem::path file = std::filesystem::temp_directory_path() / "weft-benchmark.html";
  ::setenv("WEFT_LAYOUT", "/nonexistent", 1);
  for (auto _ : state) save_diagram(g, file);
  ::unsetenv("WEFT_LAYOUT");
  state.counters["MB"] = static_cast<double>(std::filesystem::file_size(file)) / 1e6;
  std::filesystem::remove(file);
}

BENCHMARK(snapshot)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(dot)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK(dot_bars)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(dot_by_boost)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(html_without_layout)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(folded)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
