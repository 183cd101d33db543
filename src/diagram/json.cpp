#include "diagram/json.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <ostream>

#include "diagram/text_parts.hpp"
#include "weft/diagram.hpp"

namespace weft::diagram {

namespace {

using nlohmann::json;
constexpr std::string_view schema = "weft.graph/1";

json number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (value == std::floor(value) && std::abs(value) < 9e15) return static_cast<std::int64_t>(value);
  return value;
}

double number_of(const json& value) {
  if (value.is_number()) return value.get<double>();
  const std::string word = value.get<std::string>();
  if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (word == "inf") return std::numeric_limits<double>::infinity();
  if (word == "-inf") return -std::numeric_limits<double>::infinity();
  throw FileError("'" + word + "' is no number");
}

json numbers(const std::vector<double>& column) {
  json out = json::array();
  for (const double value : column) out.push_back(number(value));
  return out;
}

std::vector<double> numbers_of(const json& column) {
  std::vector<double> out;
  for (const json& value : column) out.push_back(number_of(value));
  return out;
}

template <class T>
json integers(const std::vector<T>& column) {
  json out = json::array();
  for (const T value : column) out.push_back(static_cast<std::uint64_t>(value));
  return out;
}

// Ids; no_node is -1.
json ids(const std::vector<NodeId>& column) {
  json out = json::array();
  for (const NodeId n : column) out.push_back(n == no_node ? std::int64_t{-1} : std::int64_t{n});
  return out;
}
json id(NodeId n) { return n == no_node ? std::int64_t{-1} : std::int64_t{n}; }
NodeId id_of(const json& value) {
  const auto n = value.get<std::int64_t>();
  return n < 0 ? no_node : static_cast<NodeId>(n);
}
std::vector<NodeId> ids_of(const json& column) {
  std::vector<NodeId> out;
  for (const json& value : column) out.push_back(id_of(value));
  return out;
}

std::string file_name(const std::string& file) {
  const std::size_t slash = file.find_last_of('/');
  return slash == std::string::npos ? file : file.substr(slash + 1);
}

json nodes_of(const Snapshot& s) {
  std::vector<std::uint8_t> kinds;
  for (const NodeKind kind : s.kinds) kinds.push_back(static_cast<std::uint8_t>(kind));
  return {{"kind", integers(kinds)},
          {"op", integers(s.op_of)},
          {"type", integers(s.type_of)},
          {"name", integers(s.names)},
          {"attributes", integers(s.attributes)},
          {"label", integers(s.labels)},
          {"file", integers(s.files)},
          {"line", integers(s.lines)},
          {"scope", integers(s.node_scopes)},
          {"rule_of", ids(s.rules)},
          {"differentiable", integers(s.differentiable)},
          {"flops", numbers(s.flops)},
          {"kept", integers(s.kept_bytes)}};
}

json measurements_of(const Measurements& m) {
  return {{"forward", numbers(m.forward)},
          {"backward", numbers(m.backward)},
          {"other", number(m.other)},
          {"gradient_norm", numbers(m.gradient_norm)},
          {"gradient_max", numbers(m.gradient_max)},
          {"bad_values", integers(m.bad_values)},
          {"bad_gradients", integers(m.bad_gradients)},
          {"origin", id(m.origin)},
          {"origin_in_rule", m.origin_in_rule},
          {"check", integers(m.check)},
          {"check_error", numbers(m.check_error)},
          {"check_where", integers(m.check_where)}};
}

TensorType type_of(const std::string& text) {
  const std::size_t bracket = text.find('[');
  if (bracket == std::string::npos || text.back() != ']') throw FileError("'" + text + "' is no type");
  TensorType type;
  bool known = false;
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8, DType::boolean}) {
    if (name(dtype) != std::string_view(text).substr(0, bracket)) continue;
    type.dtype = dtype;
    known = true;
  }
  if (!known) throw FileError("'" + text + "' is no type");
  Ints extents;
  for (const char *at = text.data() + bracket + 1, *end = text.data() + text.size() - 1; at < end;) {
    std::int64_t extent = 0;
    const auto [stop, error] = std::from_chars(at, end, extent);
    if (error != std::errc{}) throw FileError("'" + text + "' is no type");
    extents.push_back(extent);
    at = stop;
    while (at < end && (*at == ',' || *at == ' ')) ++at;
  }
  type.shape = Shape(extents);
  return type;
}

