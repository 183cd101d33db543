// Catch2 matchers for the gradient checker, for Catch2 2.x and 3.x. Include it after Catch2's own header.
//   REQUIRE_THAT(check_gradients(g, loss), GradientsAgree());
// A failure prints the text of the report.
#pragma once

#include <string>

#if __has_include(<catch2/matchers/catch_matchers.hpp>)
#include <catch2/catch_tostring.hpp>
#include <catch2/matchers/catch_matchers.hpp>
namespace weft::detail {
template <class T>
using CatchMatcher = Catch::Matchers::MatcherBase<T>;
}
#else
#include <catch2/catch.hpp>
namespace weft::detail {
template <class T>
using CatchMatcher = Catch::MatcherBase<T>;
}
#endif

#include "weft/gradcheck.hpp"

template <>
struct Catch::StringMaker<weft::GradcheckReport> {
  static std::string convert(const weft::GradcheckReport& report) { return weft::to_text(report); }
};

namespace weft {

struct GradientsAgree : detail::CatchMatcher<GradcheckReport> {
  bool match(const GradcheckReport& report) const override { return static_cast<bool>(report); }
  std::string describe() const override { return "gradients agree"; }
};

}  // namespace weft
