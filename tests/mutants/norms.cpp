// Bugs of the norms: M42.
#include "mutants/lists.hpp"
#include "mutants/naive.hpp"

namespace weft {

namespace {

enum class Defect { mean_term_dropped, variance_term_dropped, rank_3_read_as_2 };

// gx = gamma / s (gy - mean gy - n mean gy n), n = (x - m) / s
OpInfo defective(const OpInfo& info, Defect defect) {
  return with_gradients(info, [defect](const Var& y, const Var& gy, Gradients& gx) {
    if (!gx.wants(0) || gx.shape(0).elements() == 0) return;
    const Var x = gx.input(0), gamma = gx.input(1);
    Ints axes, rows;
    for (int axis = 0; axis + 1 < x.rank(); ++axis) axes.push_back(axis);
    rows = defect == Defect::rank_3_read_as_2 && x.rank() == 3 ? Ints{0} : axes;
    const Var centred = x - mean(x, {.axes = axes});
    const double epsilon = node_attributes(y).find("epsilon")->as<double>();
    const Var inverse = pow(mean(centred * centred, {.axes = axes}) + epsilon, -0.5);
    const Var normal = centred * inverse;
    Var g = gy;
    if (defect != Defect::mean_term_dropped) g = g - mean(gy, {.axes = rows, .keep_axes = true});
    if (defect != Defect::variance_term_dropped) {
      g = g - normal * mean(gy * normal, {.axes = rows, .keep_axes = true});
    }
    gx.set(0, gamma * inverse * g);
  });
}

PlantedBug bug(std::string_view title, std::string_view exposed, Defect defect) {
  return {.id = "M42",
          .op = "batch_norm",
          .argument = "x",
          .title = title,
          .exposed = exposed,
          .plant = [defect](const OpInfo& info) { return defective(info, defect); }};
}

}  // namespace

PlantedBugs norm_bugs() {
  return {
      bug("mean term dropped", "gy not constant", Defect::mean_term_dropped),
      bug("variance term dropped", "gy not constant", Defect::variance_term_dropped),
      bug("rank 3 read as 2", "rank 3", Defect::rank_3_read_as_2),
  };
}

}  // namespace weft
