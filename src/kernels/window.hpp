// Windows that slide over an image: the geometry of convolution and pooling, in one place.
#pragma once

#include <string>

#include "weft/op_info.hpp"
#include "weft/ops.hpp"

namespace weft {

// One axis: `positions` of a window of `taps` elements, `dilation` apart, over `extent` elements with padding
// around them.
struct WindowAxis {
  std::int64_t extent = 0, taps = 1, stride = 1, dilation = 1;
  std::int64_t before = 0, after = 0;
  std::int64_t positions = 0;

  std::int64_t reach() const { return (taps - 1) * dilation + 1; }
  // Where tap `tap` of a position reads; padding where that is outside [0, extent).
  std::int64_t source(std::int64_t position, std::int64_t tap) const {
    return position * stride + tap * dilation - before;
  }
  bool holds(std::int64_t source) const { return source >= 0 && source < extent; }
  // The taps [first, last) of a position that read elements.
  std::int64_t first_tap(std::int64_t position) const;
  std::int64_t last_tap(std::int64_t position) const;
};

struct Window {
  WindowAxis h, w;
};

struct WindowOptions {
  Size2 taps = 1, stride = 1;
  Padding padding = valid;
  Size2 dilation = 1;
};

// What is wrong with these options over an image of this extent, as an error says it; empty: nothing.
std::string window_problem(Size2 extent, const WindowOptions& options);

// The geometry, with `same` resolved. Along each axis there are
//   floor((extent + before + after - reach) / stride) + 1 positions, with `same` padding ceil(extent /
//   stride).
Window make_window(Size2 extent, const WindowOptions& options);

}  // namespace weft
