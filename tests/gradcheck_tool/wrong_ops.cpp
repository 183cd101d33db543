// weft-gradcheck over three ops of its own, one of which is wrong and one of which cannot be told, and
// planted bugs of every fate.
#include <stdexcept>

#include "weft/gradcheck.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

using namespace weft;

namespace {

OpInfo scaled_tanh(std::string_view name, double factor) {
  OpInfo info{
      .name = name,
      .arguments = {{"x"}},
      .call = [](std::span<const Var> x, const Attributes&) { return tanh(x[0]); },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            using std::tanh;
            return map_reference(x[0], [](const T& v) { return tanh(v); });
          },
      .samples = samples().shapes({{2, 3}}).shapes({{5}}),
  };
  return with_rule(info, [factor](const Var& y, const Var& gy, Gradients& gx, const Attributes&) {
    gx.set(0, gy * (1 - y * y) * factor);
  });
}

// Its gradient is 0 everywhere, which it does not declare.
OpInfo nothing() {
  return {
      .name = "nothing",
      .arguments = {{"x"}},
      .call = [](std::span<const Var> x, const Attributes&) { return x[0] * 0.0; },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes&) {
            return map_reference(x[0], [](const T& v) { return v * T(0); });
          },
      .samples = samples().shapes({{2, 3}}),
  };
}

}  // namespace

int main(int argc, char** argv) {
  const OpInfo right = scaled_tanh("right", 1), wrong = scaled_tanh("wrong", 1.5), flat = nothing();
  const OpInfo* const infos[] = {&right, &wrong, &flat};
  const PlantedBug bugs[] = {
      {.id = "B01",
       .op = "right",
       .argument = "x",
       .title = "gradient doubled",
       .exposed = "any",
       .plant = [](const OpInfo&) { return scaled_tanh("right", 2); }},
      {.id = "B02", .op = "missing", .argument = "x", .title = "an op that does not exist", .exposed = "any"},
      {.id = "B03",
       .op = "wrong",
       .argument = "x",
       .title = "no bug at all",
       .exposed = "nothing",
       .plant = [](const OpInfo&) { return scaled_tanh("wrong", 1); }},
      {.id = "B04",
       .op = "nothing",
       .argument = "x",
       .title = "a defect that cannot be planted",
       .exposed = "nothing",
       .plant = [](const OpInfo&) -> OpInfo { throw std::runtime_error("no place for it"); }},
  };
  return gradcheck_main(argc, argv, infos, bugs);
}
