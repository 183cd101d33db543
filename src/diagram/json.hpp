// The snapshot as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "weft/snapshot.hpp"

namespace weft::diagram {

nlohmann::json json_of(const Snapshot& s);
// Valid UTF-8 whatever the strings hold; with `in_html` no "<" either, so that no text ends a script element.
std::string text_of_json(const nlohmann::json& json, bool in_html);

}  // namespace weft::diagram
