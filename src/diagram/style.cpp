#include "diagram/style.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace weft::diagram {

namespace {

constexpr Theme light = {.background = "#FFFFFF",
                         .text = "#111111",
                         .line = "#444444",
                         .edge = "#555555",
                         .parameter_edge = "#9A6B00",
                         .scope_line = "#767676",
                         .gradient = "#1F5FBF",
                         .alarm = "#C00000",
                         .input = "#D6ECFA",
                         .parameter = "#FFF1CC",
                         .contraction = "#CFE8DC",
                         .root = "#F6D5C4",
                         .plain = "#FFFFFF"};
constexpr Theme dark = {.background = "#1B1E23",
                        .text = "#F0F0F0",
                        .line = "#A8B0BA",
                        .edge = "#A8B0BA",
                        .parameter_edge = "#E0B040",
                        .scope_line = "#8A929C",
                        .gradient = "#7FB2FF",
                        .alarm = "#FF7070",
                        .input = "#173A52",
                        .parameter = "#4A3B10",
                        .contraction = "#1D4433",
                        .root = "#59311E",
                        .plain = "#262A31"};
constexpr Theme print = {.background = "#FFFFFF",
                         .text = "#000000",
                         .line = "#000000",
                         .edge = "#000000",
                         .parameter_edge = "#000000",
                         .scope_line = "#000000",
                         .gradient = "#000000",
                         .alarm = "#000000",
                         .input = "#FFFFFF",
                         .parameter = "#FFFFFF",
                         .contraction = "#E8E8E8",
                         .root = "#E8E8E8",
                         .plain = "#FFFFFF"};

using Rgb = std::array<double, 3>;

std::string interpolated(std::span<const Rgb> anchors, double share) {
  const double at = std::clamp(share, 0.0, 1.0) * static_cast<double>(anchors.size() - 1);
  const auto low = std::min(static_cast<std::size_t>(at), anchors.size() - 2);
  const double part = at - static_cast<double>(low);
  std::array<int, 3> rgb{};
  for (std::size_t i = 0; i < 3; ++i)
    rgb[i] = static_cast<int>(std::lround(anchors[low][i] + part * (anchors[low + 1][i] - anchors[low][i])));
  return fmt::format("#{:02X}{:02X}{:02X}", rgb[0], rgb[1], rgb[2]);
}

double luminance(std::string_view color) {
  double result = 0;
  constexpr Rgb weights = {0.2126, 0.7152, 0.0722};
  for (std::size_t i = 0; i < 3; ++i) {
    const double c = std::stoi(std::string(color.substr(1 + 2 * i, 2)), nullptr, 16) / 255.0;
    result += weights[i] * (c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4));
  }
  return result;
}

}  // namespace

const Theme& theme_of(DiagramTheme theme) {
  return theme == DiagramTheme::dark ? dark : theme == DiagramTheme::print ? print : light;
}

std::string heat_color(double share) {
  constexpr std::array<Rgb, 9> cividis = {{{0, 34, 78},
                                           {18, 53, 112},
                                           {59, 73, 108},
                                           {87, 93, 109},
                                           {112, 113, 115},
                                           {138, 134, 120},
                                           {165, 156, 116},
                                           {195, 179, 105},
                                           {254, 232, 56}}};
  return interpolated(cividis, share);
}

std::string diverging_color(double position) {
  constexpr std::array<Rgb, 5> anchors = {
      {{5, 80, 160}, {140, 185, 225}, {247, 247, 247}, {225, 175, 120}, {140, 70, 10}}};
  return interpolated(anchors, (position + 1) / 2);
}

double contrast(std::string_view a, std::string_view b) {
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

std::string_view text_on(std::string_view fill) {
  constexpr std::string_view black = "#000000", white = "#FFFFFF";
  return contrast(fill, black) >= contrast(fill, white) ? black : white;
}

}  // namespace weft::diagram
