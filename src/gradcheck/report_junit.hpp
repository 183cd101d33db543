#pragma once

#include <string>

#include "weft/gradcheck.hpp"

namespace weft {

// The report in the XML of JUnit, which CI systems read: a suite for each op, a case for each check of each
// sample; what is unresolved is a failure.
std::string to_junit(const GradcheckReport& report);

}  // namespace weft
