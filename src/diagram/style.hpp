// Colours. Text stands out from every fill by a contrast of 4.5 at least (WCAG 2.1, 1.4.3).
#pragma once

#include <string>
#include <string_view>

#include "weft/diagram.hpp"

namespace weft::diagram {

struct Theme {
  std::string_view background, text, line, edge, parameter_edge, scope_line, gradient, alarm;
  std::string_view input, parameter, contraction, root, plain;  // fills
};
const Theme& theme_of(DiagramTheme theme);

// 0 to 1 as a colour of cividis (Nunez, Anderton, Renslow, PLoS ONE 13 (2018) e0199239), which colour-blind
// readers see as others do; -1 to 1 as blue, white, brown.
std::string heat_color(double share);
std::string diverging_color(double position);

// Black or white, whichever contrasts more.
std::string_view text_on(std::string_view fill);
double contrast(std::string_view a, std::string_view b);  // of two colours "#rrggbb", 1 to 21

}  // namespace weft::diagram
