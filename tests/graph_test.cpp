#include <catch2/catch.hpp>

#include "weft/weft.hpp"

using namespace weft;

namespace {
Tensor ones(const Shape& shape) { return Tensor::full(shape, 1, DType::f64); }
}  // namespace

TEST_CASE("scopes nest and end, and each node knows its scope and source line", "[graph]") {
  Graph g;
  const Var x = g.input(ones({2}), "x");
  Var inner, outer;
  {
    const auto net = g.scope("net");
    {
      const auto conv1 = g.scope("conv1");
      inner = exp(x);
    }
    outer = exp(inner);
  }
  const int line = __LINE__ + 1;
  const Var after = exp(outer);
  CHECK(g.scope_path(g.scope_of(inner.id())) == "net/conv1");
  CHECK(g.scope_path(g.scope_of(outer.id())) == "net");
  CHECK(g.scope_path(g.scope_of(after.id())).empty());
  CHECK(g.source(after.id()).line == line);
  CHECK(to_string(g.source(after.id())) == "graph_test.cpp:" + std::to_string(line));
}

TEST_CASE("a parameter has one node however often it is used", "[graph]") {
  Parameter w("w", ones({2}));
  Graph g;
  CHECK(g.use(w).id() == g.use(w).id());
  CHECK(g.node_count() == 1);
  CHECK(g.kind(0) == NodeKind::parameter);
  CHECK(g.name(0) == "w");
  g.clear();
  CHECK(g.use(w).id() == 0);
}

TEST_CASE("constant operands become nodes, numbers become attributes", "[graph]") {
  Graph g;
  const Var x = g.input(ones({2}), "x");
  const Var y = x * Var(ones({2}));
  CHECK(g.node_count() == 3);
  CHECK(g.kind(1) == NodeKind::constant);
  CHECK(g.inputs(y.id())[1] == 1);
  const Var z = y * 1.01;
  CHECK(g.node_count() == 4);
  CHECK(to_string(g.op(z.id())->attributes()) == "factor=1.01");
  const Var v = Tensor::full({2}, 5, DType::f64) - x;  // a tensor as an operand
  CHECK(g.node_count() == 6);
  CHECK(g.kind(4) == NodeKind::constant);
  CHECK(g.inputs(v.id())[1] == x.id());
  CHECK(v.value().at({1}) == 4);
}

TEST_CASE("the record keeps its invariants, and verify() names the node where it does not", "[graph]") {
  Graph g;
  const Var x = g.input(ones({3}), "x");
  Var y = x;
  for (int i = 0; i < 20; ++i) y = y * x + y;
  CHECK_NOTHROW(g.verify());
  CHECK(g.edge_count() == 80);
  for (NodeId n = 0; n < g.node_count(); ++n) {
    for (std::uint32_t e = g.first_edge(n).index; e < g.first_edge(n + 1).index; ++e) {
      CHECK(g.edge_source({e}) == n);
      CHECK(g.edge_target({e}) < n);
      CHECK(g.inputs(n)[static_cast<std::size_t>(g.edge_slot({e}))] == g.edge_target({e}));
    }
  }
}

TEST_CASE("source nodes keep their tensor until clear(), also after backward", "[graph]") {
  Parameter w("w", ones({2}));
  Graph g;
  const Var x = g.input(ones({2}), "x");
  g.backward(sum(x * g.use(w)));
  CHECK(g.source_value(x.id()).shares_storage(x.value()));
  CHECK(g.source_value(g.use(w).id()).shares_storage(w.value()));
  CHECK_THROWS_AS(g.source_value(2), GraphError);
}

TEST_CASE("clear() keeps the memory: later steps of the same shape ask the system for none", "[graph]") {
  Parameter w("w", ones({16, 8}));
  Graph g;
  const auto step = [&] {
    g.clear();
    w.zero_grad();
    const Var x = g.input(ones({4, 16}), "x");
    g.backward(mean(tanh(matmul(x, g.use(w)))));
  };
  step();
  step();
  const MemoryStatistics before = memory_statistics();
  for (int i = 0; i < 100; ++i) step();
  const MemoryStatistics after = memory_statistics();
  CHECK(after.system_allocations == before.system_allocations);
  CHECK(after.peak == before.peak);
  CHECK(after.live == before.live);
}

TEST_CASE("an undefined var or tensor is an error, not a crash", "[graph]") {
  Graph g;
  const Var x = g.input(ones({2}), "x");
  CHECK_THROWS_AS(exp(Var()), GraphError);
  CHECK_THROWS_AS(x + Var(), GraphError);
  CHECK_THROWS_AS(g.input(Tensor()), GraphError);
  CHECK_THROWS_AS(Parameter("w", Tensor()), DTypeError);
  CHECK_THROWS_AS(Parameter("w", Tensor::zeros({2}, DType::i64)), DTypeError);
  CHECK(g.node_count() == 1);
}

TEST_CASE("setting a parameter's value or gradient to another type is an error that says both", "[graph]") {
  Parameter w("conv1/w", ones({2, 3}));
  CHECK_THROWS_WITH(w.set_value(ones({3, 2})),
                    "parameter conv1/w: the new value is f64[3, 2], needed f64[2, 3]");
  CHECK_THROWS_AS(w.set_grad(Tensor::zeros({2, 3}, DType::f32)), DTypeError);
  CHECK(w.version() == 0);
}
