// D2, D4: which entries are missing and which are spurious.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "gradcheck/jacobian_error.hpp"

namespace weft::diagnosis {

namespace {

// The columns of a row's entries that are not 0.
struct RowSupport {
  std::vector<std::size_t> found, expected;
};

RowSupport support_of(const JacobianError& e, std::size_t row) {
  RowSupport support;
  for (std::size_t column = 0; column < e.columns; ++column) {
    const std::size_t k = row * e.columns + column;
    if (e.has_found(k)) support.found.push_back(column);
    if (e.has_expected(k)) support.expected.push_back(column);
  }
  return support;
}

bool is_diagonal(const JacobianError& e) {
  if (e.x_shape != e.y_shape) return false;
  for (std::size_t k = 0; k < e.size(); ++k) {
    if ((e.has_found(k) || e.has_expected(k)) && k / e.columns != k % e.columns) return false;
  }
  return true;
}

// What rules say that give to ties: of one element, of all, twice.
struct TieCounts {
  std::size_t rows = 0, moved = 0, moved_later = 0, all = 0, largest = 0, repeated = 0;
};

// Adds a wrong row, of one expected winner; false: ties do not explain it.
bool count_tie(const JacobianError& e, std::size_t row, const RowSupport& support, TieCounts& counts) {
  const std::size_t winner = support.expected[0], base = row * e.columns;
  const double value = e.expected(base + winner);
  ++counts.rows;
  if (support.found == support.expected) {
    const double times = std::round(e.found(base + winner) / value);
    ++counts.repeated;
    return times > 1 && e.is_found(times * value, base + winner);
  }
  if (support.found.empty() ||
      std::ranges::any_of(support.found, [&](std::size_t c) { return !e.is_found(value, base + c); })) {
    return false;
  }
  if (support.found.size() == 1) {
    ++counts.moved;
    counts.moved_later += support.found[0] > winner;
  } else {
    ++counts.all;
    counts.largest = std::max(counts.largest, support.found.size());
  }
  return true;
}

std::string find_unsplit_ties(const JacobianError& e) {
  std::size_t largest = 0;
  for (std::size_t row = 0; row < e.rows; ++row) {
    const RowSupport support = support_of(e, row);
    const auto k = static_cast<double>(support.expected.size());
    for (const std::size_t column : support.found) {
      const std::size_t at = row * e.columns + column;
      if (!e.is_found(k * e.expected(at), at)) return {};
    }
    if (support.found.size() == support.expected.size() && k > 1)
      largest = std::max(largest, support.found.size());
  }
  if (largest == 0) return "one tie gets all of gy, where the ties share it";
  return fmt::format("each of {} ties gets gy, where they share it", largest);
}

// "0", "0-3", "0, 2, 5".
std::string ranges_text(const std::set<std::int64_t>& indices) {
  const std::int64_t first = *indices.begin(), last = *indices.rbegin();
  if (first == last) return fmt::format("{}", first);
  if (last - first + 1 == static_cast<std::int64_t>(indices.size())) return fmt::format("{}-{}", first, last);
  return fmt::format("{}", fmt::join(indices, ", "));
}

struct AxisUse {
  std::set<std::int64_t> wrong, expected;  // the indices of wrong entries, and of those that should not be 0
};

AxisUse use_of(const JacobianError& e, const JointAxis& axis) {
  AxisUse use;
  for (std::size_t k = 0; k < e.size(); ++k) {
    if (e.is_wrong(k)) use.wrong.insert(axis.index(k));
    if (e.has_expected(k)) use.expected.insert(axis.index(k));
  }
  return use;
}

// Whether nothing was found at these indices.
bool all_missing(const JacobianError& e, const JointAxis& axis, const std::set<std::int64_t>& indices) {
  for (std::size_t k = 0; k < e.size(); ++k) {
    if (e.has_found(k) && indices.contains(axis.index(k))) return false;
  }
  return true;
}

// Axes of y that an element of x is not bound to: all but an image's h and w.
bool is_summed(const JacobianError& e, const JointAxis& axis) {
  const bool is_place = axis.short_name == "h" || axis.short_name == "w";
  return !axis.of_x && !(is_place && e.x_shape.rank() == 4);
}

std::string part_name(const JointAxis& axis) {
  if (axis.short_name == "n") return "image";
  if (axis.short_name == "h") return "row";
  if (axis.short_name == "w") return "column";
  return axis.short_name == "c" || axis.short_name == "k" ? "channel" : "index";
}

// Of indices that leave out every stride-th one.
std::string residue_text(const std::set<std::int64_t>& indices, std::int64_t extent) {
  for (std::int64_t stride = 2; stride < std::min<std::int64_t>(extent, 9); ++stride) {
    std::set<std::int64_t> other;
    for (std::int64_t i = 0; i < extent; ++i) {
      if (i % stride != 0) other.insert(i);
    }
    if (indices == other) return fmt::format("those that {} does not divide", stride);
  }
  return {};
}

}  // namespace

std::string find_overwritten(const JacobianError& e) {
  if (e.missing_entries == 0 || e.missing_entries != e.wrong_entries) return {};
  // The channel does not count: one window gives its gradient for all channels of y together.
  const std::size_t together =
      e.has_attribute("stride") && e.y_shape.rank() == 4 ? static_cast<std::size_t>(e.y_shape[3]) : 1;
  bool keeps_last = true, keeps_first = true;
  for (std::size_t column = 0; column < e.columns; ++column) {
    std::set<std::size_t> all, kept;
    bool is_missing = false;
    for (std::size_t row = 0; row < e.rows; ++row) {
      const std::size_t k = row * e.columns + column;
      if (e.has_expected(k)) all.insert(row / together);
      if (e.has_found(k)) kept.insert(row / together);
      is_missing |= e.is_missing(k);
    }
    if (!is_missing) continue;
    if (kept.size() != 1 || all.size() < 2) return {};
    keeps_last &= *kept.begin() == *all.rbegin();
    keeps_first &= *kept.begin() == *all.begin();
  }
  if (keeps_first && !keeps_last) {
    return fmt::format(
        "only the first of the outputs that read an element of {} counts: their sum is missing", e.argument);
  }
  return fmt::format(
      "overwritten, not added: where several outputs read one element of {}, only {}'s gradient is kept",
      e.argument, keeps_last ? "the last" : "one");
}

std::string find_ties(const JacobianError& e) {
  if (e.wrong.info.ties == TiePolicy::none) return {};
  if (e.wrong.info.ties == TiePolicy::split) return find_unsplit_ties(e);
  TieCounts counts;
  for (std::size_t row = 0; row < e.rows; ++row) {
    bool is_wrong = false;
    for (std::size_t k = row * e.columns; k < (row + 1) * e.columns; ++k) is_wrong |= e.is_wrong(k);
    if (!is_wrong) continue;
    const RowSupport support = support_of(e, row);
    if (support.expected.size() != 1 || !count_tie(e, row, support, counts)) return {};
  }
  if (counts.all == counts.rows)
    return fmt::format("each of {} ties gets gy, where one of them should", counts.largest);
  if (counts.repeated == counts.rows) return "one tie counts several times";
  if (counts.moved != counts.rows) return {};
  const bool wants_first = e.wrong.info.ties == TiePolicy::first;
  const bool is_other_end = counts.moved_later == (wants_first ? counts.rows : 0);
  return fmt::format("another one of the ties gets gy{}", !is_other_end ? ""
                                                          : wants_first ? ": the last, not the first"
                                                                        : ": the first, not the last");
}

std::string find_wrong_mask(const JacobianError& e) {
  if (!is_diagonal(e) || e.missing_entries + e.spurious_entries != e.wrong_entries) return {};
  if (e.spurious_entries == 0) return "the gradient is stopped where it should pass: the mask is wrong";
  if (e.missing_entries == 0)
    return "the gradient passes where it should be stopped: the mask is missing, or made from something else";
  return "another mask than the forward's";
}

std::string find_wrong_slice(const JacobianError& e) {
  std::string best;
  std::pair<bool, std::size_t> least;  // whether entries are wrong and not missing; at how many indices
  for (const JointAxis& axis : e.axes) {
    const AxisUse use = use_of(e, axis);
    if (axis.extent < 2 || use.wrong.size() >= use.expected.size() || use.wrong.empty()) continue;
    const std::string part = part_name(axis);
    const bool missing = e.missing_entries == e.wrong_entries && all_missing(e, axis, use.wrong);
    const std::int64_t first = *use.wrong.begin(), last = *use.wrong.rbegin();
    std::string text;
    const bool keeps_first = missing && use.expected.size() > 1 &&
                             !use.wrong.contains(*use.expected.begin()) &&
                             use.wrong.size() + 1 == use.expected.size();
    if (keeps_first && (use.wrong.size() > 1 || is_summed(e, axis))) {
      text = fmt::format("only the first {} along {} counts: {}", part, axis.name,
                         axis.of_x ? "the others get nothing" : "the sum over the others is missing");
    } else if (missing && first == last && last == *use.expected.rbegin()) {
      text = fmt::format("the last {} is dropped: {} = {}", part, axis.name, last);
    } else if (missing && first == last && first == *use.expected.begin()) {
      text = fmt::format("the first {} is dropped: {} = {}", part, axis.name, first);
    } else {
      const std::string residue = residue_text(use.wrong, axis.extent);
      text = fmt::format("wrong only where {} is {}{}", axis.name,
                         residue.empty() ? ranges_text(use.wrong) : residue,
                         missing ? ", where the gradient is 0" : "");
    }
    const std::pair rank{!missing, use.wrong.size()};
    if (best.empty() || rank < least) {
      best = text;
      least = rank;
    }
  }
  return best;
}

}  // namespace weft::diagnosis
