#include "diagram/dot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>

#include "diagram/box.hpp"
#include "diagram/escape.hpp"
#include "weft/op.hpp"

namespace weft::diagram {

namespace {

// "3,470"
std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, ",");
  return digits;
}

std::string counted(std::int64_t number, std::string_view what) {
  return fmt::format("{} {}{}", grouped(number), what, number == 1 ? "" : "s");
}

// In inches, from the advance of a 10 pt monospaced font and the margins, so that Graphviz's own metrics do
// not matter.
double width_of(std::size_t columns) {
  const double inches = (6.02 * static_cast<double>(columns) + 16) / 72;
  return std::ceil(inches * 100) / 100;
}

std::string_view name_of(OpGroup group) {
  constexpr std::array<std::string_view, 8> names = {"elementwise", "reduction", "contraction", "view",
                                                     "shape",       "selection", "loss",        "random"};
  return names[static_cast<std::size_t>(group)];
}

class DotWriter {
 public:
  DotWriter(const Graph& g, const Outline& outline, std::ostream& out, const DiagramOptions& options,
            const DotStyle& style)
      : graph_(g), outline_(outline), out_(out), options_(options), style_(style) {}

  bool write() {
    head();
    std::uint32_t open = 0;
    for (std::uint32_t s = 0; s < outline_.frames.size(); ++s) {
      const Frame& frame = outline_.frames[s];
      if (s > 0 && frame.nodes == 0) continue;
      if (style_.clusters && s > 0) {
        close_down_to(open, frame.parent);
        open_cluster(s);
        open = s;
      }
      for (std::uint32_t i = frame.first_node; i < frame.end_node; ++i) node(outline_.nodes[i]);
    }
    close_down_to(open, 0);
    for (NodeId n = 0; n < graph_.node_count(); ++n) {
      for (EdgeId e = graph_.first_edge(n); e < graph_.first_edge(n + 1); ++e.index) edge(e);
    }
    raw("}}\n");
    flush();
    return text_cut_;
  }

 private:
  static constexpr std::size_t block_bytes = 64 * 1024;

  template <class... T>
  void raw(fmt::format_string<T...> format, T&&... values) {
    fmt::format_to(fmt::appender(buffer_), format, std::forward<T>(values)...);
    if (buffer_.size() > block_bytes) flush();
  }

  void flush() {
    out_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    buffer_.clear();
  }

  void quoted(std::string_view name, std::string_view text, StringKind kind) {
    buffer_.push_back(' ');
    buffer_.append(name);
    buffer_.append(std::string_view("=\""));
    text_cut_ |= append_escaped(buffer_, text, kind);
    buffer_.push_back('"');
  }

  void indent() { raw("{:{}}", "", 2 * (depth_ + 1)); }

  void head() {
    std::string caption = options_.title.empty() ? "" : options_.title + " | ";
    caption +=
        counted(outline_.frames[0].ops, "op") + " | " + counted(outline_.frames[0].parameters, "parameter");
    if (style_.splines != "spline") caption += " | simplified: straight edges";
    if (!style_.clusters) caption += ", no scopes";
    raw("digraph weft {{\n  graph [rankdir=TB newrank=true splines={}", style_.splines);
    if (style_.fast) raw(" nslimit=0.5 mclimit=.22 remincross=false searchsize=20");
    raw(" nodesep=0.30 ranksep=0.34 bgcolor=\"#FFFFFF\" fontname=\"monospace\" fontsize=11 labelloc=t\n      "
        "  ");
    quoted("tooltip", options_.title.empty() ? "graph" : options_.title, StringKind::label);
    quoted("label", shortened(caption, max_label_columns, text_cut_), StringKind::label);
    raw(" weft_schema=\"weft.dot/1\"];\n"
        "  node [shape=box style=\"filled,rounded\" fontname=\"monospace\" fontsize=10 margin=\"0.10,0.05\" "
        "color=\"#444444\" fillcolor=\"#FFFFFF\" fontcolor=\"#111111\"];\n"
        "  edge [color=\"#555555\" arrowsize=0.7];\n");
  }

  void open_cluster(std::uint32_t s) {
    const Frame& frame = outline_.frames[s];
    indent();
    raw("subgraph cluster_s{} {{\n", s);
    ++depth_;
    indent();
    raw("graph [id=\"s{}\" class=\"scope\"", s);
    quoted("label", shortened(outline_.frame_name(graph_, s), max_label_columns, text_cut_),
           StringKind::label);
    raw(" labeljust=l style=rounded color=\"#767676\"");
    quoted("tooltip", counted(frame.ops, "op") + ", " + counted(frame.parameters, "parameter"),
           StringKind::label);
    quoted("weft_scope", outline_.frame_path(graph_, s), StringKind::value);
    raw("];\n");
  }

