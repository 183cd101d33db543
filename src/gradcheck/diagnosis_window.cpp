// D2 for ops that slide a window over images: which wrong stride, padding, dilation or filter explains what
// was found.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "gradcheck/jacobian_error.hpp"
#include "kernels/window.hpp"

namespace weft::diagnosis {

namespace {

struct WindowFields {
  std::optional<Size2> window = {}, stride = {};
  Padding padding = valid;
  Size2 dilation = 1;
  std::int64_t groups = 1;
};
template <class V>
void fields(V& visit, WindowFields& o) {
  visit("window", o.window);
  visit("stride", o.stride);
  visit("padding", o.padding);
  visit("dilation", o.dilation);
  visit("groups", o.groups);
}

struct Model {
  Window window;
  std::int64_t groups = 1;
  bool has_filter = false;
};

// The windows of the op, where its first operand is the image and the second, if there is one, the filter.
std::optional<Model> model_of(const JacobianError& e) {
  const std::span<const Shape> shapes = e.wrong.shapes;
  if (!e.has_attribute("stride") || shapes[0].rank() != 4 || e.y_shape.rank() != 4) return std::nullopt;
  const auto options = options_of<WindowFields>(e.wrong.attributes);
  Model model{.window = {}, .groups = options.groups, .has_filter = false};
  WindowOptions geometry{.padding = options.padding, .dilation = options.dilation};
  if (shapes.size() > 1 && shapes[1].rank() == 4 && e.wrong.info.arguments[1].name == "w") {
    model.has_filter = true;
    geometry.taps = {shapes[1][0], shapes[1][1]};
    geometry.stride = options.stride.value_or(Size2(1));
  } else if (options.window) {
    geometry.taps = *options.window;
    geometry.stride = options.stride.value_or(*options.window);
  } else {
    return std::nullopt;
  }
  const Size2 extent{shapes[0][1], shapes[0][2]};
  if (!window_problem(extent, geometry).empty()) return std::nullopt;
  model.window = make_window(extent, geometry);
  if (model.window.h.positions != e.y_shape[1] || model.window.w.positions != e.y_shape[2])
    return std::nullopt;
  return model;
}

// One axis as a mistaken rule sees it.
struct Mistake {
  enum Kind : std::uint8_t {
    none,
    stride_ignored,
    relative,
    strides_exchanged,
    sides_exchanged,
    paddings_exchanged,
    padding_larger,
    padding_smaller,
    padding_ignored,
    dilation_ignored,
    dilations_exchanged
  };
  Kind kind;
  std::string text;
  WindowAxis axis;
};

WindowAxis changed(WindowAxis axis, std::int64_t stride, std::int64_t dilation, std::int64_t before) {
  axis.stride = stride;
  axis.dilation = dilation;
  axis.before = before;
  return axis;
}

std::vector<Mistake> mistakes(const WindowAxis& a, const WindowAxis& other, std::string_view name) {
  std::vector<Mistake> list{{Mistake::none, "", a}};
  const auto add = [&](Mistake::Kind kind, std::string text, std::int64_t stride, std::int64_t dilation,
                       std::int64_t before) {
    const bool differs = stride != a.stride || dilation != a.dilation || before != a.before;
    if (differs) list.push_back({kind, std::move(text), changed(a, stride, dilation, before)});
  };
  add(Mistake::stride_ignored,
      fmt::format("the input position is {0} + a - pad, not {0} * stride + a - pad: the stride is ignored",
                  name),
      1, a.dilation, a.before);
  add(Mistake::relative, "the position is relative to the window: its beginning is not added", 0, a.dilation,
      0);
  add(Mistake::strides_exchanged, "the two strides are exchanged", other.stride, a.dilation, a.before);
  add(Mistake::sides_exchanged, "the padding in front and the one behind are exchanged", a.stride, a.dilation,
      a.after);
  add(Mistake::paddings_exchanged, "the paddings of h and w are exchanged", a.stride, a.dilation,
      other.before);
  add(Mistake::padding_larger, "the padding is off by 1", a.stride, a.dilation, a.before + 1);
  add(Mistake::padding_smaller, "the padding is off by -1", a.stride, a.dilation, a.before - 1);
  add(Mistake::padding_ignored, "the padding is ignored", a.stride, a.dilation, 0);
  add(Mistake::dilation_ignored, "the dilation is ignored", a.stride, 1, a.before);
  add(Mistake::dilations_exchanged, "the two dilations are exchanged", a.stride, other.dilation, a.before);
  return list;
}

std::string joined(const Mistake& h, const Mistake& w) {
  if (w.kind == Mistake::none || h.kind == w.kind) return h.text;
  if (h.kind == Mistake::none) return w.text;
  return fmt::format("{}; along w {}", h.text, w.text);
}

// ---- values

enum class FilterMistake { none, reversed_h, reversed_w, reversed, first_group };
constexpr std::pair<FilterMistake, const char*> filter_mistakes[] = {
    {FilterMistake::none, ""},
    {FilterMistake::reversed, "the filter is flipped once too often or too seldom"},
    {FilterMistake::reversed_h, "the filter is reversed along kh"},
    {FilterMistake::reversed_w, "the filter is reversed along kw"},
    {FilterMistake::first_group, "the gradients of all groups go to group 0"},
};

// The Jacobian of a convolution holds the other operand's elements: of x those of w, of w those of x. They
// are read from the right one, and put where the mistake would.
class Convolved {
 public:
  Convolved(const JacobianError& e, const Model& model)
      : e_(e),
        model_(model),
        of_image_(e.wrong.argument == 0),
        image_(e.wrong.shapes[0]),
        filter_(e.wrong.shapes[1]) {
    const Shape& other = of_image_ ? filter_ : image_;
    values_.assign(static_cast<std::size_t>(other.elements()), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t row = 0; row < e.rows; ++row) {
      bool any = false;
      for (std::size_t k = row * e.columns; k < (row + 1) * e.columns; ++k) any |= e.has_expected(k);
      dead_.push_back(!any);
    }
    for (std::size_t k = 0; k < e.size(); ++k) {
      if (dead_[e_.columns == 0 ? 0 : k / e_.columns]) continue;
      const std::ptrdiff_t at = position(k, model.window.h, model.window.w, FilterMistake::none);
      if (at >= 0) values_[static_cast<std::size_t>(at)] = e.expected(k);
    }
  }

