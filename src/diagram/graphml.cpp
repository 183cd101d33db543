#include <fmt/format.h>

#include <boost/graph/graphml.hpp>
#include <boost/graph/reverse_graph.hpp>
#include <locale>
#include <sstream>

#include "diagram/escape.hpp"
#include "diagram/outline.hpp"
#include "weft/boost_graph.hpp"
#include "weft/diagram.hpp"

namespace weft {

namespace {

// Boost's map over a function, of a key's type that tells nodes from edges.
template <class Key, class F>
auto map_of(F f) {
  return boost::function_property_map<F, Key, decltype(f(Key{}))>(f);
}

// Boost writes numbers in the locale of the program: they are written as text here, and their keys say then
// that they are numbers.
std::string with_number_types(std::string graphml) {
  for (const auto& [name, type] :
       {std::pair("bytes", "long"), {"flops", "double"}, {"seconds", "double"}, {"slot", "int"}}) {
    const std::string as_text = fmt::format("attr.name=\"{}\" attr.type=\"string\"", name);
    const std::size_t at = graphml.find(as_text);
    if (at != std::string::npos)
      graphml.replace(at, as_text.size(), fmt::format("attr.name=\"{}\" attr.type=\"{}\"", name, type));
  }
  return graphml;
}

}  // namespace

void write_graphml(const Snapshot& s, std::ostream& out) {
  const Consumers<Snapshot> view = consumers(s);
  const auto flow = boost::make_reverse_graph(view);
  const auto text = [](std::string_view given) {
    return diagram::sanitized(given.substr(0, diagram::max_string_bytes));
  };
  constexpr std::array<const char*, 4> kinds = {"input", "parameter", "constant", "op"};
  boost::dynamic_properties properties;
  properties.property("kind", map_of<NodeId>([&](NodeId n) {
                        return std::string(kinds[static_cast<std::size_t>(s.kind(n))]);
                      }));
  properties.property("op", map_of<NodeId>([&](NodeId n) { return text(s.op_name(n)); }));
  properties.property("attributes", map_of<NodeId>([&](NodeId n) { return text(s.text(s.attributes[n])); }));
  properties.property("name", map_of<NodeId>([&](NodeId n) { return text(s.name(n)); }));
  properties.property("type", map_of<NodeId>([&](NodeId n) { return to_string(s.type(n)); }));
  properties.property("scope", map_of<NodeId>([&](NodeId n) { return text(s.scope_path(s.scope_of(n))); }));
  properties.property("source",
                      map_of<NodeId>([&](NodeId n) { return text(diagram::source_text(s, n, "")); }));
  properties.property("bytes", map_of<NodeId>([&](NodeId n) { return fmt::to_string(s.bytes(n)); }));
  properties.property("flops", map_of<NodeId>([&](NodeId n) { return fmt::format("{:.0f}", s.flops[n]); }));
  if (!s.measured.forward.empty())
    properties.property("seconds",
                        map_of<NodeId>([&](NodeId n) { return fmt::to_string(get(vertex_time, s, n)); }));
  properties.property("slot",
                      map_of<boost::graph_traits<decltype(flow)>::edge_descriptor>(
                          [&](const auto& e) { return fmt::to_string(s.edge_slot(e.underlying_descx)); }));
  std::ostringstream written;
  written.imbue(std::locale::classic());
  boost::write_graphml(written, flow, get(boost::vertex_index, view), properties, true);
  out << with_number_types(std::move(written).str());
}

}  // namespace weft
