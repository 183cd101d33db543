// With WEFT_CHECK_DIAGRAMS=1 in the environment every graph of every test, when it ends, is written as DOT
// and read back by libcgraph, and a small one by Boost: ctest runs the whole suite so. The linker puts the
// destructor here before the real one (--wrap).
#include <fmt/format.h>

#include <cstdlib>
#include <unordered_set>

#include "diagram_records.hpp"
#include "dot_reader.hpp"

using namespace weft;

void real_destructor(Graph* g) asm("__real__ZN4weft5GraphD1Ev");
void checking_destructor(Graph* g) asm("__wrap__ZN4weft5GraphD1Ev");

namespace {

constexpr NodeId most_nodes = 20'000, most_for_boost = 300;  // what a parser does in a second

// Names that DOT holds as they are: what becomes of others is tested with them.
bool has_plain_names(const Snapshot& s) {
  return std::ranges::all_of(s.strings.all(), [](const std::string& text) {
    return text.size() <= 1000 &&
           std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f && c != '\\'; });
  });
}

void check(const Graph& g) {
  if (g.node_count() == 0 || g.node_count() > most_nodes) return;
  const Snapshot s = take_snapshot(g);
  if (!has_plain_names(s) || s.scopes.size() > 255) return;
  const std::string dot = dot_of(s);
  static std::unordered_set<std::string> seen;
  if (!seen.insert(dot).second) return;
  std::string wrong = difference(read_by_cgraph(dot), s);
  if (wrong.empty() && g.node_count() <= most_for_boost) wrong = difference(read_by_boost(dot), s);
  if (wrong.empty()) return;
  fmt::print(stderr, "the DOT of a graph is not the graph: {}\n{}", wrong, dot);
  std::abort();
}

// Tells at the end how many graphs there were.
struct Count {
  std::atomic<std::size_t> graphs = 0;
  ~Count() {
    if (graphs > 0) fmt::print("DOT of {} graphs was read back\n", graphs.load());
  }
} counted;

}  // namespace

void checking_destructor(Graph* g) {
  static const bool wanted = std::getenv("WEFT_CHECK_DIAGRAMS") != nullptr;
  static std::mutex one_at_a_time;
  if (wanted) {
    const std::lock_guard lock(one_at_a_time);
    check(*g);
    ++counted.graphs;
  }
  real_destructor(g);
}
