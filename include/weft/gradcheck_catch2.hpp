// Catch2 matchers for the gradient checker, for Catch2 2.x and 3.x. Include it after Catch2's own header.
//   REQUIRE_THAT(check_gradients(g, loss), GradientsAgree());
// A failure prints the text of the report; GradientsAgree({.diagram = "fail.html"}) draws it too. Needs
// weft::weft.
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

void draw_failed_check(const GradcheckReport& report,
                       const std::string& file) noexcept;  // diagram.hpp

struct AgreeOptions {
  std::string diagram = {};  // what check_gradients found to be wrong is drawn there; empty: nowhere
};

class GradientsAgree : public detail::CatchMatcher<GradcheckReport> {
 public:
  explicit GradientsAgree(AgreeOptions options = {}) : options_(std::move(options)) {}
  bool match(const GradcheckReport& report) const override {
    if (report) return true;
    if (!options_.diagram.empty()) draw_failed_check(report, options_.diagram);
    return false;
  }
  std::string describe() const override { return "gradients agree"; }

 private:
  AgreeOptions options_;
};

}  // namespace weft
