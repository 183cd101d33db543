// Whether the likely mistake in the gradient of a convolution or a pooling is named.
#include <catch2/catch.hpp>

#include "diagnosis_problem.hpp"

using namespace weft;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

// ---- convolution

struct ConvRule {
  std::int64_t sh, sw, top, left, dh = 1, dw = 1, groups = 1;
};

struct Conv {
  Shape x{2, 7, 5, 3}, w{4, 2, 3, 5}, y{2, 3, 2, 5};
  ConvRule rule{.sh = 2, .sw = 3, .top = 2, .left = 0};
  Ints padding{2, 0, 0, 1};

  Attributes attributes() const {
    return {{"stride", Ints{rule.sh, rule.sw}},
            {"padding", padding},
            {"dilation", Ints{rule.dh, rule.dw}},
            {"groups", rule.groups},
            {"relu", false}};
  }
  Problem problem(std::size_t argument) const {
    return {.op = "conv2d",
            .shapes = {x, w, {w[3]}},
            .argument = argument,
            .y_shape = y,
            .attributes = attributes()};
  }
  std::int64_t channel(std::int64_t k, std::int64_t c) const { return k / (w[3] / rule.groups) * w[2] + c; }

  // dy/dx = w at the tap that reads this pixel.
  double by_x(
      const ConvRule& r, const Ints& at, const Ints& pixel,
      const std::function<double(Ints)>& filter = [](const Ints& tap) { return value_at(tap); }) const {
    if (at[0] != pixel[0]) return 0;
    double sum = 0;
    for_each_index(w.with(3, 1), [&](const Ints& tap) {
      const bool reads = at[1] * r.sh + tap[0] * r.dh - r.top == pixel[1] &&
                         at[2] * r.sw + tap[1] * r.dw - r.left == pixel[2] &&
                         channel(at[3], tap[2]) == pixel[3];
      if (reads) sum += filter({tap[0], tap[1], tap[2], at[3]});
    });
    return sum;
  }
  // dy/dw = x at the pixel that this tap reads.
  double by_w(const ConvRule& r, const Ints& at, const Ints& tap) const {
    const std::int64_t h = at[1] * r.sh + tap[0] * r.dh - r.top, v = at[2] * r.sw + tap[1] * r.dw - r.left;
    const bool inside = h >= 0 && h < x[1] && v >= 0 && v < x[2];
    return inside && at[3] == tap[3] ? value_at({at[0], h, v, channel(at[3], tap[2])}, 0.9) : 0;
  }
  Problem x_problem(const ConvRule& wrong) const {
    return with_entries(
        problem(0), [&](const Ints& y, const Ints& at) { return by_x(wrong, y, at); },
        [&](const Ints& y, const Ints& at) { return by_x(rule, y, at); });
  }
  Problem w_problem(const ConvRule& wrong) const {
    return with_entries(
        problem(1), [&](const Ints& y, const Ints& at) { return by_w(wrong, y, at); },
        [&](const Ints& y, const Ints& at) { return by_w(rule, y, at); });
  }
  Problem scaled(std::size_t argument, double c) const {
    Problem p = argument == 0 ? x_problem(rule) : w_problem(rule);
    for (double& value : p.found) value *= c;
    return p;
  }
  ConvRule changed(const std::function<void(ConvRule&)>& change) const {
    ConvRule r = rule;
    change(r);
    return r;
  }
};

}  // namespace

TEST_CASE("a stride that a convolution's gradient ignores is named", "[diagnosis]") {  // M01, M02
  const Conv conv;
  const ConvRule wrong = conv.changed([](ConvRule& r) { r.sh = r.sw = 1; });
  CHECK_THAT(conv.x_problem(wrong).likely(),
             StartsWith("the input position is h + a - pad, not h * stride + a - pad"));
  CHECK_THAT(conv.w_problem(wrong).likely(), Contains("the stride is ignored"));
}

TEST_CASE("exchanged strides and wrong paddings of a convolution are named", "[diagnosis]") {  // M03 to M05
  const Conv conv;
  const ConvRule swapped = conv.changed([](ConvRule& r) { std::swap(r.sh, r.sw); });
  const ConvRule off = conv.changed([](ConvRule& r) { ++r.top, ++r.left; });
  const ConvRule opposite = conv.changed([](ConvRule& r) { r.top = 0, r.left = 1; });
  for (const auto& problem : {conv.x_problem(swapped), conv.w_problem(swapped)})
    CHECK(problem.likely() == "the two strides are exchanged");
  for (const auto& problem : {conv.x_problem(off), conv.w_problem(off)})
    CHECK(problem.likely() == "the padding is off by 1");
  for (const auto& problem : {conv.x_problem(opposite), conv.w_problem(opposite)})
    CHECK(problem.likely() == "the padding in front and the one behind are exchanged");
}

