#include "kernels/im2col.hpp"

#include <algorithm>

#include "kernels/gemm.hpp"
#include "kernels/parallel.hpp"

namespace weft::im2col {

namespace {

constexpr std::int64_t block_elements = 1 << 17;  // of the rows made at a time: 1 MB, which stays in a cache
constexpr std::int64_t copy_grain = 1 << 15;

// Calls run(element, column, count) for the taps of output position `row` and one channel group that lie
// within the image: `count` neighbours in x from `element` on stand in the row from `column` on.
template <class Run>
void for_each_run(const Convolution& c, std::int64_t group, std::int64_t row, Run&& run) {
  const WindowAxis &h = c.window.h, &w = c.window.w;
  const std::int64_t j = row % w.positions, i = row / w.positions % h.positions;
  const std::int64_t image = row / w.positions / h.positions, channels = c.in_per_group();
  const std::int64_t first = w.first_tap(j), last = w.last_tap(j);
  const bool joined = w.dilation == 1 && c.groups == 1;  // a line of taps is one run
  const std::int64_t step = joined ? last - first : 1;
  for (std::int64_t p = h.first_tap(i); p < h.last_tap(i); ++p) {
    const std::int64_t line = (image * h.extent + h.source(i, p)) * w.extent;
    for (std::int64_t q = first; q < last; q += step) {
      run((line + w.source(j, q)) * c.in_channels + group * channels, (p * w.taps + q) * channels,
          step * channels);
    }
  }
}

void gather_rows(const Convolution& c, std::int64_t group, std::int64_t begin, std::int64_t end,
                 const double* x, double* rows) {
  parallel_for(end - begin, std::max<std::int64_t>(1, copy_grain / c.taps()),
               [&](std::int64_t from, std::int64_t to) {
                 std::fill(rows + from * c.taps(), rows + to * c.taps(), 0.0);
                 for (std::int64_t r = from; r < to; ++r) {
                   double* row = rows + r * c.taps();
                   for_each_run(c, group, begin + r,
                                [&](std::int64_t element, std::int64_t column, std::int64_t count) {
                                  std::copy_n(x + element, count, row + column);
                                });
                 }
               });
}

// Each thread has lines of gx, of those that these positions read, and passes over the others'.
void scatter_rows(const Convolution& c, std::int64_t group, std::int64_t begin, std::int64_t end,
                  const double* rows, double* gx) {
  const WindowAxis& h = c.window.h;
  const auto line_of = [&](std::int64_t row, std::int64_t tap) {  // of gx; the nearest one for a tap outside
    const std::int64_t output_line = row / c.window.w.positions;
    return output_line / h.positions * h.extent +
           std::clamp<std::int64_t>(h.source(output_line % h.positions, tap), 0, h.extent - 1);
  };
  const std::int64_t first_line = line_of(begin, 0), lines = line_of(end - 1, h.taps - 1) + 1 - first_line;
  const std::int64_t line_elements = c.window.w.extent * c.in_channels;
  const std::int64_t line_work = (end - begin) * c.taps() / lines;
  parallel_for(lines, copy_grain / (line_work + 1) + 1, [=, &c](std::int64_t from, std::int64_t to) {
    const std::int64_t first = (first_line + from) * line_elements, last = (first_line + to) * line_elements;
    for (std::int64_t r = begin; r < end; ++r) {
      const double* row = rows + (r - begin) * c.taps();
      for_each_run(c, group, r, [&](std::int64_t element, std::int64_t column, std::int64_t count) {
        if (element < first || element >= last) return;
        for (std::int64_t k = 0; k < count; ++k) gx[element + k] += row[column + k];
      });
    }
  });
}

// Calls block(group, begin, end, rows) for blocks of output positions, with memory for their rows.
template <class Block>
void for_each_block(const Convolution& c, Block&& block) {
  const std::int64_t count = std::clamp<std::int64_t>(block_elements / c.taps(), 1, c.positions());
  Tensor memory({count, c.taps()}, DType::f64);
  double* rows = memory.mutable_values<double>().data();
  for (std::int64_t group = 0; group < c.groups; ++group) {
    for (std::int64_t begin = 0; begin < c.positions(); begin += count) {
      block(group, begin, std::min(begin + count, c.positions()), rows);
    }
  }
}

}  // namespace

void add_convolution(const Convolution& c, const Tensor& x, const Tensor& w, Tensor& y) {
  const double *from = x.values<double>().data(), *filter = w.values<double>().data();
  double* to = y.mutable_values<double>().data();
  for_each_block(c, [&](std::int64_t group, std::int64_t begin, std::int64_t end, double* rows) {
    gather_rows(c, group, begin, end, from, rows);
    const std::int64_t first = group * c.out_per_group();
    gemm({.m = end - begin,
          .n = c.out_per_group(),
          .k = c.taps(),
          .a_stride = c.taps(),
          .b_stride = c.out_channels,
          .c_stride = c.out_channels,
          .accumulate = true},
         rows, filter + first, to + begin * c.out_channels + first);
  });
}

void add_input_gradient(const Convolution& c, const Tensor& gy, const Tensor& w, Tensor& gx) {
  const double *from = gy.values<double>().data(), *filter = w.values<double>().data();
  double* to = gx.mutable_values<double>().data();
  for_each_block(c, [&](std::int64_t group, std::int64_t begin, std::int64_t end, double* rows) {
    const std::int64_t first = group * c.out_per_group();
    gemm({.m = end - begin,
          .n = c.taps(),
          .k = c.out_per_group(),
          .transpose_b = true,
          .a_stride = c.out_channels,
          .b_stride = c.out_channels,
          .c_stride = c.taps()},
         from + begin * c.out_channels + first, filter + first, rows);
    scatter_rows(c, group, begin, end, rows, to);
  });
}

void add_weight_gradient(const Convolution& c, const Tensor& x, const Tensor& gy, Tensor& gw) {
  const double *from = x.values<double>().data(), *gradient = gy.values<double>().data();
  double* to = gw.mutable_values<double>().data();
  for_each_block(c, [&](std::int64_t group, std::int64_t begin, std::int64_t end, double* rows) {
    gather_rows(c, group, begin, end, from, rows);
    const std::int64_t first = group * c.out_per_group();
    gemm({.m = c.taps(),
          .n = c.out_per_group(),
          .k = end - begin,
          .transpose_a = true,
          .a_stride = c.taps(),
          .b_stride = c.out_channels,
          .c_stride = c.out_channels,
          .accumulate = true},
         rows, gradient + begin * c.out_channels + first, to + first);
  });
}

}  // namespace weft::im2col
