// softmax, log_softmax, softmax_crossentropy, dropout. Goldens come from PyTorch 1.13.0 in float64, printed
// with repr: torch.nn.functional.{softmax, log_softmax, cross_entropy}.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "weft/gradcheck.hpp"
#include "weft/gradcheck_catch2.hpp"
#include "weft/gradient.hpp"
#include "weft/ops.hpp"
#include "weft/random.hpp"

using namespace weft;

namespace {

using Values = std::vector<double>;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

Values values_of(const Tensor& tensor) {
  const Tensor f64 = tensor.to(DType::f64);
  const auto values = f64.values<double>();
  return {values.begin(), values.end()};
}

// The largest difference, relative to elements above 1; infinite where sizes or NaN differ.
double distance(const Values& found, const Values& expected) {
  if (found.size() != expected.size()) return infinity;
  double largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] == expected[i]) continue;
    const double d = std::abs(found[i] - expected[i]) / std::max(1.0, std::abs(expected[i]));
    largest = std::isnan(d) ? infinity : std::max(largest, d);
  }
  return largest;
}

const Tensor logits =
    Tensor::of<double>({4, 3}, {0.5, -1.25, 2, 1.5, 0.25, -0.75, -2, 3, 0.125, 0, 0.5, -0.5});
const Tensor labels = Tensor::of<std::int64_t>({4}, {2, 0, 1, 2});
const Tensor probabilities =
    Tensor::of<double>({4, 3}, {0.2, 0.3, 0.5, 1, 0, 0, 0.25, 0.25, 0.5, 0, 0.9, 0.1});

struct Golden {
  Tensor targets;
  CrossentropyOptions options;
  Values loss, gradient;  // of rows: for gy = (1, -2, 1/2, 3)
};

const Golden goldens[] = {
    {labels,
     {},
     {0.5762010765957593},
     {0.044205045526861074, 0.007681685081609108, -0.05188673060847018, -0.07038991471223377,
      0.05145915099941289, 0.01893076371282088, 0.0015844239053929756, -0.014850642842986594,
      0.01326621893759363, 0.0767989714296246, 0.1266200977639135, -0.2034190691935381}},
    {labels,
     {.label_smoothing = 0.1},
     {0.6980760765957592},
     {0.03587171219352774, -0.0006516482517242251, -0.03522006394180352, -0.05372324804556711,
      0.043125817666079556, 0.010597430379487545, -0.006748909427940358, 0.0018160238236800685,
      0.004932885604260296, 0.06846563809629126, 0.11828676443058017, -0.18675240252687145}},
    {labels,
     {.ignore_index = 2},
     {0.19595632631963478},
     {0, 0, 0, -0.14077982942446754, 0.10291830199882578, 0.03786152742564176, 0.003168847810785951,
      -0.02970128568597319, 0.02653243787518726, 0, 0, 0}},
    {labels,
     {.label_smoothing = 0.1, .ignore_index = 2},
     {0.3855396596529681},
     {0, 0, 0, -0.10744649609113421, 0.08625163533215911, 0.02119486075897509, -0.013497818855880715,
      0.003632047647360137, 0.009865771208520592, 0, 0, 0}},
    {labels,
     {.reduction = Reduction::sum},
     {2.304804306383037},
     {0.1768201821074443, 0.030726740326436432, -0.20754692243388073, -0.2815596588489351,
      0.20583660399765155, 0.07572305485128351, 0.006337695621571902, -0.05940257137194638,
      0.05306487575037452, 0.3071958857184984, 0.506480391055654, -0.8136762767741524}},
    {labels,
     {.reduction = Reduction::none, .label_smoothing = 0.1},
     {0.39095531643536596, 0.4473392760738908, 0.32374004323204547, 1.6302696706417346},
     {0.14348684877411097, -0.0026065930068969005, -0.14088025576721408, 0.42978598436453685,
      -0.34500654132863645, -0.08477944303590036, -0.013497818855880715, 0.003632047647360137,
      0.009865771208520592, 0.8215876571554952, 1.4194411731669623, -2.2410288303224575}},
    {labels,
     {.reduction = Reduction::none, .ignore_index = 2},
     {0, 0.3306726094072241, 0.061240043232045474, 0},
     {0, 0, 0, 0.5631193176978702, -0.4116732079953031, -0.15144610970256703, 0.003168847810785951,
      -0.02970128568597319, 0.02653243787518726, 0, 0, 0}},
    {probabilities,
     {},
     {1.3418260765957593},
     {-0.005794954473138929, -0.0673183149183909, 0.07311326939152982, -0.07038991471223377,
      0.05145915099941289, 0.01893076371282088, -0.06091557609460702, 0.1726493571570134,
      -0.11173378106240638, 0.0767989714296246, -0.0983799022360865, 0.02158093080646189}},
    {probabilities,
     {.label_smoothing = 0.2},
     {1.4324510765957592},
     {-0.012461621139805597, -0.06898498158505756, 0.08144660272486315, -0.037056581378900444,
      0.03479248433274622, 0.002264097046154212, -0.0650822427612737, 0.16848269049034675,
      -0.10340044772907304, 0.06013230476295793, -0.07004656890275318, 0.009914264139795223}},
    {probabilities,
     {.reduction = Reduction::none},
     {1.5076219831020325, 0.3306726094072241, 2.7487400432320452, 0.7802696706417347},
     {-0.023179817892555715, -0.2692732596735636, 0.29245307756611927, 0.5631193176978702,
      -0.4116732079953031, -0.15144610970256703, -0.12183115218921405, 0.3452987143140268,
      -0.22346756212481275, 0.9215876571554951, -1.180558826833038, 0.25897116967754263}},
};

