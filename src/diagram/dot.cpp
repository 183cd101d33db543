#include "diagram/dot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>

#include "diagram/escape.hpp"
#include "diagram/legend.hpp"
#include "diagram/overlay.hpp"
#include "diagram/style.hpp"
#include "diagram/text_parts.hpp"

namespace weft::diagram {

namespace {

// In hundredths of an inch, from the advance of a 10 pt monospaced font and the margins, so that Graphviz's
// own metrics do not matter.
std::uint64_t width_of(std::size_t columns) {
  const double inches = (6.02 * static_cast<double>(columns) + 16) / 72;
  return static_cast<std::uint64_t>(std::ceil(inches * 100));
}

// Of a box that is no op.
struct Look {
  std::string_view name, shape, fill;
};

class DotWriter {
 public:
  DotWriter(const Snapshot& s, const Outline& outline, const View& view, const Canvas& canvas,
            std::ostream& out, const DiagramOptions& options, const DotStyle& style)
      : s_(s),
        outline_(outline),
        view_(view),
        canvas_(canvas),
        out_(out),
        options_(options),
        style_(style),
        theme_(theme_of(options.theme)),
        overlay_(s, canvas, options.overlay),
        source_root_(options.source_root) {
    for (const TensorType& type : s.types) types_.push_back(to_string(type));
  }

  bool write() {
    head();
    if (style_.legend) append(legend_text(s_, view_, canvas_, options_));
    std::uint32_t open = 0;
    for (const Box& box : canvas_.boxes) {
      if (style_.clusters && box.kind != BoxKind::sum && box.cluster != open) {
        close_down_to(open, common(open, box.cluster));
        open_clusters(open, box.cluster);
      }
      if (box.kind == BoxKind::sum) close_down_to(open, 0);
      this->box(box);
    }
    close_down_to(open, 0);
    for (const CanvasEdge& e : canvas_.edges) e.kind == EdgeKind::data ? data_edge(e) : gradient_edge(e);
    append("}\n");
    flush();
    return text_cut_;
  }

 private:
  static constexpr std::size_t block_bytes = 64 * 1024;

  template <class... T>
  void raw(fmt::format_string<T...> format, T&&... values) {
    fmt::format_to(fmt::appender(buffer_), format, std::forward<T>(values)...);
  }
  // Inlined, so that a literal is a move or two: an item has dozens of parts.
  void append(std::string_view text) {
    const std::size_t size = buffer_.size();
    buffer_.resize(size + text.size());
    std::copy(text.begin(), text.end(), buffer_.data() + size);
  }
  void append(std::uint64_t number) {
    const fmt::format_int digits(number);
    append(std::string_view(digits.data(), digits.size()));
  }
  // As "{:.0f}" writes it.
  void append_whole(double number) {
    const bool is_exact = number >= 0 && number < 1e15 && number == std::floor(number);
    is_exact ? append(static_cast<std::uint64_t>(number)) : raw("{:.0f}", number);
  }
  void end_item() {
    append("];\n");
    if (buffer_.size() > block_bytes) flush();
  }
  void flush() {
    out_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    buffer_.clear();
  }

  void quoted(std::string_view name, std::string_view text, StringKind kind) {
    buffer_.push_back(' ');
    append(name);
    append("=\"");
    text_cut_ |= append_escaped(buffer_, text, kind);
    buffer_.push_back('"');
  }
  void color(std::string_view name, std::string_view value) {
    append(" ");
    append(name);
    append("=\"");
    append(value);
    append("\"");
  }
  void indent() {
    for (std::size_t i = 0; i <= depth_; ++i) append("  ");
  }

  std::string caption() const {
    const Totals& totals = canvas_.groups[0].totals;
    std::string text = options_.title.empty() ? "" : options_.title + " | ";
    text += counted(static_cast<std::int64_t>(totals.ops), "op") + " | " +
            counted(totals.parameters, "parameter");
    if (totals.flops > 0) text += " | " + quantity(totals.flops, "FLOP");
    if (canvas_.hidden > 0) {
      text +=
          fmt::format(" | {} of {} nodes inside boxes", grouped(static_cast<std::int64_t>(canvas_.hidden)),
                      grouped(static_cast<std::int64_t>(canvas_.visible + canvas_.hidden)));
    }
    return text;
  }

