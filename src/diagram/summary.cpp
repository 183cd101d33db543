#include <fmt/format.h>

#include <ostream>

#include "diagram/escape.hpp"
#include "diagram/fold.hpp"
#include "diagram/overlay.hpp"
#include "diagram/text_parts.hpp"

namespace weft {

namespace {

using diagram::Group;

class TextWriter {
 public:
  TextWriter(const Snapshot& s, std::ostream& out) : s_(s), out_(out), groups_(tree(s)) {}

  void write(const std::string& title) {
    line(0, title.empty() ? "graph" : title, totals(groups_[0]));
    struct Place {
      std::uint32_t group;
      std::size_t next, depth;
    };
    std::vector<Place> open{{0, 0, 1}};
    while (!open.empty()) {
      Place& place = open.back();
      if (place.next == groups_[place.group].items.size()) {
        open.pop_back();
        continue;
      }
      const Group::Item& item = groups_[place.group].items[place.next++];
      if (!item.is_group) {
        node(place.depth, item.id);
        continue;
      }
      line(place.depth, groups_[item.id].name, totals(groups_[item.id]));
      open.push_back({item.id, 0, place.depth + 1});
    }
    flush();
  }

 private:
  static std::vector<Group> tree(const Snapshot& s) {
    return diagram::group_tree(s, diagram::Outline(s), {.shown = std::vector<bool>(s.node_count(), true)});
  }

  std::string totals(const Group& group) const {
    std::string text = diagram::totals_text(group.totals);
    if (group.first != no_node) text += "   " + to_string(s_.type(group.last));
    return text;
  }

  void node(std::size_t depth, NodeId n) {
    std::string about = to_string(s_.type(n));
    if (s_.flops[n] > 0) about += "   " + diagram::quantity(s_.flops[n], "FLOP");
    std::string inputs;
    for (const NodeId input : s_.inputs(n))
      inputs += fmt::format("{}n{}", inputs.empty() ? " (" : ", ", input);
    line(depth, fmt::format("n{} {}{}{}", n, diagram::headline(s_, n), inputs, inputs.empty() ? "" : ")"),
         about);
  }

  void line(std::size_t depth, const std::string& name, const std::string& about) {
    bool cut = false;
    std::string shown = diagram::shortened(name, 200, cut);
    for (char& c : shown) c = c == '\n' ? ' ' : c;
    fmt::format_to(fmt::appender(buffer_), "{:{}}{}   {}\n", "", 2 * std::min<std::size_t>(depth, 40), shown,
                   about);
    if (buffer_.size() > 64 * 1024) flush();
  }

  void flush() {
    out_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    buffer_.clear();
  }

  const Snapshot& s_;
  std::ostream& out_;
  std::vector<Group> groups_;
  fmt::memory_buffer buffer_;
};

}  // namespace

void write_text(const Snapshot& s, std::ostream& out, const DiagramOptions& options) {
  TextWriter(s, out).write(options.title);
}

}  // namespace weft