  bool explains(const WindowAxis& h, const WindowAxis& w, FilterMistake filter) const {
    std::size_t explained = 0, by_value = 0;
    for (std::size_t k = 0; k < e_.size(); ++k) {
      double predicted = 0;
      if (!dead_[k / e_.columns]) {
        const std::ptrdiff_t at = position(k, h, w, filter);
        if (at >= 0) predicted = values_[static_cast<std::size_t>(at)];
      }
      if (std::isnan(predicted)) continue;  // no right entry holds it
      if (!e_.is_found(predicted, k)) return false;
      explained += e_.is_wrong(k);
      by_value += e_.is_wrong(k) && predicted != 0;
    }
    return 2 * explained > e_.wrong_entries || by_value > 3;
  }

 private:
  // Where the other operand's element of entry k stands; -1: the entry is 0.
  std::ptrdiff_t position(std::size_t k, const WindowAxis& h, const WindowAxis& w,
                          FilterMistake filter) const {
    const auto y = [&](int axis) { return e_.y_axis(axis).index(k); };
    const auto x = [&](int axis) { return e_.x_axis(axis).index(k); };
    const std::int64_t group = y(3) / (filter_[3] / model_.groups), in = filter_[2];
    if (!of_image_) {
      const std::int64_t row = h.source(y(1), x(0)), column = w.source(y(2), x(1));
      if (x(3) != y(3) || !h.holds(row) || !w.holds(column)) return -1;
      return ((y(0) * image_[1] + row) * image_[2] + column) * image_[3] + group * in + x(2);
    }
    std::int64_t a = tap(h, y(1), x(1)), b = tap(w, y(2), x(2));
    const std::int64_t channel = x(3) - (filter == FilterMistake::first_group ? 0 : group * in);
    if (x(0) != y(0) || a < 0 || b < 0 || channel < 0 || channel >= in) return -1;
    if (filter == FilterMistake::reversed || filter == FilterMistake::reversed_h) a = h.taps - 1 - a;
    if (filter == FilterMistake::reversed || filter == FilterMistake::reversed_w) b = w.taps - 1 - b;
    return ((a * filter_[1] + b) * in + channel) * filter_[3] + y(3);
  }

  static std::int64_t tap(const WindowAxis& axis, std::int64_t position, std::int64_t source) {
    const std::int64_t distance = source - axis.source(position, 0);
    if (distance < 0 || distance % axis.dilation != 0 || distance / axis.dilation >= axis.taps) return -1;
    return distance / axis.dilation;
  }

