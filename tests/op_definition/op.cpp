// An op's info. With WITHOUT_REFERENCE or WITHOUT_SAMPLES it must not compile.
#include "weft/op_info.hpp"

namespace weft {

const OpInfo& forgetful_info() {
  static const OpInfo info{
      .name = "forgetful",
      .arguments = {{"x"}},
      .call = [](std::span<const Var> x, const Attributes&) { return x[0]; },
#ifndef WITHOUT_REFERENCE
      .reference = []<class T>(const Inputs<T>& x, const Attributes&) { return x[0]; },
#endif
#ifndef WITHOUT_SAMPLES
      .samples = samples().shapes({{2, 3}}),
#endif
  };
  return info;
}

}  // namespace weft
