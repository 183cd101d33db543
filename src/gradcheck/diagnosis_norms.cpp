// Norms: a term of the gradient that is missing.
#include <algorithm>
#include <map>

#include "gradcheck/jacobian_error.hpp"

namespace weft::diagnosis {

namespace {

constexpr double tiny = 1e-9;  // of the largest entry

// What a row lacks, at the entries that depend on one another.
struct RowError {
  std::vector<std::size_t> columns;
  std::vector<double> missing;
};

RowError error_of(const JacobianError& e, std::size_t row) {
  RowError error;
  for (std::size_t column = 0; column < e.columns; ++column) {
    const std::size_t k = row * e.columns + column;
    if (!e.has_expected(k) && !e.has_found(k)) continue;
    error.columns.push_back(column);
    error.missing.push_back(e.found(k) - e.expected(k));
  }
  return error;
}

bool is_constant(const std::vector<double>& values, double most) {
  return std::ranges::all_of(values, [&](double v) { return std::fabs(v - values[0]) <= most; });
}

bool is_proportional(const std::vector<double>& a, const std::vector<double>& b, double most) {
  const auto pivot = static_cast<std::size_t>(
      std::ranges::max_element(b, {}, [](double v) { return std::fabs(v); }) - b.begin());
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::fabs(a[i] * b[pivot] - b[i] * a[pivot]) <= most * std::fabs(b[pivot]))) return false;
  }
  return true;
}

}  // namespace

// The Jacobian of n = (x - m) / s is (1 - 1/N - n n^T / N) / s: without its second term each row is off by
// one number, without its third the rows are off by multiples of n.
std::string find_missing_term(const JacobianError& e) {
  if (e.x_shape != e.y_shape || e.wrong_entries == 0) return {};
  const double most = tiny * e.largest;
  bool constant = true, proportional = true, all_wrong = true;
  std::map<std::vector<std::size_t>, std::vector<double>> first_of;  // by what depends on one another
  std::size_t alike = 0;
  for (std::size_t row = 0; row < e.rows; ++row) {
    const RowError error = error_of(e, row);
    if (error.columns.size() < 3) return {};
    constant = constant && is_constant(error.missing, most);
    all_wrong =
        all_wrong && std::ranges::any_of(error.missing, [&](double v) { return std::fabs(v) > most; });
    const auto [first, is_new] = first_of.try_emplace(error.columns, error.missing);
    alike += !is_new;
    proportional = proportional && (is_new || is_proportional(error.missing, first->second, most));
  }
  if (constant && all_wrong) return "the term with the mean is missing: every row is off by one number";
  if (proportional && alike > e.rows / 2)
    return "the term with the variance is missing: rows are off by multiples of one another";
  return {};
}

}  // namespace weft::diagnosis
