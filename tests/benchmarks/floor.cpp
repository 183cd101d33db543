// The floor under the rows of training_rows.cpp: the time of their convolutions and matrix products alone, in
// oneDNN, each convolution in the faster of channels-last and oneDNN's own layout of images. One line "ROW
// SECONDS" from stdin, one line "MILLISECONDS STEPS" to stdout; -1 for a row without a floor.
//   OMP_NUM_THREADS=2 benchmark_floor
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <dnnl.hpp>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Call = std::function<void()>;
using dnnl::memory;

struct Conv {
  memory::dim extent, in, out, window, before, after;  // of square images and windows, stride 1
};
struct Dense {
  memory::dim in, out;
};
struct Row {
  memory::dim batch;
  std::vector<Conv> convs;
  std::vector<Dense> denses;  // after the convolutions
  bool training = true;
};

void fill(float* values, std::size_t count) {
  std::minstd_rand random(1);
  std::uniform_real_distribution<float> distribution(-1, 1);
  std::generate_n(values, count, [&] { return distribution(random); });
}

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory filled(const memory::desc& description) {
  memory result(description, engine());
  fill(static_cast<float*>(result.get_data_handle()), description.get_size() / sizeof(float));
  return result;
}

// A primitive with its operands.
template <class Primitive, class Description>
Call prepared(const Description& description, std::unordered_map<int, memory> operands) {
  return [primitive = Primitive(description), operands = std::move(operands),
          stream = std::make_shared<dnnl::stream>(engine())] {
    primitive.execute(*stream, operands);
    stream->wait();
  };
}

// The convolution forward and, in training, backward; without the gradient for x where it is the first.
void append(std::vector<Call>& calls, const Row& row, const Conv& c, memory::format_tag layout) {
  const memory::dim extent = c.extent + c.before + c.after - c.window + 1;
  const auto f32 = memory::data_type::f32;
  const memory::desc x({row.batch, c.in, c.extent, c.extent}, f32, layout),
      w({c.out, c.in, c.window, c.window}, f32, memory::format_tag::any),
      y({row.batch, c.out, extent, extent}, f32, layout);
  const memory::dims strides{1, 1}, before{c.before, c.before}, after{c.after, c.after};
  const auto algorithm = dnnl::algorithm::convolution_direct;

  using Forward = dnnl::convolution_forward;
  const auto kind = row.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const Forward::primitive_desc forward({kind, algorithm, x, w, y, strides, before, after}, engine());
  calls.push_back(prepared<Forward>(forward, {{DNNL_ARG_SRC, filled(forward.src_desc())},
                                              {DNNL_ARG_WEIGHTS, filled(forward.weights_desc())},
                                              {DNNL_ARG_DST, filled(forward.dst_desc())}}));
  if (!row.training) return;
  if (&c != &row.convs.front()) {
    using Data = dnnl::convolution_backward_data;
    const Data::primitive_desc data({algorithm, x, w, y, strides, before, after}, engine(), forward);
    calls.push_back(prepared<Data>(data, {{DNNL_ARG_DIFF_SRC, filled(data.diff_src_desc())},
                                          {DNNL_ARG_WEIGHTS, filled(data.weights_desc())},
                                          {DNNL_ARG_DIFF_DST, filled(data.diff_dst_desc())}}));
  }
  using Weights = dnnl::convolution_backward_weights;
  const Weights::primitive_desc weights({algorithm, x, w, y, strides, before, after}, engine(), forward);
  calls.push_back(prepared<Weights>(weights, {{DNNL_ARG_SRC, filled(weights.src_desc())},
                                              {DNNL_ARG_DIFF_WEIGHTS, filled(weights.diff_weights_desc())},
                                              {DNNL_ARG_DIFF_DST, filled(weights.diff_dst_desc())}}));
}

std::vector<float> matrix(memory::dim elements) {
  std::vector<float> values(static_cast<std::size_t>(elements));
  fill(values.data(), values.size());
  return values;
}

// c [m, n] = a b, of which a is stored [k, m] and b [n, k] where transposed.
Call product(char transpose_a, char transpose_b, memory::dim m, memory::dim n, memory::dim k) {
  return [=, a = matrix(m * k), b = matrix(k * n), c = matrix(m * n)]() mutable {
    dnnl::sgemm(transpose_a, transpose_b, m, n, k, 1, a.data(), transpose_a == 'T' ? m : k, b.data(),
                transpose_b == 'T' ? k : n, 0, c.data(), n);
  };
}