  void head() {
    raw("digraph weft {{\n  graph [rankdir=TB newrank=true splines={}", style_.splines);
    if (style_.effort == Effort::limited) append(" nslimit=4");
    if (style_.effort == Effort::least) append(" nslimit=2 mclimit=.22 remincross=false searchsize=20");
    raw(" nodesep=0.30 ranksep=0.34 bgcolor=\"{}\" fontname=\"monospace\" fontsize=11 fontcolor=\"{}\""
        " labelloc=t\n        ",
        theme_.background, theme_.text);
    std::string label = shortened(caption(), max_caption_columns, text_cut_);
    for (const std::string& line : {overlay_.caption(), std::string(style_.note)}) {
      if (!line.empty()) label += "\n" + shortened(line, max_caption_columns, text_cut_);
    }
    quoted("tooltip", options_.title.empty() ? "graph" : options_.title, StringKind::label);
    quoted("label", label, StringKind::label);
    raw(" weft_schema=\"weft.dot/1\" weft_structure=\"{}\"];\n", to_string(structure(s_)));
    raw("  node [shape=box style=\"filled,rounded\" fontname=\"monospace\" fontsize=10 margin=\"0.10,0.05\" "
        "color=\"{}\" fillcolor=\"{}\" fontcolor=\"{}\"];\n  edge [color=\"{}\" arrowsize=0.7];\n",
        theme_.line, theme_.plain, theme_.text, theme_.edge);
  }

  // ---- clusters

  std::uint32_t depth_of(std::uint32_t g) const {
    std::uint32_t depth = 0;
    for (; g != 0; g = canvas_.groups[g].parent) ++depth;
    return depth;
  }
  std::uint32_t common(std::uint32_t a, std::uint32_t b) const {
    std::uint32_t depth_a = depth_of(a), depth_b = depth_of(b);
    while (a != b) {
      if (depth_a >= depth_b) {
        a = canvas_.groups[a].parent;
        --depth_a;
      } else {
        b = canvas_.groups[b].parent;
        --depth_b;
      }
    }
    return a;
  }

  void open_clusters(std::uint32_t& open, std::uint32_t g) {
    std::vector<std::uint32_t> path;
    for (std::uint32_t outer = g; outer != open; outer = canvas_.groups[outer].parent) path.push_back(outer);
    for (; !path.empty(); path.pop_back()) open_cluster(path.back());
    open = g;
  }

  void open_cluster(std::uint32_t g) {
    const Group& group = canvas_.groups[g];
    indent();
    raw("subgraph cluster_s{} {{\n", g);
    ++depth_;
    indent();
    raw("graph [id=\"s{}\" class=\"scope\"", g);
    quoted("label", shortened(group.name, max_label_columns, text_cut_), StringKind::label);
    const bool is_gradient = group.path == "gradient" || group.path.starts_with("gradient/");
    raw(" labeljust=l style=\"rounded{}\" color=\"{}\"", is_gradient ? ",dashed" : "", theme_.scope_line);
    quoted("tooltip", totals_text(group.totals), StringKind::label);
    quoted("weft_scope", group.path, StringKind::value);
    append("];\n");
  }

  void close_down_to(std::uint32_t& open, std::uint32_t g) {
    for (; open != g; open = canvas_.groups[open].parent) {
      --depth_;
      indent();
      append("}\n");
    }
  }

  // ---- boxes

  void name_of_box(const Box& box) {
    constexpr std::array<char, 5> prefixes = {'n', 'b', 'a', 's', 'x'};
    buffer_.push_back(prefixes[static_cast<std::size_t>(box.kind)]);
    append(box.kind == BoxKind::outside ? canvas_.first_use[box.id] : box.id);
  }

  void box(const Box& box) {
    indent();
    name_of_box(box);
    append(" [id=\"");
    name_of_box(box);
    buffer_.push_back('"');
    switch (box.kind) {
      case BoxKind::node:
      case BoxKind::rule:
        return node(box);
      case BoxKind::sum:
        raw(" class=\"sum\" shape=circle style=filled color=\"{}\" width=0.30 fixedsize=true label=\"+\" "
            "tooltip=\"gradients that meet\"",
            theme_.gradient);
        return end_item();
      case BoxKind::group:
        return group(box);
      case BoxKind::outside:
        raw(" class=\"outside\" shape=plaintext style=\"\"");
        finish_box(fmt::format("from elsewhere\n{}", types_[s_.type_of[box.id]]));
        quoted("tooltip", headline(s_, box.id), StringKind::label);
        return end_item();
    }
  }

