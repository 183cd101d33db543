// The training steps that are measured, of models whose parameters, data and optimiser they own.
#pragma once

#include <functional>
#include <map>
#include <string>

using Step = std::function<double()>;  // returns the loss, so that nothing is optimised away

extern const std::map<std::string, Step (*)()> steps;  // by row of the table