void append(std::vector<Call>& calls, const Row& row, const Dense& d) {
  calls.push_back(product('N', 'N', row.batch, d.out, d.in));  // y = x w
  if (!row.training) return;
  const bool is_first = row.convs.empty() && &d == &row.denses.front();
  if (!is_first) calls.push_back(product('N', 'T', row.batch, d.in, d.out));  // gx = gy w'
  calls.push_back(product('T', 'N', d.in, d.out, row.batch));                 // gw = x' gy
}

std::vector<Call> calls_of(const Row& row, memory::format_tag layout) {
  std::vector<Call> calls;
  for (const Conv& conv : row.convs) append(calls, row, conv, layout);
  for (const Dense& dense : row.denses) append(calls, row, dense);
  return calls;
}

const Row signs_cnn{64, {{64, 3, 8, 4, 1, 2}, {8, 8, 16, 2, 0, 1}}, {{64, 6}}};
const std::map<std::string, Row> rows = {
    {"signs_cnn", signs_cnn},
    {"signs_cnn_forward", {1, signs_cnn.convs, signs_cnn.denses, false}},
    {"lenet", {64, {{28, 1, 6, 5, 2, 2}, {14, 6, 16, 5, 0, 0}}, {{400, 120}, {120, 84}, {84, 10}}}},
    {"vgg_small",
     {32,
      {{32, 3, 64, 3, 1, 1},
       {32, 64, 64, 3, 1, 1},
       {16, 64, 128, 3, 1, 1},
       {16, 128, 128, 3, 1, 1},
       {8, 128, 256, 3, 1, 1},
       {8, 256, 256, 3, 1, 1},
       {8, 256, 256, 3, 1, 1},
       {4, 256, 512, 3, 1, 1},
       {4, 512, 512, 3, 1, 1},
       {4, 512, 512, 3, 1, 1}},
      {{2048, 512}, {512, 10}}}},
    {"mlp", {128, {}, {{784, 512}, {512, 512}, {512, 10}}}},
    {"signs_mlp", {64, {}, {{12288, 25}, {25, 12}, {12, 6}}}},
};

struct Floor {
  std::vector<std::vector<Call>> layouts;  // the same calls, images channels-last and as oneDNN likes them

  explicit Floor(const Row& row) {
    layouts.push_back(calls_of(row, memory::format_tag::nhwc));
    if (!row.convs.empty()) layouts.push_back(calls_of(row, memory::format_tag::any));
  }
};

double milliseconds_of(const Call& call) {
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double>& times) {
  const auto middle = times.begin() + std::ssize(times) / 2;
  std::ranges::nth_element(times, middle);
  return *middle;
}

// The median of each call, over as many rounds through all of them as fit.
std::vector<double> measure(const std::vector<Call>& calls, double seconds, std::size_t& rounds) {
  std::vector<std::vector<double>> times(calls.size());
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  for (int warm_up = 0; warm_up < 3; ++warm_up) std::ranges::for_each(calls, milliseconds_of);
  do {
    for (std::size_t i = 0; i < calls.size(); ++i) times[i].push_back(milliseconds_of(calls[i]));
    ++rounds;
  } while (times[0].size() < 3 || Clock::now() < end);
  std::vector<double> medians(calls.size());
  std::ranges::transform(times, medians.begin(), median);
  return medians;
}

// The sum over the calls, each in its faster layout, in milliseconds.
double measure(const Floor& floor, double seconds, std::size_t& rounds) {
  const double share = seconds / static_cast<double>(floor.layouts.size());
  std::vector<double> best = measure(floor.layouts[0], share, rounds);
  for (std::size_t layout = 1; layout < floor.layouts.size(); ++layout) {
    std::ranges::transform(best, measure(floor.layouts[layout], share, rounds), best.begin(),
                           std::ranges::min);
  }
  return std::accumulate(best.begin(), best.end(), 0.0);
}

}  // namespace

int main() {
  std::map<std::string, Floor> made;
  std::string name;
  double seconds = 0;
  while (std::cin >> name >> seconds) {
    double milliseconds = -1;
    std::size_t rounds = 0;
    if (const auto row = rows.find(name); row != rows.end()) {
      milliseconds = measure(made.try_emplace(name, row->second).first->second, seconds, rounds);
    }
    fmt::print("{:.6f} {}\n", milliseconds, rounds);
    std::fflush(stdout);
  }
}
