// The operators of ops.hpp: vars go to the ops of two operands, a number becomes an attribute of an op of
// one.
#include <fmt/format.h>

#include "weft/ops.hpp"

namespace weft {

namespace {

[[noreturn]] void throw_no_var(char symbol, const Operand& a) {
  const std::string at = to_string(a.at());
  throw GraphError(fmt::format("operator{}: no operand is a var, so there is nothing to record{}{}", symbol,
                               at.empty() ? "" : ", at ", at));
}

}  // namespace

Var operator+(const Operand& a, const Operand& b) {
  if (a.var() && b.var()) return add(*a.var(), *b.var(), a.at());
  if (a.var()) return shift(*a.var(), b.number(), a.at());
  if (b.var()) return shift(*b.var(), a.number(), b.at());
  throw_no_var('+', a);
}

Var operator-(const Operand& a, const Operand& b) {
  if (a.var() && b.var()) return subtract(*a.var(), *b.var(), a.at());
  if (a.var()) return shift(*a.var(), -b.number(), a.at());
  if (b.var()) return shift(negate(*b.var(), b.at()), a.number(), b.at());
  throw_no_var('-', a);
}

Var operator*(const Operand& a, const Operand& b) {
  if (a.var() && b.var()) return multiply(*a.var(), *b.var(), a.at());
  if (a.var()) return scale(*a.var(), b.number(), a.at());
  if (b.var()) return scale(*b.var(), a.number(), b.at());
  throw_no_var('*', a);
}

// A number divides as its rounded reciprocal multiplies: the last bit may differ from a division's.
Var operator/(const Operand& a, const Operand& b) {
  if (a.var() && b.var()) return divide(*a.var(), *b.var(), a.at());
  if (a.var()) return scale(*a.var(), 1 / b.number(), a.at());
  if (b.var()) return scale(pow(*b.var(), -1, b.at()), a.number(), b.at());
  throw_no_var('/', a);
}

Var operator-(const Operand& a) {
  if (a.var()) return negate(*a.var(), a.at());
  throw_no_var('-', a);
}

}  // namespace weft
