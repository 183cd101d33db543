// The text in and behind a node's box.
#pragma once

#include <filesystem>
#include <string>

#include "weft/graph.hpp"

namespace weft::diagram {

// An op and what matters of its attributes: "conv2d 4x4 same", "pool2d max 8x8 /8", "scale 1.01", "flatten
// (view)". Left out is what the output type tells already and what changes nothing (stride 1, no padding).
std::string op_text(const Graph& g, NodeId n);

// The first line of a box: an op's text, the last part of a parameter's or an input's name, a constant's
// value.
std::string headline(const Graph& g, NodeId n);

// "model.cpp:21": the file relative to `root`, or its name alone where it is not below it.
std::string source_text(SourceLocation at, const std::filesystem::path& root);

// The name by which the op of edge `e` knows the operand.
std::string_view argument_name(const Graph& g, EdgeId e);

}  // namespace weft::diagram