class Reader {
 public:
  explicit Reader(const json& in) : in_(in) {}

  Snapshot read() {
    if (!in_.is_object() || in_.value("schema", "") != schema)
      throw FileError(fmt::format("no {}: the schema is '{}'", schema,
                                  in_.is_object() ? in_.value("schema", "") : "none"));
    strings();
    scopes();
    nodes();
    s_.root = node(in_.at("root"));
    s_.targets = checked(ids_of(in_.at("targets")));
    const json& error = in_.at("error");
    s_.error = error.at("message").get<std::string>();
    s_.failed_op = error.at("op").get<std::string>();
    s_.failed_operands = checked(ids_of(error.at("operands")));
    s_.failed_rule = node(error.at("rule"));
    measurements(in_.at("measurements"));
    return std::move(s_);
  }

 private:
  void strings() {
    for (const json& text : in_.at("strings")) ids_.push_back(s_.strings.add(text.get<std::string>()));
  }
  StringId string(const json& value) const {
    const auto id = value.get<std::size_t>();
    if (id >= ids_.size()) throw FileError(fmt::format("there is no string {}", id));
    return ids_[id];
  }
  NodeId node(const json& value) const {
    const NodeId n = id_of(value);
    if (n != no_node && n >= s_.node_count()) throw FileError(fmt::format("there is no node {}", n));
    return n;
  }
  std::vector<NodeId> checked(std::vector<NodeId> nodes) const {
    for (const NodeId n : nodes) {
      if (n >= s_.node_count()) throw FileError(fmt::format("there is no node {}", n));
    }
    return nodes;
  }

  void scopes() {
    const json &parents = in_.at("scopes").at("parent"), &names = in_.at("scopes").at("name");
    s_.scopes.clear();
    for (std::size_t i = 0; i < parents.size(); ++i) {
      const auto parent = parents[i].get<std::uint32_t>();
      if (i > 0 && parent >= i) throw FileError(fmt::format("scope {} does not follow its parent", i));
      s_.scopes.push_back({parent, string(names.at(i))});
    }
    if (s_.scopes.empty()) throw FileError("scope 0 is missing");
  }

  void nodes() {
    for (const json& kind : in_.at("op_kinds")) {
      OpKind op{string(kind.at("name")), static_cast<OpGroup>(kind.at("group").get<std::uint8_t>()), {}};
      if (op.group > OpGroup::random) throw FileError("an op of an unknown group");
      for (const json& argument : kind.at("arguments")) op.arguments.push_back(string(argument));
      s_.op_kinds.push_back(std::move(op));
    }
    std::vector<TensorType> types;
    for (const json& type : in_.at("types")) types.push_back(type_of(type.get<std::string>()));
    const json& in = in_.at("nodes");
    const json &first = in_.at("first_edge"), &source = in_.at("source");
    const std::vector<NodeId> sources = ids_of(source);
    for (std::size_t n = 0; n < in.at("kind").size(); ++n) {
      const auto column = [&](const char* name) -> const json& { return in.at(name).at(n); };
      Snapshot::Node node{.kind = static_cast<NodeKind>(column("kind").get<std::uint8_t>()),
                          .op = column("op").get<std::uint32_t>(),
                          .type = types.at(column("type").get<std::size_t>()),
                          .name = string(column("name")),
                          .attributes = string(column("attributes")),
                          .label = string(column("label")),
                          .file = string(column("file")),
                          .scope = column("scope").get<std::uint32_t>(),
                          .line = column("line").get<std::uint32_t>(),
                          .rule_of = id_of(column("rule_of")),
                          .differentiable = column("differentiable").get<int>() != 0,
                          .flops = number_of(column("flops")),
                          .kept_bytes = column("kept").get<std::uint64_t>()};
      if (node.kind > NodeKind::op || node.scope >= s_.scopes.size() ||
          (node.kind == NodeKind::op && node.op >= s_.op_kinds.size()))
        throw FileError(fmt::format("node {} has an unknown kind, op or scope", n));
      const auto begin = first.at(n).get<std::size_t>(), end = first.at(n + 1).get<std::size_t>();
      if (begin > end || end > sources.size()) throw FileError(fmt::format("the edges of node {}", n));
      s_.append(node, std::span(sources).subspan(begin, end - begin));
    }
  }