Tensor gy_like(const Var& y) {
  return y.rank() == 0 ? Tensor::scalar(1, y.dtype())
                       : Tensor::of<double>({4}, {1, -2, 0.5, 3}).to(y.dtype());
}

}  // namespace

TEST_CASE("softmax and log_softmax give PyTorch's figures", "[losses]") {
  CHECK(distance(values_of(softmax(logits, 0).value()),
                 {0.22691700975489174, 0.012293816697721085, 0.7696050182791774, 0.6168243841849861,
                  0.055097063926916184, 0.049199202792536895, 0.018626482433469517, 0.8618630889083331,
                  0.11802275206189382, 0.13763212362665256, 0.07074603046702968, 0.06317302686639188}) <=
        1e-14);
  CHECK(distance(values_of(log_softmax(logits, 0).value()),
                 {-1.483170924140598, -4.398658850505896, -0.2618778590188728, -0.483170924140598,
                  -2.8986588505058957, -3.0118778590188726, -3.983170924140598, -0.14865885050589578,
                  -2.1368778590188726, -1.983170924140598, -2.6486588505058957, -2.7618778590188726}) <=
        1e-14);
}

TEST_CASE("softmax along any axis is softmax along the last of the transposed", "[losses]") {
  // 300 columns: more than are worked on together.
  const Tensor x = Random(1).normal({3, 7, 300}, 0, 2, DType::f64);
  const Var swapped = transpose(x, {0, 2, 1});
  CHECK(distance(values_of(softmax(x, 1).value()),
                 values_of(transpose(softmax(swapped), {0, 2, 1}).value())) <= 1e-14);
  CHECK(distance(values_of(log_softmax(x, -2).value()),
                 values_of(transpose(log_softmax(swapped), {0, 2, 1}).value())) <= 1e-14);
}

// Rows and columns of one register and more, columns of one block and more; gy is kept, so it may not change.
TEST_CASE("the gradients of softmax by one kernel are those of the formula", "[losses]") {
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const Shape shape = GENERATE(Shape{5, 1}, Shape{40, 37}, Shape{3, 7, 300}, Shape{300, 301}, Shape{0, 4});
  const int axis = GENERATE(-1, 0);
  CAPTURE(dtype, shape, axis);
  Graph g;
  const Var x = g.input(Random(1).normal(shape, 0, 1, dtype));
  const Var gy(Random(2).normal(shape, 0, 1, dtype));
  const Values before = values_of(gy.value());
  const double rounding = dtype == DType::f32 ? 2e-5 : 1e-13;
  const Var y = softmax(x, axis), log_y = log_softmax(x, axis);
  for (const Var& output : {y, log_y}) {
    const bool logarithm = output.id() == log_y.id();
    const Var weights = logarithm ? Var(softmax(x.value(), axis).value()) : Var(output.value());
    const Var total = sum(logarithm ? gy : gy * weights, {.axes = {axis}, .keep_axes = true});
    const Var expected = logarithm ? gy - weights * total : weights * (gy - total);
    const Tensor kept = gradient(output, x, {.gy = gy}).value();
    const Tensor in_place = gradient(sum(output * gy), x).value();
    const Tensor recorded = gradient(output, x, {.record = true, .gy = gy}).value();
    for (const Tensor& found : {kept, in_place, recorded})
      CHECK(distance(values_of(found), values_of(expected.value())) <= rounding);
  }
  CHECK(values_of(gy.value()) == before);
}

