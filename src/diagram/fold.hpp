// Folding: groups become one box each until a canvas can be read.
#pragma once

#include "diagram/canvas.hpp"

namespace weft::diagram {

// The scopes as groups, all open, with the nodes that are shown, but for those from outside.
std::vector<Group> group_tree(const Snapshot& s, const Outline& outline, const View& view);

// Closes groups: by patterns, by depth, equal neighbours, and, where more than max_boxes boxes would be left,
// the deepest ones. Since ids are a topological order and groups intervals of them, no cycle appears. Returns
// whether max_boxes asked for more than the rest.
bool fold(const Snapshot& s, std::vector<Group>& groups, const FoldOptions& options);

// Whether `path` fits `pattern`, in which * stands for any text and ? for a character.
bool matches(std::string_view pattern, std::string_view path);

}  // namespace weft::diagram
