#include "mutants/planted_bugs.hpp"

#include <algorithm>

#include "mutants/lists.hpp"

namespace weft {

namespace {

PlantedBugs joined(std::initializer_list<PlantedBugs> lists) {
  PlantedBugs all;
  for (const PlantedBugs& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

PlantedBugs all_planted_bugs() {
  PlantedBugs bugs =
      joined({conv2d_bugs(), pool2d_bugs(), pad_relu_softmax_bugs(), crossentropy_bugs(),
              matmul_elementwise_bugs(), norm_bugs(), shape_random_bugs(), engine_bugs(), execution_bugs()});
  // M before G, as in the specification.
  std::ranges::stable_sort(bugs, [](const PlantedBug& a, const PlantedBug& b) {
    return a.id[0] != b.id[0] ? a.id[0] > b.id[0] : a.id < b.id;
  });
  return bugs;
}

}  // namespace

std::span<const PlantedBug> planted_bugs() {
  static const PlantedBugs bugs = all_planted_bugs();
  return bugs;
}

std::span<const PlantedBug> naive_rules() {
  static const PlantedBugs rules =
      joined({naive_conv2d_rules(), naive_pool2d_rules(), naive_crossentropy_rules()});
  return rules;
}

}  // namespace weft