TEST_CASE("the last row that a convolution's gradient drops is named", "[diagnosis]") {  // M06
  const Conv conv;
  const auto right = [&](const Ints& y, const Ints& at) { return conv.by_x(conv.rule, y, at); };
  const auto rows = with_entries(
      conv.problem(0), [&](const Ints& y, const Ints& at) { return at[1] == 5 ? 0 : right(y, at); }, right);
  CHECK(rows.likely() == "the last row is dropped: h of x = 5");
  const auto outputs = with_entries(
      conv.problem(0), [&](const Ints& y, const Ints& at) { return y[1] == 2 ? 0 : right(y, at); }, right);
  CHECK(outputs.likely() == "the last row is dropped: h of y = 2");
}

TEST_CASE("a filter that is not flipped is named", "[diagnosis]") {  // M07
  const Conv conv;
  const auto found = [&](const Ints& y, const Ints& at) {
    return conv.by_x(conv.rule, y, at, [](const Ints& tap) {
      return value_at({3 - tap[0], 1 - tap[1], tap[2], tap[3]});
    });
  };
  const auto right = [&](const Ints& y, const Ints& at) { return conv.by_x(conv.rule, y, at); };
  CHECK_THAT(with_entries(conv.problem(0), found, right).likely(), Contains("the filter is flipped"));
  const auto flipped = [&](const Ints& y, const Ints& tap) {
    return conv.by_w(conv.rule, y, {3 - tap[0], 1 - tap[1], tap[2], tap[3]});
  };
  const auto by_w = [&](const Ints& y, const Ints& tap) { return conv.by_w(conv.rule, y, tap); };
  CHECK_THAT(with_entries(conv.problem(1), flipped, by_w).likely(),
             StartsWith("reversed along kh of w and kw of w: the filter is flipped"));
}

TEST_CASE("a filter's gradient of the first image only, or of the batch's mean, is named", "[diagnosis]") {
  const Conv conv;  // M08, M09
  const auto by_w = [&](const Ints& y, const Ints& tap) { return conv.by_w(conv.rule, y, tap); };
  const auto first = [&](const Ints& y, const Ints& tap) { return y[0] == 0 ? by_w(y, tap) : 0; };
  CHECK(with_entries(conv.problem(1), first, by_w).likely() ==
        "only the first image along n of y counts: the sum over the others is missing");
  CHECK(conv.scaled(1, 0.5).likely() == "off by 1/n (1/2)");
  CHECK(conv.scaled(0, -1).likely() == "the sign is wrong");
  CHECK(conv.scaled(1, 1.0 / 24).likely() == "off by 1/(kh kw c_in) (1/24)");
}

TEST_CASE("a bias's gradient that is summed over the wrong axes is named", "[diagnosis]") {  // M10, M47
  Conv conv;
  conv.w = {4, 2, 3, 2};
  conv.y = {2, 3, 2, 2};
  const auto right = [](const Ints& y, const Ints& b) { return y[3] == b[0] ? 1.0 : 0.0; };
  const auto wrong = [](const Ints& y, const Ints& b) { return y[2] == b[0] ? 1.0 : 0.0; };
  CHECK(with_entries(conv.problem(2), wrong, right).likely() ==
        "summed over axes (n, h, k) of y, not over (n, h, w)");
  const auto often = [&](const Ints& y, const Ints& b) { return 24 * right(y, b); };
  CHECK(with_entries(conv.problem(2), often, right).likely() == "off by (kh kw c_in) (24)");
}

TEST_CASE("exchanged channels, an ignored dilation and groups of a convolution are named", "[diagnosis]") {
  Conv conv;  // M11
  conv.w = {4, 2, 3, 3};
  conv.y = {2, 3, 2, 3};
  const auto right = [&](const Ints& y, const Ints& at) { return conv.by_x(conv.rule, y, at); };
  const auto exchanged = [&](const Ints& y, const Ints& at) {
    return right({y[0], y[1], y[2], at[3]}, {at[0], at[1], at[2], y[3]});
  };
  CHECK(with_entries(conv.problem(0), exchanged, right).likely() == "k of y and c of x are exchanged");

  Conv dilated;  // M12
  dilated.w = {2, 2, 3, 5};
  dilated.rule.dh = 3;
  dilated.rule.dw = 2;
  const ConvRule ignored = dilated.changed([](ConvRule& r) { r.dh = r.dw = 1; });
  CHECK(dilated.x_problem(ignored).likely() == "the dilation is ignored");
  CHECK(dilated.w_problem(ignored).likely() == "the dilation is ignored");

  Conv grouped;  // M13
  grouped.x = {2, 5, 3, 4};
  grouped.w = {2, 3, 2, 6};
  grouped.y = {2, 2, 1, 6};
  grouped.padding = {0, 0, 0, 0};
  grouped.rule = {.sh = 3, .sw = 1, .top = 0, .left = 0, .groups = 2};
  const auto by_groups = [&](const Ints& y, const Ints& at) { return grouped.by_x(grouped.rule, y, at); };
  const auto in_first = [&](const Ints& y, const Ints& at) {
    return at[3] < 2 ? by_groups(y, {at[0], at[1], at[2], at[3] + y[3] / 3 * 2}) : 0;
  };
  CHECK(with_entries(grouped.problem(0), in_first, by_groups).likely() ==
        "the gradients of all groups go to group 0");
}

