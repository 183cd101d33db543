// Names of samples and the tokens that replay them.
#include <algorithm>
#include <catch2/catch.hpp>

#include "gradcheck/token.hpp"
#include "weft/op_info.hpp"

using namespace weft;
using Catch::Matchers::Contains;

namespace {

OpInfo op_with(Samples samples) {
  return {.name = "op",
          .arguments = {{"x"}},
          .attributes = {{"stride"}, {"padding"}, {"dilation"}, {"pad_value"}, {"flip"}},
          .call = {},
          .reference = []<class T>(const Inputs<T>& x, const Attributes&) { return x[0]; },
          .samples = std::move(samples)};
}

}  // namespace

TEST_CASE("a sample is named by the attributes it sets, each by its shortest clear beginning", "[names]") {
  const OpInfo info = op_with(samples()
                                  .shapes({{2, 3}})
                                  .with({{"stride", {2, 3}}, {"padding", {2, 0, 0, 1}}})
                                  .shapes({{2, 3}})
                                  .with({{"padding", "same"}, {"flip", true}})
                                  .shapes({{2, 3}})
                                  .with({{"pad_value", 0.5}, {"dilation", -1}}));
  CHECK(sample_names(info) == std::vector<std::string>{"s2x3_padd2x0x0x1", "paddsame_f1", "pad_0.5_d-1"});
}

TEST_CASE("samples of equal attributes are told apart by pattern, shapes and at last a number", "[names]") {
  const OpInfo info = op_with(samples()
                                  .shapes({{2, 3}, {5}})
                                  .shapes({{}})
                                  .shapes({{7}})
                                  .pattern(Pattern::ties)
                                  .shapes({{7}})
                                  .with({{"stride", 2}})
                                  .shapes({{8}})
                                  .with({{"stride", 2}})
                                  .shapes({{8}})
                                  .with({{"stride", 2}}));
  CHECK(sample_names(info) == std::vector<std::string>{"2x3.5", "scalar", "ties", "s2_7", "s2_8", "s2_8~2"});
}

TEST_CASE("every op's samples have names that are unique and need no quoting in a shell", "[names]") {
  for (const OpInfo* info : all_ops()) {
    INFO(info->name);
    std::vector<std::string> names = sample_names(*info);
    CHECK(names.size() == info->samples.list().size());
    for (const std::string& name : names) {
      INFO(name);
      CHECK_FALSE(name.empty());
      CHECK(std::ranges::all_of(name, [](unsigned char c) {
        return std::isalnum(c) || std::string_view("._-+~").find(static_cast<char>(c)) != std::string::npos;
      }));
      CHECK(name.front() != '~');
    }
    std::ranges::sort(names);
    CHECK(std::ranges::adjacent_find(names) == names.end());
  }
}

TEST_CASE("a token is written and read back", "[names]") {
  for (const char* text : {"conv2d:s2x3_p2x0x0x1:5eed", "conv2d:s2x3", "conv2d", "a:b~2:ffffffffffffffff"}) {
    CHECK(to_string(parse_token(text)) == text);
  }
  CHECK(parse_token("conv2d:s2:5eed") == Token{"conv2d", "s2", 0x5eed});
}

TEST_CASE("a wrong token is refused, and the message says which part is wrong", "[names]") {
  CHECK_THROWS_WITH(parse_token(""), "token '' does not begin with an op");
  CHECK_THROWS_WITH(parse_token(":s2:1"), "token ':s2:1' does not begin with an op");
  CHECK_THROWS_WITH(parse_token("conv2d::1"), "token 'conv2d::1' names no sample behind its ':'");
  CHECK_THROWS_WITH(parse_token("conv2d:s2:xyz"),
                    "the seed 'xyz' of token 'conv2d:s2:xyz' must be a hexadecimal number");
  CHECK_THROWS_WITH(parse_token("conv2d:s2:"), Contains("must be a hexadecimal number"));
  CHECK_THROWS_WITH(parse_token("a:b:12345678901234567"), Contains("more than 16 hexadecimal digits"));
  CHECK_THROWS_WITH(op_of(parse_token("conv2"), all_ops()),
                    Contains("there is no op 'conv2'; similar are conv2d"));
  const OpInfo info = op_with(samples().shapes({{2}}).with({{"stride", 2}}));
  CHECK(sample_of(parse_token("op:s2"), info) == 0);
  CHECK_THROWS_WITH(sample_of(parse_token("op:s3"), info), "op op has no sample 's3'; similar are s2");
}
