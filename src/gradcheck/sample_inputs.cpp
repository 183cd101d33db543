// The operands of a sample.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "weft/gradcheck.hpp"
#include "weft/random.hpp"

namespace weft {

namespace {

// A random permutation of odd multiples of half a gap: distinct, never 0, of both signs where the domain has
// both. The gap is 2^-5 and smaller only where that many values would leave (-4, 4). All lie on the grid
// 2^-12, so f32 holds them.
std::vector<double> generic_values(std::int64_t count, const Domain& domain, Random& random) {
  const bool one_sided = std::isfinite(domain.low);
  double gap = 0x1p-5;
  while (gap > 0x1p-11 && static_cast<double>(count) * gap > (one_sided ? 3.5 : 7.5)) gap /= 2;
  std::vector<double> values;
  for (const std::int64_t k : random.permutation(count)) {
    const double step = (2.0 * static_cast<double>(k) + 1) * gap / 2;
    values.push_back(one_sided ? domain.low + step : step - gap * static_cast<double>(count / 2));
  }
  return values;
}

double patterned(Pattern pattern, double generic, std::int64_t i, std::int64_t count, Random& random) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double tied[] = {-0.5, 0.25, 0.75};
  constexpr double large[] = {80, -80, 1e3, -1e3};
  switch (pattern) {
    case Pattern::generic:
      break;
    case Pattern::ties:
      return tied[random.below(3)];
    case Pattern::zeros:
      return random.below(2) == 0 ? 0 : generic;
    case Pattern::all_equal:
      return 0.75;
    case Pattern::negative:
      return generic - 8;
    case Pattern::large:
      return large[random.below(4)];
    case Pattern::tiny:
      return std::copysign(static_cast<double>(1e-20F), generic);
    case Pattern::special:
      if (i == count / 3) return std::numeric_limits<double>::quiet_NaN();
      if (i == count / 2) return infinity;
      if (i == count - 1) return -infinity;
      break;
  }
  return generic;
}

std::vector<double> floating_values(const Sample& sample, const Domain& domain, std::int64_t count,
                                    Random& random) {
  std::vector<double> values = generic_values(count, domain, random);
  for (std::int64_t i = 0; i < count; ++i) {
    double& value = values[static_cast<std::size_t>(i)];
    value = patterned(sample.pattern, value, i, count, random);
    if (value < domain.low && sample.pattern != Pattern::special) value = std::fabs(value);
  }
  return values;
}

std::vector<double> integer_values(const OpInfo& info, const Argument& argument, const Sample& sample,
                                   std::int64_t count, Random& random) {
  std::int64_t bound = argument.dtype == DType::boolean ? 2 : 0;
  if (argument.domain.index_of >= 0) {
    const Shape& indexed = sample.shapes[static_cast<std::size_t>(argument.domain.index_of)];
    const int axis = argument.domain.index_axis;
    if (indexed.rank() > 0 && axis < indexed.rank()) bound = indexed[axis];
  } else if (std::isfinite(argument.domain.high)) {
    bound = static_cast<std::int64_t>(argument.domain.high);
  }
  if (bound < 1 && count > 0) {
    throw Error(fmt::format("{}: the samples of argument {} need a domain or given values", info.name,
                            argument.name));
  }
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<double>(random.below(bound)));
  return values;
}

DType element_type(const Argument& argument, const Sample& sample, int i, DType floating) {
  DType usual = argument.dtype;
  if (argument.role == Role::index && is_floating(usual)) usual = DType::i64;
  for (const auto& [which, given] : sample.dtypes) {
    if (which == i) usual = given;
  }
  return is_floating(usual) ? floating : usual;
}

}  // namespace

std::vector<Tensor> sample_inputs(const OpInfo& info, const Sample& sample, std::uint64_t seed, DType dtype) {
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < sample.shapes.size(); ++i) {
    const Argument& argument = info.arguments[std::min(i, info.arguments.size() - 1)];
    const DType element = element_type(argument, sample, static_cast<int>(i), dtype);
    const bool floating = is_floating(element);
    const std::int64_t count = sample.shapes[i].elements();
    Random random(seed, i);
    std::vector<double> values;
    for (const auto& [which, given] : sample.values) {
      if (which == static_cast<int>(i)) values = given;
    }
    if (values.empty()) {
      values = floating ? floating_values(sample, argument.domain, count, random)
                        : integer_values(info, argument, sample, count, random);
    }
    inputs.push_back(Tensor::of(sample.shapes[i], values).to(element));
  }
  return inputs;
}

}  // namespace weft
