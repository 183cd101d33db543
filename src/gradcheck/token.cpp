#include "gradcheck/token.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <vector>

namespace weft {

namespace {

std::uint64_t parse_seed(std::string_view digits, std::string_view token) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seed, 16);
  if (error == std::errc::result_out_of_range) {
    throw Error(
        fmt::format("the seed '{}' of token '{}' has more than 16 hexadecimal digits", digits, token));
  }
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    throw Error(fmt::format("the seed '{}' of token '{}' must be a hexadecimal number", digits, token));
  }
  return seed;
}

// Levenshtein's distance: how many letters to insert, remove or replace.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// "conv2d, conv2d_input_gradient": the names nearest to `wanted`.
std::string nearest(std::string_view wanted, std::vector<std::string> names) {
  constexpr std::size_t most = 3;
  std::ranges::stable_sort(names, {}, [&](const std::string& name) { return edit_distance(wanted, name); });
  if (names.size() > most) names.resize(most);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string to_string(const Token& token) {
  std::string out = token.op;
  if (token.sample.empty()) return out;
  out += ":" + token.sample;
  if (token.seed) out += fmt::format(":{:x}", *token.seed);
  return out;
}

Token parse_token(std::string_view text) {
  const std::size_t first = text.find(':');
  Token token{.op = std::string(text.substr(0, first)), .sample = {}, .seed = {}};
  if (token.op.empty()) throw Error(fmt::format("token '{}' does not begin with an op", text));
  if (first == std::string_view::npos) return token;
  const std::string_view rest = text.substr(first + 1);
  const std::size_t second = rest.find(':');
  token.sample = rest.substr(0, second);
  if (token.sample.empty()) throw Error(fmt::format("token '{}' names no sample behind its ':'", text));
  if (second != std::string_view::npos) token.seed = parse_seed(rest.substr(second + 1), text);
  return token;
}

const OpInfo& op_of(const Token& token, std::span<const OpInfo* const> infos) {
  std::vector<std::string> names;
  for (const OpInfo* info : infos) {
    if (info->name == token.op) return *info;
    names.emplace_back(info->name);
  }
  throw Error(fmt::format("there is no op '{}'; similar are {}", token.op, nearest(token.op, names)));
}

std::size_t sample_of(const Token& token, const OpInfo& info) {
  const std::vector<std::string> names = sample_names(info);
  const auto found = std::ranges::find(names, token.sample);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  throw Error(fmt::format("op {} has no sample '{}'; similar are {}", info.name, token.sample,
                          nearest(token.sample, names)));
}

}  // namespace weft