  template <class T>
  std::vector<T> column(const json& in, const char* name) const {
    std::vector<T> out;
    if constexpr (std::is_same_v<T, double>)
      out = numbers_of(in.at(name));
    else
      out = in.at(name).get<std::vector<T>>();
    if (!out.empty() && out.size() != s_.node_count())
      throw FileError(
          fmt::format("the measurements '{}' are of {} nodes, not {}", name, out.size(), s_.node_count()));
    return out;
  }

  void measurements(const json& in) {
    Measurements& m = s_.measured;
    m.forward = column<double>(in, "forward");
    m.backward = column<double>(in, "backward");
    m.other = number_of(in.at("other"));
    m.gradient_norm = column<double>(in, "gradient_norm");
    m.gradient_max = column<double>(in, "gradient_max");
    m.bad_values = column<std::uint64_t>(in, "bad_values");
    m.bad_gradients = column<std::uint64_t>(in, "bad_gradients");
    m.origin = node(in.at("origin"));
    m.origin_in_rule = in.at("origin_in_rule").get<bool>();
    m.check = column<std::uint8_t>(in, "check");
    m.check_error = column<double>(in, "check_error");
    m.check_where = column<StringId>(in, "check_where");
    for (StringId& id : m.check_where) id = string(id);
  }

  const json& in_;
  std::vector<StringId> ids_;  // of the file's strings
  Snapshot s_;
};

}  // namespace

json json_of(const Snapshot& s) {
  json op_kinds = json::array(), types = json::array();
  for (const OpKind& kind : s.op_kinds) {
    op_kinds.push_back({{"name", kind.name},
                        {"group", static_cast<std::uint8_t>(kind.group)},
                        {"arguments", kind.arguments}});
  }
  for (const TensorType& type : s.types) types.push_back(to_string(type));
  // Files are told by their names: where they lay is nobody's business.
  StringTable strings = s.strings;
  std::vector<StringId> files;
  for (const StringId file : s.files) files.push_back(strings.add(file_name(s.text(file))));
  json texts = json::array();
  std::vector<bool> is_path(strings.all().size());
  for (std::size_t n = 0; n < files.size(); ++n) is_path[s.files[n]] = s.files[n] != files[n];
  for (std::size_t i = 0; i < strings.all().size(); ++i)
    texts.push_back(is_path[i] ? fmt::format("file {}", i) : strings.all()[i]);

  std::vector<std::uint32_t> first, parents;
  std::vector<StringId> names;
  for (NodeId n = 0; n <= s.node_count(); ++n) first.push_back(s.first_edge(n).index);
  std::vector<NodeId> sources;
  for (std::uint32_t e = 0; e < s.edge_count(); ++e) sources.push_back(s.edge_target({e}));
  for (const Snapshot::Scope& scope : s.scopes) {
    parents.push_back(scope.parent);
    names.push_back(scope.name);
  }
  json nodes = nodes_of(s);
  nodes["file"] = integers(files);
  return {{"schema", schema},
          {"structure", to_string(structure(s))},
          {"strings", texts},
          {"op_kinds", op_kinds},
          {"types", types},
          {"scopes", {{"parent", integers(parents)}, {"name", integers(names)}}},
          {"nodes", nodes},
          {"first_edge", integers(first)},
          {"source", ids(sources)},
          {"root", id(s.root)},
          {"targets", ids(s.targets)},
          {"error",
           {{"message", s.error},
            {"op", s.failed_op},
            {"operands", ids(s.failed_operands)},
            {"rule", id(s.failed_rule)}}},
          {"measurements", measurements_of(s.measured)}};
}

std::string text_of_json(const json& json, bool in_html) {
  std::string text = json.dump(-1, ' ', false, json::error_handler_t::replace);
  if (!in_html) return text;
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return safe;
}

}  // namespace weft::diagram

namespace weft {

void write_json(const Snapshot& s, std::ostream& out) {
  out << diagram::text_of_json(diagram::json_of(s), false) << '\n';
}

Snapshot read_snapshot(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw FileError(fmt::format("read_snapshot: cannot read {}", file));
  try {
    const nlohmann::json json = nlohmann::json::parse(in);
    return diagram::Reader(json).read();
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("read_snapshot: {} is no weft.graph/1: {}", file, error.what()));
  } catch (const std::exception& error) {
    throw FileError(fmt::format("read_snapshot: {}: {}", file, error.what()));
  }
}

}  // namespace weft