  Look source_look(NodeKind kind) const {
    if (kind == NodeKind::input) return {"input", "invhouse", theme_.input};
    if (kind == NodeKind::parameter) return {"parameter", "cylinder", theme_.parameter};
    return {"constant", "note", theme_.plain};
  }

  // Attributes of the look; those of a plain op are the default.
  void write_look(const Box& box, const Mark& mark) {
    const NodeId n = box.id;
    const bool unused = outline_.is_unused(n) && box.kind == BoxKind::node && s_.rule_of(n) == no_node;
    std::string_view fill = theme_.plain, line;
    std::string style;
    append(" class=\"");
    if (box.kind == BoxKind::rule) {
      append("rule");
      line = theme_.gradient;
    } else if (!s_.is_op(n)) {
      const Look look = source_look(s_.kind(n));
      append(look.name);
      fill = look.fill;
      style = unused ? "filled,dotted" : "filled";
    } else {
      const OpGroup group = s_.op(n).group;
      append("op ");
      append(diagram::name_of(group));
      if (group == OpGroup::contraction) fill = theme_.contraction;
      if (unused || group == OpGroup::view)
        style = unused ? "filled,rounded,dotted" : "filled,rounded,dashed";
    }
    if (unused) append(" unused");
    buffer_.push_back('"');
    if (outline_.is_on_spine[n]) append(" group=spine");
    const bool is_root = n == outline_.root && box.kind == BoxKind::node;
    if (is_root) {
      fill = theme_.root;
      style = "filled";
    }
    if (is_changed(n)) {
      const bool is_removed = view_.changes[n].sign == '-';
      style = is_removed                     ? "filled,rounded,dotted"
              : view_.changes[n].sign == '+' ? "filled,rounded,bold"
                                             : style;
      if (!is_removed) line = theme_.gradient;
    }
    if (mark.alarm) {
      // Graphviz 2.42 draws diagonals of a cylinder or a note at NaN.
      if (s_.is_op(n)) style = style.empty() ? "filled,rounded,diagonals" : style + ",diagonals";
      line = theme_.alarm;
    }
    if (!s_.is_op(n)) {
      append(" shape=");
      append(source_look(s_.kind(n)).shape);
    }
    if (n == s_.failed_rule) append(" shape=octagon");
    if (!style.empty()) color("style", style);
    if (!mark.fill.empty()) fill = mark.fill;
    if (fill != theme_.plain) color("fillcolor", fill);
    if (!mark.fill.empty()) color("fontcolor", text_on(mark.fill));
    if (!line.empty()) color("color", line);
    if (mark.alarm) append(" penwidth=2");
    if (is_root) append(" peripheries=2");
  }

  void finish_box(std::string_view label, std::size_t margin = 0) {
    // The viewer writes measurements of up to 26 columns.
    const std::uint64_t width =
        width_of(std::max<std::size_t>(columns(label) + margin, style_.spare_line ? 26 : 0));
    append(" width=");
    append(width / 100);
    append(width % 100 < 10 ? ".0" : ".");
    append(width % 100);
    quoted("label", label, StringKind::label);
  }

  bool is_changed(NodeId n) const { return !view_.changes.empty() && view_.changes[n].sign != ' '; }

