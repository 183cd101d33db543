// The bugs by subject.
#pragma once

#include <vector>

#include "mutants/planted_bugs.hpp"

namespace weft {

using PlantedBugs = std::vector<PlantedBug>;

PlantedBugs conv2d_bugs();
PlantedBugs pool2d_bugs();
PlantedBugs pad_relu_softmax_bugs();
PlantedBugs crossentropy_bugs();
PlantedBugs matmul_elementwise_bugs();
PlantedBugs norm_bugs();
PlantedBugs shape_random_bugs();
PlantedBugs engine_bugs();
PlantedBugs execution_bugs();

PlantedBugs naive_conv2d_rules();
PlantedBugs naive_pool2d_rules();
PlantedBugs naive_crossentropy_rules();

}  // namespace weft
