// D3: gradients whose entries stand in the wrong place.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "gradcheck/jacobian_error.hpp"

namespace weft::diagnosis {

namespace {

std::string find_exchanged_axes(const JacobianError& e) {
  for (std::size_t i = 0; i < e.axes.size(); ++i) {
    for (std::size_t j = i + 1; j < e.axes.size(); ++j) {
      const JointAxis &a = e.axes[i], &b = e.axes[j];
      if (a.extent != b.extent || a.extent < 2) continue;
      const bool is_it = e.explains([&](std::size_t k) {
        const std::int64_t at_a = a.index(k), at_b = b.index(k);
        return e.expected(k - a.offset(at_a) - b.offset(at_b) + a.offset(at_b) + b.offset(at_a));
      });
      if (!is_it) continue;
      const std::string_view why = a.of_x != b.of_x && e.y_shape.rank() < 4
                                       ? ": a transpose is missing or superfluous"
                                   : a.of_x == b.of_x ? ": transposed"
                                                      : "";
      return fmt::format("{} and {} are exchanged{}", a.name, b.name, why);
    }
  }
  return {};
}

// Every choice of axes of x, read from their ends.
std::string find_reversed_axes(const JacobianError& e) {
  const auto first = static_cast<std::size_t>(e.y_shape.rank());
  const std::size_t choices = std::size_t{1} << (e.axes.size() - first);
  for (std::size_t choice = 1; choice < choices; ++choice) {
    std::vector<const JointAxis*> reversed;
    for (std::size_t i = first; i < e.axes.size(); ++i) {
      if ((choice >> (i - first) & 1) != 0) reversed.push_back(&e.axes[i]);
    }
    if (std::ranges::any_of(reversed, [](const JointAxis* axis) { return axis->extent < 2; })) continue;
    const bool is_it = e.explains([&](std::size_t k) {
      std::size_t from = k;
      for (const JointAxis* axis : reversed) {
        const std::int64_t index = axis->index(k);
        from = from - axis->offset(index) + axis->offset(axis->extent - 1 - index);
      }
      return e.expected(from);
    });
    if (!is_it) continue;
    std::string names;
    for (const JointAxis* axis : reversed) names += (names.empty() ? "" : " and ") + axis->name;
    return fmt::format("reversed along {}{}", names,
                       e.argument == "w" && e.x_shape.rank() == 4
                           ? ": the filter is flipped once too often or "
                             "too seldom"
                           : "");
  }
  return {};
}

// A crop that begins at the padding behind each axis, `after`, where the one in front, `before`, belongs.
std::string find_wrong_crop(const JacobianError& e) {
  const AttributeValue *before = e.wrong.attributes.find("before"), *after = e.wrong.attributes.find("after");
  if (!before || !after || !before->is<Ints>() || !after->is<Ints>() || e.x_shape.rank() != e.y_shape.rank())
    return {};
  const auto at = [](const Ints& values, int axis) { return axis < values.size() ? values[axis] : 0; };
  const auto cropped = [&](std::size_t k) {
    std::size_t from = k;
    for (int i = 0; i < e.y_shape.rank(); ++i) {
      const JointAxis& axis = e.y_axis(i);
      const std::int64_t index = axis.index(k) + at(before->as<Ints>(), i) - at(after->as<Ints>(), i);
      if (index < 0 || index >= axis.extent) return 0.0;
      from = from - axis.offset(axis.index(k)) + axis.offset(index);
    }
    return e.expected(from);
  };
  return e.explains(cropped) ? "the crop begins at the padding behind, not at the one in front" : "";
}

using Shift = std::vector<std::int64_t>;  // along each axis of x

// Where entry k would come from; none: from outside.
std::optional<std::size_t> source_of(const JacobianError& e, const Shift& shift, std::size_t k, bool wraps) {
  std::size_t from = k;
  for (int i = 0; i < e.x_shape.rank(); ++i) {
    const JointAxis& axis = e.x_axis(i);
    std::int64_t index = axis.index(k) - shift[static_cast<std::size_t>(i)];
    if (wraps) index = (index % axis.extent + axis.extent) % axis.extent;
    if (index < 0 || index >= axis.extent) return std::nullopt;
    from = from - axis.offset(axis.index(k)) + axis.offset(index);
  }
  return from;
}

// Nothing is known of what comes in from outside.
bool is_shifted(const JacobianError& e, const Shift& shift) {
  std::size_t explained = 0, by_value = 0;
  for (std::size_t k = 0; k < e.size(); ++k) {
    const std::optional<std::size_t> from = source_of(e, shift, k, false);
    if (!from) continue;
    if (!e.is_found(e.expected(*from), k)) return false;
    explained += e.is_wrong(k);
    by_value += e.is_wrong(k) && e.has_expected(*from);
  }
  return 4 * explained > e.wrong_entries || by_value > 7;
}

// Whether what leaves at one end comes in at the other.
bool is_rolled(const JacobianError& e, const Shift& shift) {
  bool comes_in = false;
  for (std::size_t k = 0; k < e.size(); ++k) {
    if (source_of(e, shift, k, false)) continue;
    comes_in |= e.has_found(k);
    if (!e.is_found(e.expected(*source_of(e, shift, k, true)), k)) return false;
  }
  return comes_in;
}

// Along every single axis, and from an output's only entry to where it was found.
std::vector<Shift> possible_shifts(const JacobianError& e) {
  const auto rank = static_cast<std::size_t>(e.x_shape.rank());
  std::vector<Shift> shifts;
  for (std::size_t i = 0; i < rank; ++i) {
    for (std::int64_t by = 1; by < e.x_shape[static_cast<int>(i)]; ++by) {
      for (const std::int64_t step : {by, -by}) {
        shifts.emplace_back(rank, 0);
        shifts.back()[i] = step;
      }
    }
  }
  for (std::size_t row = 0; row < e.rows; ++row) {
    std::vector<std::size_t> found, expected;
    for (std::size_t k = row * e.columns; k < (row + 1) * e.columns; ++k) {
      if (e.has_found(k)) found.push_back(k);
      if (e.has_expected(k)) expected.push_back(k);
    }
    if (found.size() != 1 || expected.size() != 1) continue;
    shifts.emplace_back();
    for (int i = 0; i < e.x_shape.rank(); ++i)
      shifts.back().push_back(e.x_axis(i).index(found[0]) - e.x_axis(i).index(expected[0]));
    break;
  }
  return shifts;
}

std::string find_shift(const JacobianError& e) {
  for (const Shift& shift : possible_shifts(e)) {
    if (!is_shifted(e, shift)) continue;
    std::string along;
    for (int i = 0; i < e.x_shape.rank(); ++i) {
      const std::int64_t by = shift[static_cast<std::size_t>(i)];
      if (by != 0) along += fmt::format("{}by {} along {}", along.empty() ? "" : ", ", by, e.x_axis(i).name);
    }
    return fmt::format("{} {}", is_rolled(e, shift) ? "rolled" : "shifted", along);
  }
  return {};
}

enum class Which { found, expected };

// Whether an entry is 0 wherever the two indices differ.
bool follows(const JacobianError& e, Which which, const JointAxis& x, const JointAxis& y) {
  if (x.extent != y.extent) return false;
  for (std::size_t k = 0; k < e.size(); ++k) {
    const bool has = which == Which::found ? e.has_found(k) : e.has_expected(k);
    if (has && x.index(k) != y.index(k)) return false;
  }
  return true;
}

// The axis of y that each axis of x follows; -1: none.
std::vector<int> followed_axes(const JacobianError& e, Which which) {
  std::vector<int> result;
  for (int i = 0; i < e.x_shape.rank(); ++i) {
    int followed = -1;
    for (int j = 0; j < e.y_shape.rank() && followed < 0; ++j) {
      if (e.x_shape[i] > 1 && follows(e, which, e.x_axis(i), e.y_axis(j))) followed = j;
    }
    result.push_back(followed);
  }
  return result;
}

std::string summed_axes(const JacobianError& e, const std::vector<int>& followed) {
  std::string names;
  for (int j = 0; j < e.y_shape.rank(); ++j) {
    if (e.y_shape[j] > 1 && std::ranges::find(followed, j) == followed.end())
      names += (names.empty() ? "" : ", ") + e.y_axis(j).short_name;
  }
  return names;
}

bool is_permutation_itself(const JacobianError& e, const std::vector<int>& found) {
  const AttributeValue* value = e.wrong.attributes.find("permutation");
  if (!value || !value->is<Ints>() || static_cast<std::size_t>(value->as<Ints>().size()) != found.size())
    return false;
  const Ints permutation = value->as<Ints>();
  const auto rank = static_cast<std::int64_t>(found.size());
  for (int i = 0; i < permutation.size(); ++i) {
    if ((permutation[i] + rank) % rank != found[static_cast<std::size_t>(i)]) return false;
  }
  return true;
}

}  // namespace

std::string find_scalar_gy(const JacobianError& e) {
  if (e.rows < 3) return {};
  for (std::size_t row = 0; row < e.rows; ++row) {
    const bool is_end = row == 0 || row + 1 == e.rows;
    bool expected = false;
    for (std::size_t k = row * e.columns; k < (row + 1) * e.columns; ++k) {
      expected |= e.has_expected(k);
      if (is_end ? e.is_wrong(k) : e.has_found(k)) return {};
    }
    if (!expected) return {};
  }
  return "a gy whose first and last element are equal is taken for one number, broadcast";
}

std::string find_ignored_gy(const JacobianError& e) {
  if (e.rows < 2) return {};
  const auto first_row = e.wrong.found.first(e.columns), others = e.wrong.found.subspan(e.columns);
  const auto is_zero = [](double value) { return value == 0; };
  if (e.columns > 1 && std::ranges::all_of(others, is_zero) && !std::ranges::all_of(first_row, is_zero))
    return "only the first element of gy is read";
  bool expected_differs = false;
  for (std::size_t k = e.columns; k < e.size(); ++k) {
    if (!e.is_found(e.found(k - e.columns), k)) return {};
    expected_differs |= e.expected(k) != e.expected(k - e.columns);
  }
  return expected_differs ? "every output gives the same gradient: the rule does not use gy" : "";
}

std::string find_exchanged_gradients(const JacobianError& e) {
  for (std::size_t other = 0; other < e.wrong.all_expected.size(); ++other) {
    const std::vector<double>& jacobian = e.wrong.all_expected[other];
    if (other == e.wrong.argument || jacobian.size() != e.size() || e.wrong.shapes[other] != e.x_shape)
      continue;
    if (!e.explains([&](std::size_t k) { return jacobian[k]; })) continue;
    const std::vector<Argument>& arguments = e.wrong.info.arguments;
    const std::string_view name = arguments[std::min(other, arguments.size() - 1)].name;
    return fmt::format("this is the gradient of {}: two gradients are exchanged", name);
  }
  return {};
}

std::string find_wrong_reduction(const JacobianError& e) {
  const std::vector<int> found = followed_axes(e, Which::found), expected = followed_axes(e, Which::expected);
  if (found == expected) return {};
  for (std::size_t i = 0; i < found.size(); ++i) {
    const bool has_to_follow = e.x_shape[static_cast<int>(i)] > 1;
    if (has_to_follow && (found[i] < 0 || expected[i] < 0)) return {};
  }
  const std::string right = summed_axes(e, expected), wrong = summed_axes(e, found);
  if (right != wrong) return fmt::format("summed over axes ({}) of y, not over ({})", wrong, right);
  if (is_permutation_itself(e, found)) return "the permutation is applied where its inverse belongs";
  if (const std::string exchanged = find_exchanged_axes(e); !exchanged.empty()) return exchanged;
  return "the axes are permuted wrongly";
}

std::string find_moved_axes(const JacobianError& e) {
  for (const auto find : {find_exchanged_axes, find_wrong_crop, find_shift, find_reversed_axes}) {
    if (std::string text = find(e); !text.empty()) return text;
  }
  return {};
}

std::string find_lost_coupling(const JacobianError& e) {
  if (e.x_shape.rank() != e.y_shape.rank()) return {};
  std::string lost, gained;
  for (int axis = 0; axis < e.x_shape.rank(); ++axis) {
    if (e.x_shape[axis] < 2 || e.x_shape[axis] != e.y_shape[axis]) continue;
    const bool expected = !follows(e, Which::expected, e.x_axis(axis), e.y_axis(axis));
    const bool found = !follows(e, Which::found, e.x_axis(axis), e.y_axis(axis));
    if (expected && !found) lost = e.x_axis(axis).name;
    if (found && !expected) gained = e.x_axis(axis).name;
  }
  if (!lost.empty() && !gained.empty())
    return fmt::format("the wrong axis: elements depend on each other along {}, not along {}", gained, lost);
  if (!lost.empty()) {
    return fmt::format(
        "elements along {} do not depend on each other: the term with the sum over that axis is "
        "missing",
        lost);
  }
  return {};
}

std::string find_moved_index(const JacobianError& e) {
  if (e.x_shape.rank() == 0) return {};
  const JointAxis& axis = e.x_axis(e.x_shape.rank() - 1);
  std::optional<std::int64_t> by;
  bool is_constant = true;
  int lost = 0;  // rows of a loss where one entry alone is wrong
  const auto width = static_cast<std::size_t>(axis.extent);
  for (std::size_t first = 0; width > 0 && first < e.size(); first += width) {
    std::vector<std::size_t> wrong;
    for (std::size_t k = first; k < first + width; ++k) {
      if (e.is_wrong(k)) wrong.push_back(k);
    }
    if (wrong.empty()) continue;
    if (wrong.size() == 1 && e.wrong.info.group == OpGroup::loss) {
      ++lost;
      continue;
    }
    if (wrong.size() != 2) return {};
    const double a = e.found(wrong[0]) - e.expected(wrong[0]), b = e.found(wrong[1]) - e.expected(wrong[1]);
    if (!(std::fabs(a + b) <= 1e-9 * e.largest)) return {};
    // Of a loss the right element lacks its -1, of anything else its value.
    const bool first_is_right = e.is_missing(wrong[0]) || (!e.is_missing(wrong[1]) && a > 0);
    std::int64_t step = static_cast<std::int64_t>(wrong[1] - wrong[0]) * (first_is_right ? 1 : -1);
    if (step == axis.extent - 1) step = -1;
    if (step == 1 - axis.extent) step = 1;
    is_constant = is_constant && by.value_or(step) == step;
    by = step;
  }
  if (!by && lost > 0) return "the targets of some rows count for nothing: repeated ones may be counted once";
  if (!by) return {};
  return is_constant
             ? fmt::format("an index along {} is off by {}", axis.name, *by)
             : fmt::format("an index along {} is wrong: another element gets its gradient", axis.name);
}

}  // namespace weft::diagnosis
