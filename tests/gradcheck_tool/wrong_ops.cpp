// weft-gradcheck over two ops of its own, one of which is wrong, and planted bugs of every fate.
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

}  // namespace

int main(int argc, char** argv) {
  const OpInfo right = scaled_tanh("right", 1), wrong = scaled_tanh("wrong", 1.5);
  const OpInfo* const infos[] = {&right, &wrong};
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
  };
  return gradcheck_main(argc, argv, infos, bugs);
}
