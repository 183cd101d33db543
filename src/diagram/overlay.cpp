#include "diagram/overlay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "diagram/style.hpp"

namespace weft::diagram {

std::string quantity(double value, std::string_view unit) {
  constexpr std::array<std::string_view, 6> prefixes = {"", "k", "M", "G", "T", "P"};
  std::size_t power = 0;
  while (std::abs(value) >= 999.95 && power + 1 < prefixes.size()) {
    value /= 1000;
    ++power;
  }
  const bool whole = power == 0 && value == std::floor(value);
  return whole ? fmt::format("{:.0f} {}", value, unit)
               : fmt::format("{:.1f} {}{}", value, prefixes[power], unit);
}

std::string three_digits(double value) {
  const std::string text = fmt::format("{:.3g}", value);
  if (text.find('e') == std::string::npos) return text;
  const double size = std::abs(value);
  return size >= 1000 && size < 1e6 ? fmt::format("{:.0f}", value) : text;
}

namespace {

std::string milliseconds(double seconds) { return three_digits(1000 * seconds) + " ms"; }
template <class T>
T at(const std::vector<T>& column, NodeId n, T missing) {
  return n < column.size() ? column[n] : missing;
}

}  // namespace

MemoryPeak memory_peak(const Snapshot& s) {
  std::vector<NodeId> last_use(s.node_count());
  for (NodeId n = 0; n < s.node_count(); ++n) {
    last_use[n] = n;
    for (const NodeId input : s.inputs(n)) last_use[input] = n;
  }
  std::vector<std::vector<NodeId>> dies(s.node_count());
  for (NodeId n = 0; n < s.node_count(); ++n) {
    if (s.is_op(n)) dies[last_use[n]].push_back(n);
  }
  MemoryPeak peak;
  const auto look = [&](NodeId n, double live) {
    if (live > peak.bytes) peak = {n, live};
  };
  double kept = 0, passing = 0;
  for (NodeId n = 0; n < s.node_count(); ++n) {
    if (!s.is_op(n)) continue;
    passing += static_cast<double>(s.bytes(n));
    look(n, kept + passing);
    kept += static_cast<double>(s.kept_bytes[n]);
    for (const NodeId dead : dies[n]) passing -= static_cast<double>(s.bytes(dead));
  }
  if (s.root == no_node) return peak;
  const RuleCalls calls = rule_calls(s, {});
  std::vector<bool> has_gradient(s.node_count());
  has_gradient[calls.root] = true;
  double gradients = static_cast<double>(s.bytes(calls.root));
  for (NodeId n = calls.root + 1; n-- > 0;) {
    if (!calls.active[n] || !s.is_op(n)) continue;
    for (EdgeId e = s.first_edge(n); e < s.first_edge(n + 1); ++e.index) {
      const NodeId input = s.edge_target(e);
      if (!calls.wanted[e.index] || has_gradient[input]) continue;
      has_gradient[input] = true;
      gradients += static_cast<double>(s.bytes(input));
    }
    look(n, kept + gradients);
    kept -= static_cast<double>(s.kept_bytes[n]);
    gradients -= static_cast<double>(s.bytes(n));
  }
  return peak;
}

Overlay::Overlay(const Snapshot& s, const Canvas& canvas, DiagramOverlay kind)
    : s_(s), first_box_(canvas.boxes.data()), kind_(kind) {
  if (kind == DiagramOverlay::shape) return;
  sums_.resize(canvas.boxes.size());
  if (kind == DiagramOverlay::memory) {
    const MemoryPeak peak = memory_peak(s);
    peak_ = peak.node;
    peak_bytes_ = peak.bytes;
  }
  std::vector<double> norms;
  for (NodeId n = 0; n < s.node_count(); ++n) {
    if (canvas.box_of[n] != no_box) add(sums_[canvas.box_of[n]], n);
    add(total_, n);
    const double norm = at(s.measured.gradient_norm, n, std::numeric_limits<double>::quiet_NaN());
    if (std::isfinite(norm) && norm > 0) norms.push_back(norm);
  }
  if (!norms.empty()) {
    std::ranges::nth_element(norms, norms.begin() + static_cast<std::ptrdiff_t>(norms.size() / 2));
    median_norm_ = norms[norms.size() / 2];
  }
  for (const Sum& sum : sums_) {
    const double value = kind == DiagramOverlay::time     ? sum.forward + sum.backward
                         : kind == DiagramOverlay::memory ? sum.kept
                                                          : sum.flops;
    most_ = std::max(most_, value);
  }
  if (kind != DiagramOverlay::time || s.measured.forward.empty()) return;
  critical_.resize(s.edge_count());
  const CriticalPath path = critical_path(s);
  std::vector<NodeId> on_path(s.node_count(), no_node);  // what follows on the path
  for (std::size_t i = 0; i + 1 < path.forward.size(); ++i) on_path[path.forward[i]] = path.forward[i + 1];
  for (std::uint32_t e = 0; e < s.edge_count(); ++e)
    critical_[e] = on_path[s.edge_target({e})] == s.edge_source({e});
}

void Overlay::add(Sum& sum, NodeId n) const {
  const Measurements& m = s_.measured;
  sum.forward += at(m.forward, n, 0.0);
  sum.backward += at(m.backward, n, 0.0);
  sum.kept += static_cast<double>(s_.kept_bytes[n]);
  if (s_.is_op(n)) sum.bytes += static_cast<double>(s_.bytes(n));
  sum.flops += s_.flops[n];
  const double norm = at(m.gradient_norm, n, std::numeric_limits<double>::quiet_NaN());
  if (!std::isnan(norm)) {
    sum.least = sum.measured == 0 ? norm : std::min(sum.least, norm);
    sum.most = std::max(sum.most, norm);
    ++sum.measured;
  }
  sum.bad += at(m.bad_values, n, std::uint64_t{0});
  sum.bad_gradients += at(m.bad_gradients, n, std::uint64_t{0});
  sum.elements += static_cast<std::uint64_t>(s_.type(n).shape.elements());
  sum.origin |= m.origin == n;
  sum.peak |= peak_ == n;
  const std::uint8_t check = at(m.check, n, std::uint8_t{0});
  if (check == 0) return;
  ++sum.tested;
  sum.worst_error = std::max(sum.worst_error, at(m.check_error, n, 0.0));
  if (check > 1 && sum.failed == no_node) sum.failed = n;
}

Mark Overlay::mark(const Box& box) const {
  if (kind_ == DiagramOverlay::shape || box.kind == BoxKind::sum) return {};
  const auto index = static_cast<std::size_t>(&box - first_box_);
  const Sum& sum = sums_[index];
  switch (kind_) {
    case DiagramOverlay::time:
      return time_mark(sum);
    case DiagramOverlay::memory:
      return memory_mark(sum);
    case DiagramOverlay::flops:
      return flops_mark(sum);
    case DiagramOverlay::gradient:
      return gradient_mark(sum, box);
    case DiagramOverlay::nonfinite:
      return nonfinite_mark(sum);
    default:
      return gradcheck_mark(sum);
  }
}

Mark Overlay::time_mark(const Sum& sum) const {
  if (sum.forward + sum.backward <= 0) return {};
  const double part = share(sum.forward + sum.backward, total_.forward + total_.backward);
  std::string text = milliseconds(sum.forward);
  if (sum.backward > 0) text = fmt::format("{} + {}", text, milliseconds(sum.backward));
  return {fmt::format("{}, {}%", text, three_digits(100 * part)),
          fmt::format("forward={:.6g} backward={:.6g} share={:.4f}", sum.forward, sum.backward, part),
          heat_color(share(sum.forward + sum.backward, most_))};
}

Mark Overlay::memory_mark(const Sum& sum) const {
  if (sum.bytes <= 0) return {};
  std::string text = fmt::format("{}, kept {}", quantity(sum.bytes, "B"), quantity(sum.kept, "B"));
  if (sum.peak) text += ", peak";
  return {text, fmt::format("output={:.0f} kept={:.0f}", sum.bytes, sum.kept),
          heat_color(share(sum.kept, most_))};
}

Mark Overlay::flops_mark(const Sum& sum) const {
  if (sum.flops <= 0) return {};
  std::string text = quantity(sum.flops, "FLOP");
  if (sum.forward > 0) text += ", " + quantity(sum.flops / sum.forward, "FLOP/s");
  return {text, fmt::format("flops={:.0f}", sum.flops), heat_color(share(sum.flops, most_))};
}

Mark Overlay::gradient_mark(const Sum& sum, const Box& box) const {
  if (sum.measured == 0) {
    const bool is_parameter = box.kind == BoxKind::node && s_.kind(box.id) == NodeKind::parameter;
    return is_parameter ? Mark{"no gradient", "none"} : Mark{};
  }
  if (sum.most == 0) return {"gradient zero", "norm=0"};
  const double size =
      std::isfinite(sum.most) && median_norm_ > 0 ? std::log10(sum.most / median_norm_) / 3 : 1;
  Mark mark{fmt::format("|g| {}", three_digits(sum.most)), fmt::format("norm={:.6g}", sum.most),
            diverging_color(std::clamp(size, -1.0, 1.0)), !std::isfinite(sum.most)};
  if (box.kind == BoxKind::group) {
    mark.text = fmt::format("|g| {} to {}", three_digits(sum.least), three_digits(sum.most));
  } else {
    const double largest = at(s_.measured.gradient_max, box.id, 0.0);
    mark.text += fmt::format(", max {}", three_digits(largest));
    mark.value += fmt::format(" max={:.6g}", largest);
  }
  return mark;
}

Mark Overlay::nonfinite_mark(const Sum& sum) const {
  if (sum.bad + sum.bad_gradients == 0 && !sum.origin) return {};
  std::string text;
  if (sum.bad > 0) text = fmt::format("NaN {}/{}", sum.bad, sum.elements);
  if (sum.bad_gradients > 0)
    text += fmt::format("{}gradient NaN {}/{}", text.empty() ? "" : ", ", sum.bad_gradients, sum.elements);
  if (sum.origin)
    text = (s_.measured.origin_in_rule ? "ORIGIN in its rule" : "ORIGIN") + (text.empty() ? "" : " " + text);
  return {text,
          fmt::format("values={} gradients={}{}", sum.bad, sum.bad_gradients, sum.origin ? " origin" : ""),
          {},
          true};
}

Mark Overlay::gradcheck_mark(const Sum& sum) const {
  if (sum.tested == 0) return {sum.bytes > 0 ? "untested" : "", sum.bytes > 0 ? "untested" : ""};
  if (sum.failed == no_node)
    return {fmt::format("pass {}", three_digits(sum.worst_error)),
            fmt::format("pass error={:.6g}", sum.worst_error)};
  const StringId where = at(s_.measured.check_where, sum.failed, StringId{0});
  const double error = at(s_.measured.check_error, sum.failed, 0.0);
  const bool unresolved = s_.measured.check[sum.failed] == 3;
  return {fmt::format("{} {}{}{}", unresolved ? "UNRESOLVED" : "FAIL", three_digits(error),
                      where ? " at " : "", s_.text(where)),
          fmt::format("{} error={:.6g}", unresolved ? "unresolved" : "fail", error),
          {},
          true};
}

bool Overlay::is_bad(NodeId n) const {
  return kind_ == DiagramOverlay::nonfinite && at(s_.measured.bad_values, n, std::uint64_t{0}) > 0;
}

std::string_view Overlay::name() const {
  constexpr std::array<std::string_view, 7> names = {"shape",    "time",      "memory",   "flops",
                                                     "gradient", "nonfinite", "gradcheck"};
  return names[static_cast<std::size_t>(kind_)];
}

std::string Overlay::caption() const {
  switch (kind_) {
    case DiagramOverlay::time:
      if (s_.measured.forward.empty()) return "time: nothing was measured";
      return fmt::format(
          "time: forward {}, backward {}, other {} | dark: little, yellow: much | bold: critical path {}",
          milliseconds(total_.forward), milliseconds(total_.backward), milliseconds(s_.measured.other),
          milliseconds(critical_path(s_).seconds));
    case DiagramOverlay::memory:
      return fmt::format("memory: kept for backward {}, peak {} | dark: little, yellow: much kept",
                         quantity(total_.kept, "B"), quantity(peak_bytes_, "B"));
    case DiagramOverlay::flops:
      return fmt::format("work: {} forward | dark: little, yellow: much", quantity(total_.flops, "FLOP"));
    case DiagramOverlay::gradient:
      if (s_.measured.gradient_norm.empty()) return "gradients: nothing was measured";
      return fmt::format("gradient norms | blue: below, brown: above the median {}",
                         three_digits(median_norm_));
    case DiagramOverlay::nonfinite:
      if (s_.measured.bad_values.empty()) return "NaN and infinity: nothing was measured";
      return total_.bad + total_.bad_gradients == 0 ? "no NaN, no infinity" : "red: NaN or infinite elements";
    case DiagramOverlay::gradcheck:
      return s_.measured.check.empty() ? "gradient check: nothing was checked" : "gradient check | red: FAIL";
    default:
      return {};
  }
}

}  // namespace weft::diagram