TEST_CASE("softmax and log_softmax are finite for logits of +-1e4", "[losses]") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = Tensor::of<double>({2, 3}, {1e4, -1e4, 0, -1e4, 1e4, 1e4}).to(dtype);
    CHECK(values_of(softmax(x).value()) == Values{1, 0, 0, 0, 0.5, 0.5});
    CHECK(distance(values_of(log_softmax(x).value()),
                   {0, -2e4, -1e4, -2e4 - std::log(2), -std::log(2), -std::log(2)}) <= 1e-6);
  }
}

TEST_CASE("NaN and +inf spread along the axis of a softmax, -inf is probability 0", "[losses]") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::int64_t length : {3, 40}) {  // without and with full vectors
      for (std::int64_t at = 0; at < length; ++at) {
        for (const double special : {nan_value, infinity}) {
          Tensor x = Random(2).normal({2, length}, 0, 1, DType::f64);
          x.mutable_values<double>()[static_cast<std::size_t>(at)] = special;
          const Values y = values_of(softmax(x.to(dtype)).value());
          const Values log_y = values_of(log_softmax(x.to(dtype)).value());
          for (std::size_t i = 0; i < y.size(); ++i) {
            REQUIRE(std::isnan(y[i]) == (static_cast<std::int64_t>(i) < length));
            REQUIRE(std::isnan(log_y[i]) == (static_cast<std::int64_t>(i) < length));
          }
        }
      }
    }
    const Tensor masked = Tensor::of<double>({3}, {0, -infinity, 0}).to(dtype);
    CHECK(values_of(softmax(masked).value()) == Values{0.5, 0, 0.5});
    CHECK(values_of(log_softmax(masked).value())[1] == -infinity);
  }
}

TEST_CASE("softmax_crossentropy gives PyTorch's losses and gradients", "[losses]") {
  for (const Golden& golden : goldens) {
    for (const DType dtype : {DType::f64, DType::f32}) {
      const double tolerance = dtype == DType::f64 ? 1e-14 : 1e-6;
      Graph g;
      const Var x = g.input(logits.to(dtype));
      const Tensor targets = is_floating(golden.targets.dtype()) ? golden.targets.to(dtype) : golden.targets;
      const Var y = softmax_crossentropy(x, targets, golden.options);
      CHECK(distance(values_of(y.value()), golden.loss) <= tolerance);
      const Var fused = gradient(y, x, {.gy = gy_like(y)});
      CHECK(distance(values_of(fused.value()), golden.gradient) <= tolerance);
      const Var recorded = gradient(y, x, {.record = true, .gy = gy_like(y)});
      CHECK(distance(values_of(recorded.value()), golden.gradient) <= tolerance);
      CHECK(recorded.is_recorded());
    }
  }
}

TEST_CASE("labels of any integer type mean the same", "[losses]") {
  for (const DType dtype : {DType::i32, DType::u8}) {
    CHECK(softmax_crossentropy(logits, labels.to(dtype)).item() ==
          softmax_crossentropy(logits, labels).item());
  }
}

TEST_CASE("the fused gradient of softmax_crossentropy is the recorded one on many rows", "[losses]") {
  const Tensor x = Random(3).normal({3, 700, 19}, 0, 3, DType::f64);  // enough for several threads
  Random random(4);
  Tensor targets({3, 700}, DType::i64);
  for (std::int64_t& label : targets.mutable_values<std::int64_t>()) label = random.below(19);
  const Tensor soft = softmax(Random(5).normal({3, 700, 19}, 0, 1, DType::f64)).value();
  for (const Reduction reduction : {Reduction::mean, Reduction::none}) {
    for (const Tensor& t : {targets, soft}) {
      CrossentropyOptions options{.reduction = reduction, .label_smoothing = 0.1};
      if (!is_floating(t.dtype())) options.ignore_index = 7;
      Graph g;
      const Var var = g.input(x);
      const Var y = softmax_crossentropy(var, t, options);
      const Tensor gy = y.rank() == 0 ? Tensor() : Random(6).normal(y.shape(), 0, 1, DType::f64);
      CHECK(distance(values_of(gradient(y, var, {.gy = gy}).value()),
                     values_of(gradient(y, var, {.record = true, .gy = gy}).value())) <= 1e-13);
    }
  }
}

