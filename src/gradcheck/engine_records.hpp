// Records that exercise an engine: ways to use a var, aliases, constants, and random graphs. All in f64.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "weft/graph.hpp"

namespace weft {

// y and the vars whose gradients are asked for.
struct EngineRecord {
  Var y;
  std::vector<Var> xs;
};

struct EngineCase {
  std::string name;  // "a result used 5 times"
  std::function<EngineRecord(Graph&)> record;
};

std::vector<EngineCase> engine_cases(std::uint64_t seed);
// Two sources and a constant, `nodes` smooth ops and shape ops on them; xs are the sources and one result.
EngineRecord random_record(Graph& g, std::uint64_t seed, int nodes);

// J^T gy of y with respect to x, by dual numbers through the references of the ops on the way.
Tensor dual_gradient(const Graph& g, const Var& y, const Var& x, const Tensor& gy);

}  // namespace weft
