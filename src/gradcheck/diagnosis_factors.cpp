// D1, D4: gradients that are right up to a factor.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "gradcheck/jacobian_error.hpp"

namespace weft::diagnosis {

namespace {

struct Quantity {
  std::string name;
  double value;
};

// What a factor may be made of, the likeliest first.
class Quantities {
 public:
  explicit Quantities(const JacobianError& e) {
    const Shape& x = e.x_shape;
    if (e.has_attribute("stride")) {
      add_image(e);
    } else if (e.wrong.info.group == OpGroup::loss && x.rank() > 0) {
      add("n", static_cast<double>(x.elements()) / static_cast<double>(std::max<std::int64_t>(x[-1], 1)));
      add("c", static_cast<double>(x[-1]));
    } else if (x.elements() != e.y_shape.elements()) {
      const auto size_x = static_cast<double>(x.elements()),
                 size_y = static_cast<double>(e.y_shape.elements());
      add(fmt::format("the number of elements of {} that one of y reads", e.argument), size_x / size_y);
      add("the size of y", size_y);
      reduces_ = true;
      add(fmt::format("the size of {}", e.argument), size_x);
    }
    sizes_ = list_.size();
    for (const auto& [name, value] : e.wrong.attributes) {
      if (!value.is<double>() && !value.is<std::int64_t>()) continue;
      const double number = value.as<double>();
      add(name, number);
      if (number > 0 && number < 1) add(fmt::format("(1 - {})", name), 1 - number);
    }
    if (e.has_attribute("stride") || x.elements() == e.y_shape.elements()) return;
    for (const JointAxis& axis : e.axes) {
      add(fmt::format("the extent of {}", axis.name), static_cast<double>(axis.extent));
    }
  }
  const std::vector<Quantity>& list() const { return list_; }
  bool are_of_a_reduction() const { return reduces_; }
  // Those that are divided or multiplied by one another where an op averages.
  std::span<const Quantity> sizes() const { return std::span(list_).first(sizes_); }

 private:
  void add(std::string name, double value) {
    if (value > 0 && value != 1) list_.push_back({std::move(name), value});
  }

  void add_image(const JacobianError& e) {
    const Shape &first = e.wrong.shapes[0], &y = e.y_shape;
    if (first.rank() != 4 || y.rank() != 4) return;
    add("n", static_cast<double>(first[0]));
    if (e.wrong.shapes.size() > 1 && e.wrong.shapes[1].rank() == 4) {
      const Shape& w = e.wrong.shapes[1];
      add("(kh kw)", static_cast<double>(w[0] * w[1]));
      add("(kh kw c_in)", static_cast<double>(w[0] * w[1] * w[2]));
      add("c_in", static_cast<double>(w[2]));
      add("c_out", static_cast<double>(w[3]));
    } else {
      add("c", static_cast<double>(first[3]));
    }
    for (const char* name : {"window", "stride"}) {
      const AttributeValue* value = e.wrong.attributes.find(name);
      if (!value || !value->is<Ints>() || value->as<Ints>().size() != 2) continue;
      const Ints size = value->as<Ints>();
      add(fmt::format("the {}'s area", name), static_cast<double>(size[0] * size[1]));
    }
    add("the output's area h w", static_cast<double>(y[1] * y[2]));
    add("the image's area h w", static_cast<double>(first[1] * first[2]));
  }