// l_1 = 20000, l_2 = log(1 + e) as exp(-20000) is 0; the uniform tenth adds the mean distance from the label.
TEST_CASE("softmax_crossentropy is exact for logits of +-1e4", "[losses]") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Graph g;
    const Var x = g.input(Tensor::of<double>({2, 3}, {1e4, -1e4, 0, -1e4, 1e4, 9999}).to(dtype));
    const Tensor t = Tensor::of<std::int64_t>({2}, {1, 2});
    const Var y = softmax_crossentropy(x, t, {.reduction = Reduction::none});
    CHECK(distance(values_of(y.value()), {20000, 1.3132616875182228}) <= 1e-7);
    CHECK(distance(values_of(gradient(y, x, {.gy = Tensor::full({2}, 1, dtype)}).value()),
                   {1, -1, 0, 0, 0.7310585786300049, -0.7310585786300049}) <= 1e-7);
    const Var smooth = softmax_crossentropy(x, t, {.reduction = Reduction::none, .label_smoothing = 0.1});
    CHECK(distance(values_of(smooth.value()), {19000, 667.9132616875183}) <= 1e-6);
  }
}

TEST_CASE("without rows that count, softmax_crossentropy is 0 and so is its gradient", "[losses]") {
  for (const Reduction reduction : {Reduction::mean, Reduction::sum}) {
    Graph g;
    const Var x = g.input(logits);
    const Tensor ignored = Tensor::full({4}, -100, DType::i64);
    const Var y = softmax_crossentropy(x, ignored, {.reduction = reduction, .ignore_index = -100});
    CHECK(y.item() == 0);
    CHECK(values_of(gradient(y, x).value()) == Values(12, 0));
    CHECK(values_of(gradient(y, x, {.record = true}).value()) == Values(12, 0));

    const Var none = g.input(Tensor({0, 3}));
    const Var empty = softmax_crossentropy(none, Tensor({0}, DType::i64), {.reduction = reduction});
    CHECK(empty.item() == 0);
    CHECK(gradient(empty, none).shape() == Shape{0, 3});
    CHECK(gradient(empty, none, {.record = true}).shape() == Shape{0, 3});
  }
  CHECK(
      softmax_crossentropy(Tensor({0, 3}), Tensor({0}, DType::i64), {.reduction = Reduction::none}).shape() ==
      Shape{0});
  CHECK(softmax_crossentropy(Tensor({2, 0}), Tensor({2, 0}), {.label_smoothing = 0.5}).item() == 0);
}

TEST_CASE("NaN goes through softmax_crossentropy and stays out of ignored rows", "[losses]") {
  Tensor x = logits.clone();
  x.mutable_values<double>()[1] = nan_value;
  const CrossentropyOptions rows{.reduction = Reduction::none};
  const Values losses = values_of(softmax_crossentropy(x, labels, rows).value());
  CHECK(std::isnan(losses[0]));
  CHECK(std::count_if(losses.begin(), losses.end(), [](double v) { return std::isnan(v); }) == 1);
  CHECK(std::isnan(softmax_crossentropy(x, probabilities).item()));

  Graph g;
  const Var var = g.input(x);
  const Var y = softmax_crossentropy(var, labels, {.ignore_index = 2});
  CHECK(distance({y.item()}, {0.19595632631963478}) <= 1e-14);
  for (const bool record : {false, true}) {
    const Values gx = values_of(gradient(y, var, {.record = record}).value());
    CHECK(Values(gx.begin(), gx.begin() + 3) == Values{0, 0, 0});
    CHECK(distance({gx[3]}, {-0.14077982942446754}) <= 1e-14);
  }
}

TEST_CASE("errors of softmax_crossentropy name what was found and what was needed", "[losses]") {
  Graph g;
  const Var x = g.input(Tensor::zeros({2, 3}), "x");
  const auto scope = g.scope("head");
  const SourceLocation at{"model.cpp", 21};
  const NodeId before = g.node_count();
  CHECK_THROWS_WITH(
      softmax_crossentropy(x, Tensor::of<std::int64_t>({2}, {1, 5}), {}, at),
      "softmax_crossentropy: label 5 in row 1 is outside [0, 3): logits have 3 classes (logits: "
      "f32[2, 3], targets: i64[2]) in scope head, at model.cpp:21");
  CHECK_THROWS_AS(softmax_crossentropy(x, Tensor::zeros({3}, DType::i64)), ShapeError);
  CHECK_THROWS_AS(softmax_crossentropy(x, Tensor::zeros({2}, DType::boolean)), DTypeError);
  CHECK_THROWS_AS(softmax_crossentropy(x, Tensor::zeros({2, 3}, DType::f64)), DTypeError);
  CHECK_THROWS_AS(softmax_crossentropy(Tensor::zeros({2, 3}, DType::i32), labels), DTypeError);
  CHECK_THROWS_WITH(softmax_crossentropy(x, Tensor::zeros({2}, DType::i64), {.label_smoothing = nan_value}),
                    Catch::Contains("label_smoothing must lie in [0, 1), found nan"));
  CHECK(g.node_count() == before);
}

