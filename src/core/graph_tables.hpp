// The parts of a Graph that are no flat arrays.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/observer.hpp"
#include "gradient/scattered.hpp"
#include "weft/graph.hpp"

namespace weft {

struct Graph::Tables {
  struct ParameterUse {
    Parameter parameter;
    std::uint64_t version;
    NodeId node;
  };
  struct LastUse {
    std::uint32_t epoch;
    std::uint32_t index;  // in parameters
  };

  std::uint32_t intern(std::string_view text);
  // The next piece of the ops' memory.
  std::span<std::byte> next_chunk();
  void clear();

  std::deque<std::string> names{1};  // 0: no name
  std::unordered_map<std::string_view, std::uint32_t> name_index;
  std::vector<ParameterUse> parameters;  // in use since the last clear()
  std::unordered_map<const void*, LastUse> parameter_index;
  std::vector<std::shared_ptr<const void>> held;  // what ops point to

  // For diagrams: who measures, the last gradient call, and the last error of an op or, by its node, of a
  // rule.
  Observer* observer = nullptr;
  std::unique_ptr<Measurements> measurements;
  NodeId last_root = no_node;
  std::vector<NodeId> last_targets;
  struct {
    NodeId node = no_node;
    std::string op = {};
    std::vector<NodeId> operands = {};
    std::string message = {};  // empty: no error
  } last_error;

  // The engine's, kept from pass to pass.
  struct Workspace {
    std::vector<std::uint8_t> active;
    std::vector<Var> gradients;
    std::vector<Var> results;  // of the rule that runs; empty but then
    ScatteredGradients scattered;
    std::vector<std::size_t> uses;  // of parameters
    std::vector<NodeId> targets;
  } workspace;

 private:
  static constexpr std::size_t chunk_bytes = 64 * 1024;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::size_t used_chunks_ = 0;
};

struct RecordAccess {
  using Tables = Graph::Tables;
  static Graph::Tables& tables(Graph& g) { return *g.tables_; }
  static const Graph::Tables& tables(const Graph& g) { return *g.tables_; }
  static void set_observer(Graph& g, Observer* observer) {
    g.tables_->observer = observer;
    g.update_room();
  }
  // What the rule of n asked to keep, also after its release.
  static std::span<const Graph::Kept> kept(const Graph& g, NodeId n) {
    const std::size_t first = g.nodes_[n].first_kept;
    return std::span(g.kept_).subspan(first, g.nodes_[n + 1].first_kept - first);
  }
};

}  // namespace weft