  std::vector<Quantity> list_;
  std::size_t sizes_ = 0;
  bool reduces_ = false;
};

bool is_near(double a, double b) { return std::fabs(a - b) <= 1e-6 * std::fabs(b); }

std::string number_text(double value) { return fmt::format("{:.6g}", value); }

// c, which is positive, by its parts: "1/n (n = 2)".
std::string factor_text(const Quantities& quantities, double c) {
  for (const auto& [name, value] : quantities.list()) {
    if (is_near(c, value)) return fmt::format("{} ({})", name, number_text(value));
    if (is_near(c, 1 / value)) return fmt::format("1/{} (1/{})", name, number_text(value));
  }
  for (const double whole : {2.0, 3.0, 4.0}) {
    if (is_near(c, whole)) return fmt::format("{}: it is counted {} times", whole, whole);
    if (is_near(c, 1 / whole)) return fmt::format("1/{}", whole);
  }
  for (const auto& [name, value] : quantities.sizes()) {
    for (const auto& [other, other_value] : quantities.sizes()) {
      if (name == other) continue;
      if (is_near(c, value * other_value)) return fmt::format("{} {} ({})", name, other, number_text(c));
      if (is_near(c, 1 / (value * other_value)))
        return fmt::format("1/({} {}) (1/{})", name, other, number_text(value * other_value));
      if (quantities.are_of_a_reduction() && is_near(c, value / other_value)) {
        return fmt::format("{}/{}: {} ({}) in place of {} ({})", number_text(value), number_text(other_value),
                           other, number_text(other_value), name, number_text(value));
      }
    }
  }
  return number_text(c);
}

// found = c expected, over those entries of a row that are not 0; none: no factor does.
std::optional<double> row_factor(const JacobianError& e, std::size_t row) {
  std::optional<double> factor;
  for (std::size_t k = row * e.columns; k < (row + 1) * e.columns; ++k) {
    if (!factor && e.has_expected(k)) factor = e.found(k) / e.expected(k);
    if (!e.is_found(factor.value_or(1) * e.expected(k), k)) return std::nullopt;
  }
  return factor.value_or(1);
}

std::size_t support(const JacobianError& e, std::size_t row) {
  std::size_t count = 0;
  for (std::size_t k = row * e.columns; k < (row + 1) * e.columns; ++k) count += e.has_expected(k);
  return count;
}

}  // namespace

std::string find_not_finite(const JacobianError& e) {
  std::size_t count = 0;
  for (const double value : e.wrong.found) count += !std::isfinite(value);
  if (count == 0) return {};
  return fmt::format(
      "{} of {} entries are NaN or infinite: an overflow, a division by 0, or memory that was "
      "never written",
      count, e.size());
}

std::string find_zero(const JacobianError& e) {
  if (e.missing_entries == 0 || std::ranges::any_of(e.wrong.found, [](double v) { return v != 0; }))
    return {};
  return fmt::format("the gradient of {} is 0 everywhere: the rule returns nothing for it", e.argument);
}

std::string find_single_precision(const JacobianError& e) {
  constexpr double least = 1e-10, most = 0x1p-21;  // of f32's 2^-24 in one rounding, and in a few
  double worst = 0;
  for (std::size_t k = 0; k < e.size(); ++k) worst = std::max(worst, std::fabs(e.found(k) - e.expected(k)));
  if (!(worst > least * e.largest && worst < most * e.largest)) return {};
  return fmt::format("off by {:.1e} of the largest entry: a constant or a sum in f32", worst / e.largest);
}

std::string find_wrong_values(const JacobianError& e) {
  if (e.missing_entries + e.spurious_entries > 0) return {};
  std::size_t entries = 0;
  for (std::size_t k = 0; k < e.size(); ++k) entries += e.has_expected(k);
  if (entries < 2 || e.wrong_entries != entries) return {};
  return "every entry stands where it should and has a wrong value: an exponent or a factor of the formula";
}

std::string find_factor(const JacobianError& e) {
  double products = 0, squares = 0, found_squares = 0, residual = 0;
  for (std::size_t k = 0; k < e.size(); ++k) {
    products += e.found(k) * e.expected(k);
    squares += e.expected(k) * e.expected(k);
    found_squares += e.found(k) * e.found(k);
  }
  const double c = products / squares;
  for (std::size_t k = 0; k < e.size(); ++k) {
    const double difference = e.found(k) - c * e.expected(k);
    residual += difference * difference;
  }
  const double error = std::sqrt(residual / found_squares);
  if (!(error < 1e-6 && error < 1e-2 * std::fabs(c - 1))) return {};
  if (is_near(c, -1)) return "the sign is wrong";
  const std::string text = factor_text(Quantities(e), std::fabs(c));
  return fmt::format("off by {}{}", c < 0 ? "the sign and " : "", text);
}

std::string find_row_factors(const JacobianError& e) {
  double least = INFINITY, most = -INFINITY;
  std::size_t widest = 0, border_rows = 0, wrong_rows = 0;
  for (std::size_t row = 0; row < e.rows; ++row) widest = std::max(widest, support(e, row));
  if (widest < 2) return {};
  for (std::size_t row = 0; row < e.rows; ++row) {
    const std::optional<double> factor = row_factor(e, row);
    if (!factor || is_near(*factor + 1, 1)) return {};
    least = std::min(least, *factor);
    most = std::max(most, *factor);
    if (is_near(*factor, 1)) continue;
    ++wrong_rows;
    border_rows += support(e, row) < widest;
  }
  if (border_rows == wrong_rows && e.has_attribute("include_padding")) {
    return most > 1 ? "the divisor leaves out the padding, which it has to count"
                    : "the divisor counts the padding, which it has to leave out";
  }
  return fmt::format(
      "each output has a factor of its own, from {:.4g} to {:.4g}: a factor that depends on y "
      "is missing or superfluous",
      least, most);
}

std::string find_whole_ratios(const JacobianError& e) {
  double ratio = 0;
  for (std::size_t k = 0; k < e.size(); ++k) {
    if (!e.is_wrong(k)) continue;
    if (!e.has_found(k) || !e.has_expected(k)) return {};
    const double here = e.found(k) / e.expected(k);
    if (ratio != 0 && !is_near(here, ratio)) return {};
    ratio = here;
  }
  for (const double whole : {2.0, 3.0, 4.0}) {
    if (is_near(ratio, whole)) return fmt::format("the wrong entries are counted {} times", whole);
    if (is_near(ratio, 1 / whole))
      return fmt::format("overwritten, not added: of {} contributions one is kept", whole);
  }
  if (is_near(ratio, -1)) return "the sign of the wrong entries is wrong";
  return {};
}

}  // namespace weft::diagnosis