  void close_down_to(std::uint32_t& open, std::uint32_t frame) {
    while (open != frame) {
      --depth_;
      indent();
      raw("}}\n");
      open = outline_.frames[open].parent;
    }
  }

  void node(NodeId n) {
    indent();
    raw("n{0} [id=\"n{0}\"", n);
    if (graph_.op(n))
      op_look(n);
    else
      source_look(n);

    std::string first_line = headline(graph_, n);
    if (outline_.is_unused(n)) first_line += " (unused)";
    first_line = shortened(first_line, max_label_columns, text_cut_);
    const std::string type = to_string(graph_.type(n));
    const bool is_value = graph_.kind(n) == NodeKind::constant && graph_.type(n).shape.elements() == 1;
    const std::string label = is_value ? first_line : first_line + "\n" + type;
    raw(" width={:.2f}", width_of(columns(label)));
    quoted("label", label, StringKind::label);

    const Op* op = graph_.op(n);
    const std::string attributes = op ? to_string(op->attributes()) : "";
    const std::string_view about = op ? std::string_view(attributes) : graph_.name(n);
    const std::string source = source_text(graph_.source(n), options_.source_root);
    quoted("tooltip", fmt::format("{}{}{}", about, about.empty() || source.empty() ? "" : ", ", source),
           StringKind::label);
    if (op) quoted("weft_op", op->info().name, StringKind::value);
    if (!attributes.empty()) quoted("weft_attr", attributes, StringKind::value);
    if (!graph_.name(n).empty()) quoted("weft_name", graph_.name(n), StringKind::value);
    quoted("weft_type", type, StringKind::value);
    raw("];\n");
  }

  std::string_view group_of(NodeId n) const { return outline_.is_on_spine[n] ? " group=spine" : ""; }

  void source_look(NodeId n) {
    struct Look {
      std::string_view name, shape, fill;
    };
    constexpr std::array<Look, 3> looks = {{{"input", "invhouse", "#D6ECFA"},
                                            {"parameter", "cylinder", "#FFF1CC"},
                                            {"constant", "note", "#FFFFFF"}}};
    const Look& look = looks[static_cast<std::size_t>(graph_.kind(n))];
    const bool unused = outline_.is_unused(n);
    raw(" class=\"{}{}\"{} shape={} style={} fillcolor=\"{}\"", look.name, unused ? " unused" : "",
        group_of(n), look.shape, unused ? "\"filled,dotted\"" : "filled", look.fill);
  }

  void op_look(NodeId n) {
    const OpGroup group = graph_.op(n)->info().group;
    const bool unused = outline_.is_unused(n);
    raw(" class=\"op {}{}\"{}", name_of(group), unused ? " unused" : "", group_of(n));
    if (n == outline_.root) return raw(" style=filled fillcolor=\"#F6D5C4\" peripheries=2");
    if (unused || group == OpGroup::view) raw(" style=\"filled,rounded,{}\"", unused ? "dotted" : "dashed");
    if (group == OpGroup::contraction) raw(" fillcolor=\"#CFE8DC\"");
  }

  void edge(EdgeId e) {
    const NodeId input = graph_.edge_target(e), consumer = graph_.edge_source(e);
    const TensorType& type = graph_.type(input);
    const bool is_parameter = graph_.kind(input) == NodeKind::parameter;
    raw("  n{} -> n{} [id=\"e{}\" class=\"{}\"", input, consumer, e.index,
        is_parameter ? "parameter" : "data");
    if (is_parameter) raw(" color=\"#9A6B00\" minlen=0");
    if (!is_floating(type.dtype)) raw(" style=dashed");
    if (!is_parameter && graph_.edge_slot(e) == 0 && !outline_.is_unused(consumer)) raw(" weight=10");
    quoted("tooltip", fmt::format("{}: {}", argument_name(graph_, e), to_string(type)), StringKind::label);
    raw(" weft_slot={}];\n", graph_.edge_slot(e));
  }

  const Graph& graph_;
  const Outline& outline_;
  std::ostream& out_;
  const DiagramOptions& options_;
  const DotStyle& style_;
  fmt::memory_buffer buffer_;
  std::size_t depth_ = 0;  // of the open cluster
  bool text_cut_ = false;
};

}  // namespace

bool write_dot(const Graph& g, const Outline& outline, std::ostream& out, const DiagramOptions& options,
               const DotStyle& style) {
  return DotWriter(g, outline, out, options, style).write();
}

}  // namespace weft::diagram

namespace weft {

void write_dot(const Graph& g, std::ostream& out, const DiagramOptions& options) {
  diagram::write_dot(g, diagram::Outline(g), out, options, {});
}

}  // namespace weft
