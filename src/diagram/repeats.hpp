// Finds equal neighbours among the children of a group: blocks of a network, an unrolled loop.
#pragma once

#include "diagram/canvas.hpp"

namespace weft::diagram {

// `count` equal parts of `period` children each, from child `first` on.
struct Repeat {
  std::size_t first = 0, period = 1;
  std::uint32_t count = 0;
  bool same_parameters = false;       // of all parts; otherwise each has its own
  std::vector<NodeId> absorbed = {};  // parameters and constants that only these parts take
};

// By node, for many groups of one record: which part holds it, where in that part, its consumers.
struct RepeatScratch {
  explicit RepeatScratch(const Snapshot& s);
  std::vector<std::uint32_t> part_of, place, consumers, uses;
  std::uint32_t parts = 0;
};

// Of the children of `parent`, whose sources are sorted behind its ops and groups for it. Ascending. Parts
// are equal where their ops have the same attributes and types and take operands of the same parts, or any of
// the same type from outside. Two equal scopes make a repeat, of parts without scope three.
std::vector<Repeat> find_repeats(const Snapshot& s, std::vector<Group>& groups, std::uint32_t parent,
                                 RepeatScratch& scratch);

}  // namespace weft::diagram