  std::string label_of(const Box& box, const Mark& mark) {
    const NodeId n = box.id;
    std::string label;
    if (is_changed(n)) label.append({view_.changes[n].sign, ' '});
    if (box.kind == BoxKind::rule)
      label.append("gradient of ").append(s_.text(s_.op(n).name));
    else
      label.append(headline(s_, n));
    if (box.kind == BoxKind::node && outline_.is_unused(n) && s_.rule_of(n) == no_node) label += " (unused)";
    label = shortened(label, max_label_columns, text_cut_);
    const bool is_value = s_.kind(n) == NodeKind::constant && s_.labels[n] != 0;
    const bool is_failed_call = n == s_.failed_rule && !s_.failed_op.empty();  // it has no output
    if (!is_value && !is_failed_call) label.append("\n").append(types_[s_.type_of[n]]);
    if (!canvas_.is_whole && box.kind == BoxKind::node) label += scalars_of(n);
    if (view_.calls && !view_.rules && view_.calls->active[n] && s_.is_op(n)) label += gradient_line(n);
    if (is_changed(n) && !view_.changes[n].what.empty())
      label += "\n" + shortened(view_.changes[n].what, max_label_columns, text_cut_);
    if (!mark.text.empty()) label += "\n" + shortened(mark.text, max_label_columns, text_cut_);
    if (style_.spare_line && mark.text.empty()) label += "\n\u00A0";
    return label;
  }

  // Numbers that have no box.
  std::string scalars_of(NodeId n) const {
    std::string text;
    for (EdgeId e = s_.first_edge(n); e < s_.first_edge(n + 1); ++e.index) {
      const NodeId input = s_.edge_target(e);
      if (canvas_.inlined[input]) text += fmt::format("\n{} = {}", s_.argument(e), headline(s_, input));
    }
    return text;
  }

  std::string gradient_line(NodeId n) const {
    std::string to;
    for (EdgeId e = s_.first_edge(n); e < s_.first_edge(n + 1); ++e.index) {
      if (view_.calls->wanted[e.index]) to += fmt::format("{}{}", to.empty() ? "" : ", ", s_.argument(e));
    }
    return "\ngradient to " + to;
  }

  // Nodes in a row mostly have one file.
  void add_source(NodeId n) {
    if (s_.files[n] == 0) return;
    if (s_.files[n] != last_file_) file_text_ = source_file(s_.text(last_file_ = s_.files[n]), source_root_);
    if (!tooltip_.empty()) tooltip_ += ", ";
    const fmt::format_int line(s_.lines[n]);
    tooltip_.append(file_text_).append(":").append(line.data(), line.size());
  }

  void node(const Box& box) {
    const NodeId n = box.id;
    Mark mark = overlay_.mark(box);
    if (n == s_.failed_rule) mark = {"failed: " + s_.error, "failed", {}, true};
    write_look(box, mark);
    finish_box(label_of(box, mark), mark.alarm ? 4 : 0);  // diagonals cut the corners
    const bool is_op = s_.is_op(n);
    tooltip_.assign(is_op ? s_.text(s_.attributes[n]) : std::string(s_.name(n)));
    add_source(n);
    quoted("tooltip", tooltip_, StringKind::label);
    if (is_op) quoted("weft_op", s_.text(s_.op(n).name), StringKind::value);
    if (s_.attributes[n] != 0) quoted("weft_attr", s_.text(s_.attributes[n]), StringKind::value);
    if (s_.names[n] != 0) quoted("weft_name", s_.name(n), StringKind::value);
    quoted("weft_type", types_[s_.type_of[n]], StringKind::value);
    if (is_op && box.kind == BoxKind::node) {
      append(" weft_flops=");
      append_whole(s_.flops[n]);
    }
    if (outline_.frame_of[n] != s_.scope_of(n)) raw(" weft_recorded_in=s{}", s_.scope_of(n));
    if (!mark.value.empty()) quoted(fmt::format("weft_{}", overlay_.name()), mark.value, StringKind::value);
    end_item();
  }

  void group(const Box& box) {
    const Group& group = canvas_.groups[box.id];
    const Mark mark = overlay_.mark(box);
    const std::string repeats = repeat_text(group);
    const std::string name = canvas_.is_whole || group.name.empty() ? group.path : group.name;
    std::string label =
        shortened(repeats.empty() ? name : name + "  " + repeats, max_label_columns, text_cut_);
    label += (view_.rules ? "\ngradient of " : "\n") + totals_text(group.totals);
    const NodeId last = group.last;
    if (group.first != no_node && last < s_.node_count()) label += "\n" + types_[s_.type_of[last]];
    if (!mark.text.empty()) label += "\n" + mark.text;
    if (style_.spare_line && mark.text.empty()) label += "\n\u00A0";
    append(" class=\"folded\" shape=box3d");
    color("style", "filled");
    if (!mark.fill.empty()) {
      color("fillcolor", mark.fill);
      color("fontcolor", text_on(mark.fill));
    }
    if (mark.alarm || view_.rules) color("color", mark.alarm ? theme_.alarm : theme_.gradient);
    finish_box(label);
    quoted("tooltip", group.path + (repeats.empty() ? "" : ", ") + repeats, StringKind::label);
    quoted("weft_scope", group.path, StringKind::value);
    raw(" weft_nodes={} weft_flops={:.0f}", group.totals.nodes, group.totals.flops);
    if (!mark.value.empty()) quoted(fmt::format("weft_{}", overlay_.name()), mark.value, StringKind::value);
    end_item();
  }

