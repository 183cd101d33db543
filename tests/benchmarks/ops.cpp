// Time of every op alone in f32, forward and backward, of a few values and of many:
//   benchmark_ops --benchmark_filter=conv2d
// The threads are those of WEFT_NUM_THREADS. Forward is a call that records; backward is gradient() of that
// one op with respect to every floating operand.
#include <benchmark/benchmark.h>
#include <fmt/ranges.h>

#include <set>

#include "weft/op_info.hpp"
#include "weft/weft.hpp"

using namespace weft;

namespace {

// An operand, made when its benchmark runs.
struct Values {
  enum class Kind { any, positive, index, condition } kind;
  Shape shape;
  std::int64_t bound = 0;  // of indices
};
Values any(const Shape& shape) { return {Values::Kind::any, shape}; }
Values positive(const Shape& shape) { return {Values::Kind::positive, shape}; }
Values below(std::int64_t bound, const Shape& shape) { return {Values::Kind::index, shape, bound}; }
Values condition(const Shape& shape) { return {Values::Kind::condition, shape}; }

Tensor tensor_of(const Values& values) {
  Random random(1, "values");
  switch (values.kind) {
    case Values::Kind::any:
      return random.normal(values.shape, 0, 1);
    case Values::Kind::positive:
      return random.uniform(values.shape, 0.5, 2);
    case Values::Kind::index: {
      Tensor indices(values.shape, DType::i32);
      for (std::int32_t& i : indices.mutable_values<std::int32_t>())
        i = static_cast<std::int32_t>(random.below(values.bound));
      return indices;
    }
    case Values::Kind::condition: {
      Tensor conditions(values.shape, DType::boolean);
      for (bool& is_true : conditions.mutable_values<bool>()) is_true = random.below(2) == 1;
      return conditions;
    }
  }
  return {};
}

using Vars = std::span<const Var>;
struct Row {
  std::string_view op;
  std::vector<Values> small, large;
  Var (*call)(Vars x);
};

const Shape few{32}, many{1 << 20};                            // elementwise
const Shape few_rows{4, 8}, many_rows{1024, 1024};             // reductions, shape, probabilities
const Shape small_images{2, 8, 8, 4}, images{32, 32, 32, 64};  // [n, h, w, c]
const Shape small_pooled{2, 4, 4, 4}, pooled{32, 16, 16, 64};  // by windows of 2
const Shape small_filter{3, 3, 4, 8}, filter{3, 3, 64, 64};    // [kh, kw, c_in, c_out]
const Shape small_maps{2, 8, 8, 8};                            // of small_filter
const SliceOptions middle{.begin = {1, 1}, .size = {-1, -1}};  // all but the first row and column
const PadOptions border{.before = {1, 1}, .after = {1, 1}};
const Conv2dOptions convolution{.padding = same};
const Pool2dOptions averages{.kind = PoolKind::average};

Shape less_one(const Shape& x) { return {x[0] - 1, x[1] - 1}; }
Shape more_two(const Shape& x) { return {x[0] + 2, x[1] + 2}; }
Shape doubled(const Shape& x) { return {x[0], 2 * x[1], 2 * x[2], x[3]}; }

const std::vector<Row> rows = {
    {"add", {any(few), any(few)}, {any(many), any(many)}, [](Vars x) { return add(x[0], x[1]); }},
    {"subtract", {any(few), any(few)}, {any(many), any(many)}, [](Vars x) { return subtract(x[0], x[1]); }},
    {"multiply", {any(few), any(few)}, {any(many), any(many)}, [](Vars x) { return multiply(x[0], x[1]); }},
    {"divide",
     {any(few), positive(few)},
     {any(many), positive(many)},
     [](Vars x) { return divide(x[0], x[1]); }},
    {"where",
     {condition(few), any(few), any(few)},
     {condition(many), any(many), any(many)},
     [](Vars x) { return where(x[0], x[1], x[2]); }},

    {"negate", {any(few)}, {any(many)}, [](Vars x) { return negate(x[0]); }},
    {"scale", {any(few)}, {any(many)}, [](Vars x) { return scale(x[0], 1.01); }},
    {"shift", {any(few)}, {any(many)}, [](Vars x) { return shift(x[0], 1.01); }},
    {"exp", {any(few)}, {any(many)}, [](Vars x) { return exp(x[0]); }},
    {"log", {positive(few)}, {positive(many)}, [](Vars x) { return log(x[0]); }},
    {"sqrt", {positive(few)}, {positive(many)}, [](Vars x) { return sqrt(x[0]); }},
    {"pow", {positive(few)}, {positive(many)}, [](Vars x) { return pow(x[0], 1.5); }},
    {"tanh", {any(few)}, {any(many)}, [](Vars x) { return tanh(x[0]); }},
    {"sigmoid", {any(few)}, {any(many)}, [](Vars x) { return sigmoid(x[0]); }},
    {"relu", {any(few)}, {any(many)}, [](Vars x) { return relu(x[0]); }},
    {"relu_gradient",
     {any(few), any(few)},
     {any(many), any(many)},
     [](Vars x) { return relu_gradient(x[0], x[1]); }},
    {"dropout", {any(few)}, {any(many)}, [](Vars x) { return dropout(x[0], 0.5); }},

    {"sum", {any(few_rows)}, {any(many_rows)}, [](Vars x) { return sum(x[0], {.axes = {0}}); }},
    {"mean", {any(few_rows)}, {any(many_rows)}, [](Vars x) { return mean(x[0], {.axes = {0}}); }},
    {"max", {any(few_rows)}, {any(many_rows)}, [](Vars x) { return max(x[0], {.axes = {1}}); }},
    {"argmax", {any(few_rows)}, {any(many_rows)}, [](Vars x) { return argmax(x[0]); }},
    {"batch_norm",
     {any(small_images), any({4}), any({4})},
     {any(images), any({64}), any({64})},
     [](Vars x) { return batch_norm(x[0], x[1], x[2]).y; }},

    {"broadcast_to",
     {any({8})},
     {any({1024})},
     [](Vars x) {
       return broadcast_to(x[0], {x[0].extent(0), x[0].extent(0)});
     }},
    {"reshape", {any(few_rows)}, {any(many_rows)}, [](Vars x) { return reshape(x[0], {-1}); }},
    {"flatten", {any(small_images)}, {any(images)}, [](Vars x) { return flatten(x[0]); }},
    {"transpose", {any(few_rows)}, {any(many_rows)}, [](Vars x) { return transpose(x[0]); }},
    {"slice", {any(few_rows)}, {any(many_rows)}, [](Vars x) { return slice(x[0], middle); }},
    {"unslice",
     {any(less_one(few_rows))},
     {any(less_one(many_rows))},
     [](Vars x) {
       return unslice(x[0], {x[0].extent(0) + 1, x[0].extent(1) + 1}, middle);
     }},
    {"concat",
     {any(few_rows), any(few_rows)},
     {any(many_rows), any(many_rows)},
     [](Vars x) { return concat(x, 1); }},
    {"pad", {any(few_rows)}, {any(many_rows)}, [](Vars x) { return pad(x[0], border); }},
    {"unpad",
     {any(more_two(few_rows))},
     {any(more_two(many_rows))},
     [](Vars x) {
       return unpad(x[0], {x[0].extent(0) - 2, x[0].extent(1) - 2}, border);
     }},

    {"gather",
     {any(few_rows), below(4, {4})},
     {any(many_rows), below(1024, {1024})},
     [](Vars x) { return gather(x[0], x[1]); }},
    {"scatter_add",
     {any(few_rows), below(4, {4})},
     {any(many_rows), below(1024, {1024})},
     [](Vars x) { return scatter_add(x[0], x[1], x[0].extent(0)); }},
    {"one_hot", {below(8, {4})}, {below(1024, {1024})}, [](Vars x) { return one_hot(x[0], 1024); }},

    {"matmul",
     {any({8, 8}), any({8, 8})},
     {any({512, 512}), any({512, 512})},
     [](Vars x) { return matmul(x[0], x[1]); }},
    {"conv2d",
     {any(small_images), any(small_filter), any({8})},
     {any(images), any(filter), any({64})},
     [](Vars x) { return conv2d(x[0], x[1], x[2], convolution); }},
    {"conv2d_input_gradient",
     {any(small_maps), any(small_filter)},
     {any(images), any(filter)},
     [](Vars x) {
       const Shape& gy = x[0].shape();
       return conv2d_input_gradient(x[0], x[1], {gy[0], gy[1], gy[2], x[1].extent(2)}, convolution);
     }},
    {"conv2d_weight_gradient",
     {any(small_images), any(small_maps)},
     {any(images), any(images)},
     [](Vars x) {
       return conv2d_weight_gradient(x[0], x[1], {3, 3, x[0].extent(3), x[1].extent(3)}, convolution);
     }},
    {"pool2d", {any(small_images)}, {any(images)}, [](Vars x) { return pool2d(x[0]); }},
    {"average_pool2d_gradient",
     {any(small_pooled)},
     {any(pooled)},
     [](Vars x) { return average_pool2d_gradient(x[0], doubled(x[0].shape()), averages); }},
    {"max_pool2d_scatter",
     {any(small_pooled), below(64, small_pooled)},
     {any(pooled), below(1024, pooled)},
     [](Vars x) { return max_pool2d_scatter(x[0], x[1], doubled(x[0].shape())); }},
    {"max_pool2d_gather",
     {any(small_images), below(64, small_pooled)},
     {any(images), below(1024, pooled)},
     [](Vars x) { return max_pool2d_gather(x[0], x[1]); }},

    {"softmax", {any(few_rows)}, {any(many_rows)}, [](Vars x) { return softmax(x[0]); }},
    {"log_softmax", {any(few_rows)}, {any(many_rows)}, [](Vars x) { return log_softmax(x[0]); }},
    {"softmax_crossentropy",
     {any(few_rows), below(8, {4})},
     {any(many_rows), below(1024, {1024})},
     [](Vars x) { return softmax_crossentropy(x[0], x[1]); }},
};

std::vector<Tensor> tensors_of(const std::vector<Values>& operands) {
  std::vector<Tensor> tensors;
  for (const Values& values : operands) tensors.push_back(tensor_of(values));
  return tensors;
}

std::vector<Var> inputs_of(Graph& g, const std::vector<Tensor>& operands) {
  std::vector<Var> inputs;
  for (const Tensor& operand : operands) inputs.push_back(g.input(operand));
  return inputs;
}

void forward(benchmark::State& state, const Row& row, const std::vector<Values>& operands, int calls) {
  const std::vector<Tensor> tensors = tensors_of(operands);
  Graph g;
  while (state.KeepRunningBatch(calls)) {  // between two of clear(), whose time is spread over them
    g.clear();
    const std::vector<Var> x = inputs_of(g, tensors);
    for (int i = 0; i < calls; ++i) benchmark::DoNotOptimize(row.call(x));
  }
}

void backward(benchmark::State& state, const Row& row, const std::vector<Values>& operands) {
  Graph g;
  const std::vector<Var> x = inputs_of(g, tensors_of(operands));
  std::vector<Var> wanted;
  for (const Var& v : x) {
    if (is_differentiable(v)) wanted.push_back(v);
  }
  const Var y = row.call(x);
  const Var gy(Random(2, "gy").normal(y.shape(), 0, 1));
  for (auto _ : state) benchmark::DoNotOptimize(gradient(y, wanted, {.gy = gy}));
}

// Throws Error where the table and the catalogue differ, and where a row calls another op than it says.
// Returns which ops have a gradient.
std::set<std::string_view> checked_rows() {
  std::set<std::string_view> missing, differentiable;
  for (const OpInfo* info : all_ops()) missing.insert(info->name);
  for (const Row& row : rows) {
    if (missing.erase(row.op) == 0) throw Error(fmt::format("'{}' is no op, or has two rows", row.op));
    Graph g;
    const Var y = row.call(inputs_of(g, tensors_of(row.small)));
    const Op* op = y.is_recorded() ? g.op(y.id()) : nullptr;
    if (!op || op->info().name != row.op) throw Error(fmt::format("the row {} calls another op", row.op));
    if (is_differentiable(y)) differentiable.insert(row.op);
  }
  if (!missing.empty()) throw Error(fmt::format("no row for {}", fmt::join(missing, ", ")));
  return differentiable;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::set<std::string_view> differentiable = checked_rows();
  for (const Row& row : rows) {
    for (const bool large : {false, true}) {
      const std::vector<Values>& operands = large ? row.large : row.small;
      const char* size = large ? "large" : "small";
      benchmark::RegisterBenchmark(fmt::format("{}/{}/forward", row.op, size).c_str(), forward, row, operands,
                                   large ? 1 : 100);
      if (differentiable.contains(row.op))
        benchmark::RegisterBenchmark(fmt::format("{}/{}/backward", row.op, size).c_str(), backward, row,
                                     operands);
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("threads", std::to_string(threads()));
  benchmark::RunSpecifiedBenchmarks();
} catch (const Error& error) {
  fmt::print(stderr, "benchmark_ops: {}\n", error.what());
  return 1;
}
