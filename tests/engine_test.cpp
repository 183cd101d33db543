#include <catch2/catch.hpp>

#include "weft/gradcheck_catch2.hpp"
#include "weft/weft.hpp"

using namespace weft;

namespace {

Tensor vector_of(std::initializer_list<double> values) {
  return Tensor::of<double>({static_cast<std::int64_t>(values.size())}, values);
}

}  // namespace

TEST_CASE("a var used k times gets k contributions", "[engine]") {
  for (int uses = 1; uses <= 9; ++uses) {
    Graph g;
    const Var x = g.input(vector_of({1, -2, 3}), "x");
    Var y = x;
    for (int i = 1; i < uses; ++i) y = add(y, x);
    const Var gx = gradient(sum(y), x);
    for (int i = 0; i < 3; ++i) CHECK(gx.value().at({i}) == uses);
  }
}
