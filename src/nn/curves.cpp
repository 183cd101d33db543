// The picture of a history: two plots side by side, with axes, ticks and a legend.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "nn/files.hpp"
#include "weft/train.hpp"

namespace weft {

namespace {

constexpr double plot_width = 380, plot_height = 250;    // inside the axes
constexpr double left_margin = 70, top_margin = 52;      // around a plot
constexpr double panel_width = 490, panel_height = 360;  // a plot with its margins

struct Curve {
  std::string_view label, color;
  double EpochResult::*value;
};

// A range that begins and ends at a tick.
struct Axis {
  double low, high, step;
  std::vector<double> ticks() const {
    std::vector<double> ticks;
    const auto count = static_cast<int>(std::lround((high - low) / step));
    for (int i = 0; i <= count; ++i) ticks.push_back(low + step * i);
    return ticks;
  }
};

// The smallest of 1, 2, 5 times a power of ten that is at least `size`.
double round_up(double size) {
  const double power = std::pow(10, std::floor(std::log10(size)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= size * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

Axis axis_around(double low, double high, int steps) {
  if (!(high > low)) high = low + 1;
  const double step = round_up((high - low) / steps);
  return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
}

// Finite values of all curves; {0, 1} where there are none.
std::pair<double, double> range_of(const History& history, const std::vector<Curve>& curves) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const EpochResult& epoch : history) {
    for (const Curve& curve : curves) {
      const double value = epoch.*curve.value;
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  return low <= high ? std::pair{low, high} : std::pair{0.0, 1.0};
}

std::string number(double value, double step) {
  const int digits = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 9);
  return fmt::format("{:.{}f}", value == 0 ? 0.0 : value, digits);
}

class Plot {
 public:
  Plot(double left, const History& history, Axis x, Axis y) : left_(left), history_(history), x_(x), y_(y) {}

  std::string svg(std::string_view title, const std::vector<Curve>& curves) {
    out_ += fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>\n", left_, top_margin - 22, title);
    draw_axes();
    for (const Curve& curve : curves) draw_curve(curve);
    draw_legend(curves);
    return std::move(out_);
  }

 private:
  double x_of(double epoch) const { return left_ + (epoch - x_.low) / (x_.high - x_.low) * plot_width; }
  double y_of(double value) const {
    return top_margin + (1 - (value - y_.low) / (y_.high - y_.low)) * plot_height;
  }

  void draw_axes() {
    const double bottom = top_margin + plot_height, right = left_ + plot_width;
    for (const double tick : y_.ticks()) {
      const double y = y_of(tick);
      out_ += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n", left_,
                          right, y, y);
      out_ += fmt::format("<text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{:.1f}\">{}</text>\n",
                          left_ - 8, y + 4, number(tick, y_.step));
    }
    for (const double tick : x_.ticks()) {
      const double x = x_of(tick);
      out_ += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\"/>\n", x, x,
                          bottom, bottom + 5);
      out_ += fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{}\">{}</text>\n", x,
                          bottom + 20, number(tick, x_.step));
    }
    out_ += fmt::format("<path class=\"axis\" d=\"M{} {}V{}H{}\"/>\n", left_, top_margin, bottom, right);
    out_ += fmt::format("<text class=\"label\" text-anchor=\"middle\" x=\"{}\" y=\"{}\">epoch</text>\n",
                        left_ + plot_width / 2, bottom + 42);
  }

  // A value that is not finite interrupts the line; one that stands alone is a dot.
  void draw_curve(const Curve& curve) {
    std::vector<std::pair<double, double>> points;
    const auto flush = [&] {
      if (points.size() == 1) {
        out_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", points[0].first,
                            points[0].second, curve.color);
      } else if (!points.empty()) {
        out_ += fmt::format("<polyline class=\"curve\" stroke=\"{}\" points=\"", curve.color);
        for (const auto& [x, y] : points) out_ += fmt::format("{:.1f},{:.1f} ", x, y);
        out_.back() = '"';
        out_ += "/>\n";
      }
      points.clear();
    };
    for (const EpochResult& epoch : history_) {
      const double value = epoch.*curve.value;
      if (std::isfinite(value)) {
        points.emplace_back(x_of(static_cast<double>(epoch.epoch)), y_of(value));
      } else {
        flush();
      }
    }
    flush();
  }

  // Above the plot, at its right end: a curve may pass anywhere inside.
  void draw_legend(const std::vector<Curve>& curves) {
    double x = left_ + plot_width;
    for (std::size_t i = curves.size(); i-- > 0;) {
      const Curve& curve = curves[i];
      x -= 7.0 * static_cast<double>(curve.label.size());
      const double y = top_margin - 22;
      out_ += fmt::format("<text class=\"legend\" x=\"{}\" y=\"{}\">{}</text>\n", x, y, curve.label);
      out_ += fmt::format("<line class=\"curve\" stroke=\"{}\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>\n",
                          curve.color, x - 26, x - 6, y - 4, y - 4);
      x -= 44;
    }
  }

  double left_;
  const History& history_;
  Axis x_, y_;
  std::string out_;
};

constexpr std::string_view style =
    "<style>\n"
    "text { font-family: Helvetica, Arial, sans-serif; fill: #333 }\n"
    ".title { font-size: 16px; font-weight: bold }\n"
    ".label, .legend { font-size: 13px }\n"
    ".tick { font-size: 12px; fill: #555 }\n"
    ".grid { stroke: #e4e4e4 }\n"
    ".axis { stroke: #555; fill: none }\n"
    ".curve { fill: none; stroke-width: 2; stroke-linejoin: round }\n"
    "</style>\n";

}  // namespace

void write_svg(const History& history, const std::string& path) {
  const std::vector<Curve> losses{{"training", "#1f6fb4", &EpochResult::loss}};
  const std::vector<Curve> accuracies{{"training", "#1f6fb4", &EpochResult::train_accuracy},
                                      {"test", "#d9631e", &EpochResult::test_accuracy}};
  double first = 0, last = 1;
  if (!history.empty()) {
    first = static_cast<double>(history.front().epoch);
    last = static_cast<double>(history.back().epoch);
  }
  Axis epochs = axis_around(std::min(first, 0.0), std::max(last, first + 1), 5);
  epochs.step = std::max(epochs.step, 1.0);
  epochs.high = std::ceil(epochs.high / epochs.step) * epochs.step;
  const auto [loss_low, loss_high] = range_of(history, losses);
  const auto [accuracy_low, accuracy_high] = range_of(history, accuracies);
  Plot loss(left_margin, history, epochs, axis_around(std::min(loss_low, 0.0), loss_high, 5));
  Plot accuracy(left_margin + panel_width, history, epochs, axis_around(std::min(accuracy_low, 0.99), 1, 5));

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\">\n",
      2 * panel_width, panel_height);
  svg += style;
  svg += "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  svg += loss.svg("Loss", losses) + accuracy.svg("Accuracy", accuracies);
  write_text_file(path, svg + "</svg>\n");
}

}  // namespace weft