  const JacobianError& e_;
  const Model& model_;
  bool of_image_;
  Shape image_, filter_;
  std::vector<double> values_;
  std::vector<bool> dead_;  // rows that are 0, as behind a relu
};

std::string find_by_value(const JacobianError& e, const Model& model) {
  const Convolved convolved(e, model);
  for (const auto& [filter, text] : filter_mistakes) {
    if (convolved.explains(model.window.h, model.window.w, filter)) return text;
  }
  // The same mistake along both axes is likelier than two different ones.
  for (const bool is_same : {true, false}) {
    for (const Mistake& h : mistakes(model.window.h, model.window.w, "h")) {
      for (const Mistake& w : mistakes(model.window.w, model.window.h, "w")) {
        const bool same = h.kind == w.kind || h.kind == Mistake::none || w.kind == Mistake::none;
        if (same == is_same && convolved.explains(h.axis, w.axis, FilterMistake::none)) return joined(h, w);
      }
    }
  }
  return {};
}

// ---- support

// [position, source]: whether a position of the window reaches a row (or a column) of the image.
class Reach {
 public:
  explicit Reach(const WindowAxis& axis) : extent_(axis.extent), cells_(cells(axis)) {
    for (std::int64_t position = 0; position < axis.positions; ++position) {
      for (std::int64_t tap = 0; tap < axis.taps; ++tap) {
        const std::int64_t source = axis.source(position, tap);
        if (axis.holds(source)) mark(position, source);
      }
    }
  }
  Reach(const JacobianError& e, const WindowAxis& axis, int image_axis)
      : extent_(axis.extent), cells_(cells(axis)) {
    for (std::size_t k = 0; k < e.size(); ++k) {
      if (e.has_found(k)) mark(e.y_axis(image_axis).index(k), e.x_axis(image_axis).index(k));
    }
  }
  bool operator==(const Reach& other) const { return cells_ == other.cells_; }
  bool is_within(const Reach& other) const {
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (cells_[i] && !other.cells_[i]) return false;
    }
    return true;
  }

 private:
  static std::vector<bool> cells(const WindowAxis& axis) {
    return std::vector<bool>(static_cast<std::size_t>(axis.positions * axis.extent));
  }
  void mark(std::int64_t position, std::int64_t source) {
    cells_[static_cast<std::size_t>(position * extent_ + source)] = true;
  }
  std::int64_t extent_;
  std::vector<bool> cells_;
};

// The mistake along one axis that what was found could come from: exactly, else (a maximum reaches only some
// elements of its window) as a part.
std::optional<Mistake> find_by_reach(const JacobianError& e, const WindowAxis& a, const WindowAxis& other,
                                     int axis, bool exactly) {
  const Reach found(e, a, axis);
  const std::vector<Mistake> list = mistakes(a, other, axis == 1 ? "h" : "w");
  for (const Mistake& mistake : list) {
    if (found == Reach(mistake.axis)) return mistake;
  }
  for (const Mistake& mistake : list) {
    if (!exactly && found.is_within(Reach(mistake.axis))) return mistake;
  }
  return std::nullopt;
}

// A maximum whose index within the window is read as one within the image: (a, b) is found at a * kw + b.
bool is_flat_index_misread(const JacobianError& e, const Window& window) {
  std::size_t moved = 0;
  for (std::size_t row = 0; row < e.rows; ++row) {
    std::vector<std::size_t> found, expected;
    for (std::size_t k = row * e.columns; k < (row + 1) * e.columns; ++k) {
      if (e.has_found(k)) found.push_back(k);
      if (e.has_expected(k)) expected.push_back(k);
    }
    if (found.size() > 1 || expected.size() != 1) return false;
    if (found.empty()) continue;  // outside the image
    const std::size_t to = found[0], from = expected[0];
    const std::int64_t a = e.x_axis(1).index(from) - window.h.source(e.y_axis(1).index(from), 0),
                       b = e.x_axis(2).index(from) - window.w.source(e.y_axis(2).index(from), 0);
    if (e.x_axis(1).index(to) * window.w.extent + e.x_axis(2).index(to) != a * window.w.taps + b)
      return false;
    moved += to != from;
  }
  return moved > 0;
}

}  // namespace

std::string find_window(const JacobianError& e) {
  const std::optional<Model> model = model_of(e);
  return model && model->has_filter && e.wrong.argument <= 1 ? find_by_value(e, *model) : "";
}

std::string find_window_support(const JacobianError& e) {
  const std::optional<Model> model = model_of(e);
  if (!model || e.wrong.argument != 0 || e.missing_entries + e.spurious_entries == 0) return {};
  if (!model->has_filter && is_flat_index_misread(e, model->window))
    return "the index within the window is read as one within the image";
  const auto h = find_by_reach(e, model->window.h, model->window.w, 1, model->has_filter);
  const auto w = find_by_reach(e, model->window.w, model->window.h, 2, model->has_filter);
  return h && w ? joined(*h, *w) : "";
}

}  // namespace weft::diagnosis
