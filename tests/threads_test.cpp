// The number of threads. The environment variable is tested from outside (programs/threads.sh).
#include "weft/threads.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <limits>
#include <thread>

#include "threads_restored.hpp"
#include "weft/nn.hpp"
#include "weft/ops.hpp"
#include "weft/optim.hpp"
#include "weft/random.hpp"

using namespace weft;
using Catch::Contains;

namespace {

// All bits of the parameters and of the losses of 20 steps, and of the gradients of the last one.
std::vector<Tensor> training() {
  const nn::Sequential model{nn::Conv2d("conv1", 3, 8, {.window = 4, .padding = same, .relu = true}),
                             nn::Pool2d({.window = 8, .stride = 8}),
                             nn::Conv2d("conv2", 8, 16, {.window = 2, .padding = same, .relu = true}),
                             nn::BatchNorm("norm", 16),
                             nn::Pool2d(),
                             nn::Flatten(),
                             nn::Dropout(0.25),
                             nn::Linear("dense", 256, 6)};
  const Tensor images = Random(1, "images").normal({64, 64, 64, 3}, 0, 1);
  Tensor labels({64}, DType::i64);
  Random random(1, "labels");
  for (std::int64_t& label : labels.mutable_values<std::int64_t>()) label = random.below(6);

  const std::vector<Parameter> parameters = parameters_of(model);
  Adam adam(parameters, {});
  Graph g({.seed = 3});
  std::vector<Tensor> results;
  for (int step = 0; step < 20; ++step) {
    g.clear();
    adam.zero_grad();
    const Var loss = softmax_crossentropy(model(g.input(images)), g.input(labels));
    g.backward(loss);
    adam.step();
    results.push_back(loss.value());
  }
  for (const Parameter& parameter : parameters) {
    results.push_back(parameter.value());
    results.push_back(parameter.grad());
  }
  return results;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  const auto x = a.values<float>(), y = b.values<float>();
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size_bytes()) == 0;
}

}  // namespace

TEST_CASE("the number of threads is what was set, for the calling thread alone", "[threads]") {
  const ThreadsRestored restored;
  const int before = threads();
  CHECK(before >= 1);
  set_threads(3);
  CHECK(threads() == 3);
  int of_another = 0;
  std::thread([&] { of_another = threads(); }).join();
  CHECK(of_another == before);
  set_threads(1);
  CHECK(threads() == 1);
}

TEST_CASE("a number of threads that cannot be is an error and changes nothing", "[threads]") {
  const ThreadsRestored restored;
  set_threads(2);
  for (const int n : {0, -1, 1025, std::numeric_limits<int>::min()}) {
    CHECK_THROWS_WITH(set_threads(n), Contains("takes 1 to 1024 threads, found " + std::to_string(n)));
    CHECK(threads() == 2);
  }
}

TEST_CASE("training gives the same bits from run to run for one number of threads", "[threads]") {
  const ThreadsRestored restored;
  const int n = GENERATE(1, 2);
  set_threads(n);
  const std::vector<Tensor> first = training(), second = training();
  REQUIRE(first.size() == second.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    CAPTURE(n, i);
    CHECK(same_bits(first[i], second[i]));
  }
}