TEST_CASE("a gradient that is assigned where windows overlap is named", "[diagnosis]") {  // M14
  const Conv conv;
  const auto right = [&](const Ints& y, const Ints& at) { return conv.by_x(conv.rule, y, at); };
  // The last window that reads the pixel wins.
  const auto assigned = [&](const Ints& y, const Ints& at) {
    std::int64_t last = -1;
    for (std::int64_t position = 0; position < 6; ++position) {
      if (conv.by_x(conv.rule, {at[0], position / 2, position % 2, 0}, at) != 0) last = position;
    }
    return y[1] * 2 + y[2] == last ? right(y, at) : 0;
  };
  CHECK(with_entries(conv.problem(0), assigned, right).likely() ==
        "overwritten, not added: where several outputs read one element of x, only the last's gradient is "
        "kept");
}

namespace {

// A maximum over windows; the values of x are given, so that there can be ties.
struct MaxPool {
  Shape x{2, 7, 5, 3}, y{2, 3, 2, 3};
  Ints window{3, 2}, stride{2, 3};
  bool tied = false;

  double at(const Ints& i) const { return tied ? std::floor(value_at(i)) : value_at(i); }
  Problem problem() const {
    return {.op = "pool2d",
            .shapes = {x},
            .y_shape = y,
            .attributes = {{"kind", "max"},
                           {"window", window},
                           {"stride", stride},
                           {"padding", Ints{0, 0, 0, 0}},
                           {"include_padding", false}}};
  }
  // The pixels of a window that hold its maximum, in order.
  std::vector<Ints> winners(const Ints& o, const Ints& step) const {
    std::vector<Ints> best;
    for (std::int64_t h = o[1] * step[0]; h < std::min(o[1] * step[0] + window[0], x[1]); ++h) {
      for (std::int64_t w = o[2] * step[1]; w < std::min(o[2] * step[1] + window[1], x[2]); ++w) {
        const Ints pixel{o[0], h, w, o[3]};
        if (!best.empty() && at(pixel) < at(best[0])) continue;
        if (!best.empty() && at(pixel) > at(best[0])) best.clear();
        best.push_back(pixel);
      }
    }
    return best;
  }
  double first(const Ints& o, const Ints& pixel) const { return winners(o, stride).front() == pixel ? 1 : 0; }
  Problem against_first(const Entry& found) const {
    return with_entries(problem(), found, [&](const Ints& o, const Ints& pixel) { return first(o, pixel); });
  }
};

}  // namespace

TEST_CASE("a maximum that gives its gradient to all ties, or to another one, is named", "[diagnosis]") {
  const MaxPool pool{.tied = true};  // M15, M16
  const auto all = pool.against_first([&](const Ints& o, const Ints& pixel) {
    const auto winners = pool.winners(o, pool.stride);
    return std::ranges::find(winners, pixel) != winners.end() ? 1.0 : 0.0;
  });
  CHECK(all.likely() == "each of 4 ties gets gy, where one of them should");
  const auto last = pool.against_first([&](const Ints& o, const Ints& pixel) {
    return pool.winners(o, pool.stride).back() == pixel ? 1.0 : 0.0;
  });
  CHECK(last.likely() == "another one of the ties gets gy: the last, not the first");
  const auto twice = pool.against_first(
      [&](const Ints& o, const Ints& pixel) { return pool.first(o, pixel) * (o[1] == 0 ? 2 : 1); });
  CHECK(twice.likely() == "one tie counts several times");
}