  // ---- edges

  void edge_start(const CanvasEdge& e, char prefix) {
    append("  ");
    name_of_box(canvas_.boxes[e.from]);
    append(" -> ");
    name_of_box(canvas_.boxes[e.to]);
    append(" [id=\"");
    buffer_.push_back(prefix);
    append(e.edge);
    buffer_.push_back('"');
  }

  void data_edge(const CanvasEdge& e) {
    const EdgeId edge{e.edge};
    const NodeId input = s_.edge_target(edge), consumer = s_.edge_source(edge);
    const bool is_parameter = s_.kind(input) == NodeKind::parameter && e.count == 1;
    const bool is_bad = overlay_.is_bad(input), is_critical = overlay_.is_critical(e.edge);
    edge_start(e, 'e');
    append(is_parameter ? " class=\"parameter\"" : " class=\"data\"");
    if (is_bad)
      color("color", theme_.alarm);
    else if (is_parameter)
      color("color", theme_.parameter_edge);
    if (is_parameter) append(" minlen=0");
    if (is_bad || is_critical) append(" penwidth=3");
    if (!is_floating(s_.type(input).dtype)) append(" style=dashed");
    const bool is_main = s_.edge_slot(edge) == 0 && !outline_.is_unused(consumer);
    if (!is_parameter && is_main) append(" weight=10");
    tooltip_.assign(s_.argument(edge));
    tooltip_ += ": ";
    tooltip_ += types_[s_.type_of[input]];
    quoted("tooltip", tooltip_, StringKind::label);
    if (e.count > 1)
      raw(" weft_edges={}", e.count);
    else {
      append(" weft_slot=");
      append(static_cast<std::uint64_t>(s_.edge_slot(edge)));
    }
    end_item();
  }

  void gradient_edge(const CanvasEdge& e) {
    const bool of_record = e.edge < s_.edge_count();
    edge_start(e, 'g');
    append(" class=\"gradient\"");
    color("color", theme_.gradient);
    append(" style=dashed arrowhead=empty");
    if (!view_.rules) append(" constraint=false");
    if (of_record) {
      const EdgeId edge{e.edge};
      tooltip_ =
          fmt::format("gradient to {}: {}", s_.argument(edge), types_[s_.type_of[s_.edge_target(edge)]]);
      quoted("tooltip", tooltip_, StringKind::label);
      if (e.count == 1) raw(" weft_slot={}", s_.edge_slot(edge));
    }
    if (e.count > 1) raw(" weft_edges={}", e.count);
    end_item();
  }

  static constexpr std::size_t max_caption_columns = 160;

  const Snapshot& s_;
  const Outline& outline_;
  const View& view_;
  const Canvas& canvas_;
  std::ostream& out_;
  const DiagramOptions& options_;
  const DotStyle& style_;
  const Theme& theme_;
  const Overlay overlay_;
  const std::string source_root_;
  std::vector<std::string> types_;
  fmt::memory_buffer buffer_;
  std::string tooltip_;
  std::string file_text_;  // of last_file_
  StringId last_file_ = 0;
  std::size_t depth_ = 0;  // of the open cluster
  bool text_cut_ = false;
};

}  // namespace

bool write_dot(const Snapshot& s, const Outline& outline, const View& view, const Canvas& canvas,
               std::ostream& out, const DiagramOptions& options, const DotStyle& style) {
  return DotWriter(s, outline, view, canvas, out, options, style).write();
}

}  // namespace weft::diagram
