// A token names a case that can be replayed: "conv2d:s2x3_p2x0x0x1:5eed".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "weft/gradcheck.hpp"

namespace weft {

struct Token {
  std::string op, sample;             // sample: one of sample_names; empty: all
  std::optional<std::uint64_t> seed;  // written in hexadecimal

  friend bool operator==(const Token&, const Token&) = default;
};

std::string to_string(const Token& token);

// "op", "op:sample" or "op:sample:seed". Throws Error that names the part that is wrong.
Token parse_token(std::string_view text);

// What the token names. The functions throw Error that lists the nearest names where there is none.
const OpInfo& op_of(const Token& token, std::span<const OpInfo* const> infos);
std::size_t sample_of(const Token& token, const OpInfo& info);  // its position in the list of samples

}  // namespace weft