TEST_CASE("a stride that a pooling's gradient ignores, or an index within the window, is named",
          "[diagnosis]") {
  const MaxPool pool;  // M17, M20, M23
  const auto ignored = pool.against_first([&](const Ints& o, const Ints& pixel) {
    return pool.winners(o, {1, 1}).front() == pixel ? 1.0 : 0.0;
  });
  CHECK_THAT(ignored.likely(), Contains("the stride is ignored"));
  const auto relative = pool.against_first([&](const Ints& o, const Ints& pixel) {
    return pool.first(o, {pixel[0], pixel[1] + 2 * o[1], pixel[2] + 3 * o[2], pixel[3]});
  });
  CHECK_THAT(relative.likely(), Contains("the position is relative to the window"));
  const auto flat = pool.against_first([&](const Ints& o, const Ints& pixel) {
    const std::int64_t index = pixel[1] * 5 + pixel[2];  // a * 2 + b of a window 3 high and 2 wide
    if (index >= 6) return 0.0;
    return pool.first(o, {pixel[0], o[1] * 2 + index / 2, o[2] * 3 + index % 2, pixel[3]});
  });
  CHECK(flat.likely() == "the index within the window is read as one within the image");
  const auto mean = [](const Ints& step) {
    return [step](const Ints& o, const Ints& pixel) {
      const std::int64_t a = pixel[1] - o[1] * step[0], b = pixel[2] - o[2] * step[1];
      return o[0] == pixel[0] && o[3] == pixel[3] && a >= 0 && a < 3 && b >= 0 && b < 2 ? 1.0 / 6 : 0.0;
    };
  };
  CHECK_THAT(with_entries(pool.problem(), mean({1, 1}), mean(pool.stride)).likely(),
             Contains("the stride is ignored"));
}

TEST_CASE("a maximum whose overlapping windows overwrite one another is named", "[diagnosis]") {  // M18
  const MaxPool pool{.y = {2, 5, 4, 3}, .stride = {1, 1}};
  const auto overwritten = pool.against_first([&](const Ints& o, const Ints& pixel) {
    std::int64_t last = -1;
    for (std::int64_t position = 0; position < 20; ++position) {
      if (pool.first({pixel[0], position / 4, position % 4, pixel[3]}, pixel) != 0) last = position;
    }
    return o[1] * 4 + o[2] == last ? pool.first(o, pixel) : 0;
  });
  CHECK_THAT(overwritten.likely(), StartsWith("overwritten, not added"));
}

TEST_CASE("a mean's divisor that counts the padding, or does not, is named", "[diagnosis]") {  // M22
  const Problem problem{.op = "pool2d",
                        .shapes = {{1, 4, 3, 1}},
                        .y_shape = {1, 3, 2, 1},
                        .attributes = {{"kind", "average"},
                                       {"window", Ints{3, 2}},
                                       {"stride", Ints{2, 2}},
                                       {"padding", Ints{2, 1, 1, 0}},
                                       {"include_padding", false}}};
  const auto mean = [](bool counts) {
    return [counts](const Ints& o, const Ints& pixel) {
      const auto in_window = [&](std::int64_t h, std::int64_t w) {
        return h >= o[1] * 2 - 2 && h <= o[1] * 2 && w >= o[2] * 2 - 1 && w <= o[2] * 2;
      };
      double inside = 0;
      for (std::int64_t h = 0; h < 4; ++h) {
        for (std::int64_t w = 0; w < 3; ++w) inside += in_window(h, w);
      }
      return in_window(pixel[1], pixel[2]) ? 1 / (counts ? 6 : inside) : 0.0;
    };
  };
  CHECK_THAT(with_entries(problem, mean(true), mean(false)).likely(),
             StartsWith("the divisor counts the padding"));
  CHECK_THAT(with_entries(problem, mean(false), mean(true)).likely(),
             StartsWith("the divisor leaves out the padding"));
}

TEST_CASE("an error without a system gets no likely mistake", "[diagnosis]") {
  const Conv conv;
  Problem problem = conv.x_problem(conv.rule);
  for (std::size_t k = 0; k < problem.found.size(); ++k)
    problem.found[k] += 1e-3 * std::sin(static_cast<double>(k * k));
  CHECK(problem.likely().empty());
  Problem right = conv.x_problem(conv.rule);
  CHECK(right.likely().empty());
  CHECK(right.diagnosis().pattern.empty());
}

TEST_CASE("the picture shows what is missing and what is spurious in one plane", "[diagnosis]") {
  const Conv conv;
  const Problem problem = conv.x_problem(conv.changed([](ConvRule& r) { r.sh = r.sw = 1; }));
  const std::vector<std::string> lines = problem.diagnosis().pattern;
  CHECK(lines == std::vector<std::string>{
                     "y[0, 2, 1, 0] by x[0, h, w, 0]   m missing, s spurious",
                     "  h0  . s s . .    true support      rows 2-5, columns 3-4",
                     "  h1  . s s . .    backward support  rows 0-3, columns 1-2",
                     "  h2  . s s m m",
                     "  h3  . s s m m",
                     "  h4  . . . m m",
                 });
  for (const std::string& line : lines) CHECK(line.size() <= 64);
}