TEST_CASE("targets of softmax_crossentropy that depend on a parameter get no gradient", "[losses]") {
  Graph g;
  const Var x = g.input(logits), t = g.input(probabilities);
  const Var y = softmax_crossentropy(x, t);
  const std::vector<Var> found = gradient(y, {x, t}, {.record = true});
  CHECK(distance(values_of(found[0].value()), goldens[7].gradient) <= 1e-14);
  CHECK(values_of(found[1].value()) == Values(12, 0));
}

TEST_CASE("a record with softmax_crossentropy and dropout replays and passes the gradient check",
          "[losses]") {
  Graph g({.seed = 3});
  const Var x = g.input(logits.to(DType::f32), "x");
  const Var dropped = dropout(x, 0.25);
  const Var hard = softmax_crossentropy(dropped, labels, {.label_smoothing = 0.1, .ignore_index = 0});
  const Var soft = softmax_crossentropy(dropped, probabilities.to(DType::f32));
  CHECK_THAT(check_gradients(g, hard), GradientsAgree());
  CHECK_THAT(check_gradients(g, soft), GradientsAgree());
}

TEST_CASE("dropout keeps the mean and drops the share it was told", "[losses]") {
  constexpr std::int64_t count = 1'000'000;
  for (const double p : {0.1, 0.5, 0.75}) {
    Graph g;
    const Values y = values_of(dropout(g.input(Tensor::full({count}, 1)), p).value());
    const auto dropped = static_cast<double>(std::count(y.begin(), y.end(), 0.0));
    CHECK(std::abs(dropped / count - p) < 5 * std::sqrt(p * (1 - p) / count));
    double sum = 0;
    for (const double v : y) {
      REQUIRE((v == 0 || v == static_cast<double>(static_cast<float>(1 / (1 - p)))));
      sum += v;
    }
    CHECK(std::abs(sum / count - 1) < 5 * std::sqrt(p / (1 - p) / count));
  }
}

TEST_CASE("equal seeds give equal masks, each op and each seed its own", "[losses]") {
  const Tensor x = Tensor::full({64}, 1);
  const auto masks = [&](std::uint64_t seed) {
    Graph g({.seed = seed});
    const Var in = g.input(x);
    return std::vector<Values>{values_of(dropout(in, 0.5).value()), values_of(dropout(in, 0.5).value())};
  };
  CHECK(masks(1) == masks(1));
  CHECK(masks(1)[0] != masks(1)[1]);
  CHECK(masks(1)[0] != masks(2)[0]);
}

TEST_CASE("dropout's mask is the stream's words in order, of any number of elements", "[losses]") {
  Graph g({.seed = 9});
  const Var large = dropout(g.input(Tensor::full({100'003}, 1)), 0.25);  // several threads, a ragged end
  const Random random(9, 1);
  const auto y = large.value().values<float>();
  for (std::size_t i = 0; i < y.size(); ++i) {
    REQUIRE((y[i] != 0) == (random.block(i / 4)[i % 4] >= 0x40000000));
  }
}

TEST_CASE("dropout's gradient has the mask of its forward", "[losses]") {
  Graph g({.seed = 5});
  const Var x = g.input(Tensor::full({1000}, 2, DType::f64));
  const Var y = dropout(x, 0.25);
  const Tensor gy = Random(1).normal({1000}, 0, 1, DType::f64);
  const Values forward = values_of(y.value()), from = values_of(gy);
  for (const bool record : {false, true}) {
    const Values gx = values_of(gradient(y, x, {.record = record, .gy = gy}).value());
    for (std::size_t i = 0; i < gx.size(); ++i) REQUIRE(gx[i] == Approx(from[i] * forward[i] / 2).margin(0));
  }
}

TEST_CASE("dropout is its operand itself where nothing is to be dropped", "[losses]") {
  Graph g;
  const Var x = g.input(Tensor::full({4}, 1));
  CHECK(dropout(x, 0).id() == x.id());
  g.set_training(false);
  const Var y = dropout(x, 0.9);
  CHECK(y.id() == x.id());
  CHECK(y.value().shares_storage(x.value()));
  CHECK(g.node_count() == 1);
  CHECK(dropout(Tensor::full({4}, 1), 0.9).value().at({0}) == 1);  // a constant is never in training
  CHECK_THROWS_WITH(dropout(x, 1), Catch::Contains("dropout: p must lie in [0, 1), found 1 (x: f32[4])"));
  CHECK_THROWS_AS(dropout(x, nan_value), Error);
  CHECK_THROWS_AS(dropout(Tensor::zeros({2}, DType::i32), 0.5), DTypeError);
}
