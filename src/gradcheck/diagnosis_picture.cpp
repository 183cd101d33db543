// The picture of one output's support in one plane of x.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "gradcheck/jacobian_error.hpp"

namespace weft::diagnosis {

namespace {

constexpr std::int64_t most_rows = 5, most_columns = 12;
constexpr std::size_t widest = 64;

// Two axes of x; an image's h and w, a filter's kh and kw, else the last two.
struct Plane {
  int rows = -1, columns = -1;  // -1: there is none
};

Plane plane_of(const JacobianError& e) {
  const int rank = e.x_shape.rank();
  if (rank == 0) return {};
  if (rank == 4 && e.has_attribute("stride")) return e.argument == "w" ? Plane{0, 1} : Plane{1, 2};
  return {rank - 2, rank - 1};
}

// First and last row, first and last column; empty where last < first.
struct Box {
  std::int64_t top = INT64_MAX, bottom = -1, left = INT64_MAX, right = -1;
  void add(std::int64_t row, std::int64_t column) {
    top = std::min(top, row);
    bottom = std::max(bottom, row);
    left = std::min(left, column);
    right = std::max(right, column);
  }
  bool is_empty() const { return bottom < 0; }
  std::string text(bool has_rows) const {
    if (is_empty()) return "none";
    return fmt::format("{}columns {}-{}", has_rows ? fmt::format("rows {}-{}, ", top, bottom) : "", left,
                       right);
  }
};

class Picture {
 public:
  // The plane through entry k.
  Picture(const JacobianError& e, Plane plane, std::size_t k)
      : e_(e), columns_(e.x_axis(plane.columns)), at_(k) {
    at_ -= columns_.offset(columns_.index(k));
    if (plane.rows >= 0) {
      rows_ = &e.x_axis(plane.rows);
      at_ -= rows_->offset(rows_->index(k));
    }
    for (std::int64_t row = 0; row < row_count(); ++row) {
      for (std::int64_t column = 0; column < columns_.extent; ++column) {
        const std::size_t here = entry(row, column);
        if (e.has_expected(here)) expected_.add(row, column);
        if (e.has_found(here)) found_.add(row, column);
        if (e.has_expected(here) || e.has_found(here)) all_.add(row, column);
      }
    }
  }

  std::vector<std::string> lines() const {
    std::vector<std::string> lines{title()};
    const std::int64_t last = std::min(all_.bottom, all_.top + most_rows - 1);
    for (std::int64_t row = all_.top; row <= last; ++row) {
      std::string line = rows_ ? fmt::format("  {}{}", row_label(), row) : "";
      line.append(line.size() < 6 ? 6 - line.size() : 1, ' ');
      for (std::int64_t column = left(); column <= right(); ++column) {
        line += mark(entry(row, column));
        if (column < right()) line += ' ';
      }
      lines.push_back(std::move(line));
    }
    const std::string supports[] = {"true support      " + expected_.text(rows_),
                                    "backward support  " + found_.text(rows_)};
    const bool beside = lines.size() > 2 && std::ranges::all_of(supports, [&](const std::string& text) {
                          return lines[1].size() + 4 + text.size() <= widest;
                        });
    for (std::size_t i = 0; i < 2; ++i) {
      if (beside)
        lines[i + 1] += "    " + supports[i];
      else
        lines.push_back("  " + supports[i]);
    }
    return lines;
  }

 private:
  std::int64_t row_count() const { return rows_ ? rows_->extent : 1; }
  std::size_t entry(std::int64_t row, std::int64_t column) const {
    return at_ + (rows_ ? rows_->offset(row) : 0) + columns_.offset(column);
  }
  std::int64_t left() const { return columns_.extent <= most_columns ? 0 : all_.left; }
  std::int64_t right() const { return std::min(columns_.extent - 1, left() + most_columns - 1); }
  std::string row_label() const {
    const char first = rows_->short_name[0];
    return first >= '0' && first <= '9' ? "" : rows_->short_name;
  }

  char mark(std::size_t k) const {
    if (e_.is_missing(k)) return 'm';
    if (e_.is_spurious(k)) return 's';
    if (e_.is_wrong(k)) return 'w';
    return e_.has_expected(k) ? 'o' : '.';
  }

  std::string title() const {
    std::string y, x, legend;
    for (const JointAxis& axis : e_.axes) {
      const bool is_drawn = &axis == &columns_ || &axis == rows_;
      std::string& text = axis.of_x ? x : y;
      text += text.empty() ? "" : ", ";
      text +=
          is_drawn ? (axis.short_name[0] <= '9' ? ":" : axis.short_name) : fmt::format("{}", axis.index(at_));
    }
    std::string used;
    for (std::int64_t row = all_.top; row <= all_.bottom; ++row) {
      for (std::int64_t column = left(); column <= right(); ++column) used += mark(entry(row, column));
    }
    for (const auto& [letter, meaning] : {std::pair{'m', "missing"}, std::pair{'s', "spurious"},
                                          std::pair{'w', "wrong"}, std::pair{'o', "right"}}) {
      if (used.find(letter) != std::string::npos)
        legend += fmt::format("{}{} {}", legend.empty() ? "" : ", ", letter, meaning);
    }
    return fmt::format("y[{}] by {}[{}]   {}", y, e_.argument, x, legend);
  }

  const JacobianError& e_;
  const JointAxis& columns_;
  const JointAxis* rows_ = nullptr;
  std::size_t at_;  // of the plane's first entry
  Box expected_, found_, all_;
};

// The entry whose plane shows the most missing and spurious ones together.
std::size_t telling_entry(const JacobianError& e, Plane plane) {
  const JointAxis& columns = e.x_axis(plane.columns);
  std::vector<std::int64_t> missing(e.size()), spurious(e.size());
  const auto origin = [&](std::size_t k) {
    std::size_t at = k - columns.offset(columns.index(k));
    if (plane.rows >= 0) at -= e.x_axis(plane.rows).offset(e.x_axis(plane.rows).index(k));
    return at;
  };
  for (std::size_t k = 0; k < e.size(); ++k) {
    missing[origin(k)] += e.is_missing(k);
    spurious[origin(k)] += e.is_spurious(k);
  }
  std::size_t best = 0;
  std::int64_t most = 0;
  for (std::size_t k = 0; k < e.size(); ++k) {
    const std::int64_t score = missing[k] + spurious[k] + 2 * std::min(missing[k], spurious[k]);
    if (score > most) {
      most = score;
      best = k;
    }
  }
  return best;
}

}  // namespace

std::vector<std::string> draw_support(const JacobianError& e) {
  const Plane plane = plane_of(e);
  if (plane.columns < 0 || e.missing_entries + e.spurious_entries == 0) return {};
  std::vector<std::string> lines = Picture(e, plane, telling_entry(e, plane)).lines();
  for (std::string& line : lines) {
    if (line.size() > widest) line.resize(widest);
  }
  return lines;
}

}  // namespace weft::diagnosis
