#include "mutants/planted_bugs.hpp"

#include <algorithm>

#include "mutants/lists.hpp"

namespace weft {

namespace {

// What a right `likely` line has to say, by id and, where its entries differ, by title.
struct Mistake {
  std::string_view id, title, text;
};
constexpr Mistake mistakes[] = {
    {"M01", "", "stride is ignored"},
    {"M02", "", "stride is ignored"},
    {"M03", "", "strides are exchanged"},
    {"M04", "", "padding is off by -1"},
    {"M05", "", "the padding in front and the one behind are exchanged"},
    {"M06", "", "last row is dropped"},
    {"M07", "", "filter is flipped"},
    {"M08", "", "only the first image"},
    {"M09", "", "off by 1/n"},
    {"M10", "", "only the first column along w of y"},
    {"M11", "", "k of y and c of x are exchanged"},
    {"M12", "", "dilation is ignored"},
    {"M13", "", "all groups go to group 0"},
    {"M14", "", "overwritten, not added"},
    {"M15", "", "ties gets gy"},
    {"M16", "max pool: gradient to the last tie", "the last, not the first"},
    {"M16", "max pool: each tie's gradient to the first", "one tie counts several times"},
    {"M17", "", "stride is ignored"},
    {"M18", "", "overwritten, not added"},
    {"M19", "", "padding counts as elements of 0"},
    {"M20", "", "index within the window is read as one within the image"},
    {"M21", "", "ties gets gy"},
    {"M22", "mean pool: divisor counts padding", "divisor counts the padding"},
    {"M22", "mean pool: divisor does not count padding", "divisor leaves out the padding"},
    {"M23", "", "stride is ignored"},
    {"M24", "", "slice [p:-p] is empty"},
    {"M25", "", "crop begins at the padding behind"},
    {"M26", "", "made from something else"},
    {"M27", "", "passes where it should be stopped"},
    {"M29", "", "the term with the sum over that axis is missing"},
    {"M30", "", "wrong axis"},
    {"M31", "", "off by n"},
    {"M32", "", "off by 1/c"},
    {"M33", "", "does not use gy"},
    {"M34", "", "overflows"},
    {"M35", "labels off by one", "off by -1"},
    {"M35", "repeated labels counted once", "repeated ones may be counted once"},
    {"M36", "", "transpose is missing"},
    {"M37", "", "sum over the others is missing"},
    {"M38", "", "two gradients are exchanged"},
    {"M39", "", "summed over axes (0) of y, not over (1)"},
    {"M40", "scalar not summed", "their sum is missing"},
    {"M40", "extent 1 lost", "axis of extent 1"},
    {"M41", "", "off by"},
    {"M42", "mean term dropped", "the term with the mean is missing"},
    {"M42", "variance term dropped", "the term with the variance is missing"},
    {"M42", "rank 3 read as 2", "the term with the sum over that axis is missing"},
    {"M43", "sign of gb", "sign is wrong"},
    {"M43", "exponent p", "an exponent"},
    {"M44", "", "permutation is applied where its inverse belongs"},
    {"M45", "offset by one", "shifted by 1"},
    {"M45", "repeated index assigned", "overwritten, not added"},
    {"M46", "fresh mask", "another mask than the forward's"},
    {"M46", "1/(1-p) missing", "off by (1 - p)"},
    {"M47", "", "b is counted"},
    {"M48", "", "has to refuse"},
    {"G01", "", "overwrites the gradient of an earlier one"},
    {"G02", "", "share is added to in place"},
    {"G03", "", "used 5, 6, 7 times"},
    {"G04", "", "before all its consumers"},
    {"G05", "", "an earlier call left"},
    {"G06", "", "into a constant"},
    {"G07", "gy taken for a stretched scalar", "taken for one number"},
    {"G07", "writes into a gy sharing storage", "in place in gy"},
    {"G08", "", "in place in the output y"},
    {"G09", "", "a constant or a sum in f32"},
    {"G10", "", "race between threads"},
    {"G11", "", "set up for another call"},
    {"G12", "", "unrecorded (fused) path"},
    {"G13", "", "conv2d_weight_gradient"},
    {"G14", "f32 kernel wrong in the tail", "the rest that vectors of"},
    {"G14", "f32 kernel wrong for 16 channels", "only f32 is wrong, with an extent of 16"},
    {"G15", "", "only where another one is wanted too"},
};

std::string_view mistake_of(const PlantedBug& bug) {
  const auto found = std::ranges::find_if(mistakes, [&](const Mistake& mistake) {
    return mistake.id == bug.id && (mistake.title.empty() || mistake.title == bug.title);
  });
  return found == std::end(mistakes) ? std::string_view() : found->text;
}

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
  for (PlantedBug& bug : bugs) bug.mistake = mistake_of(bug);
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
