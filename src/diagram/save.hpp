// save_diagram, with what has changed since another record.
#pragma once

#include <filesystem>

#include "diagram/view.hpp"

namespace weft::diagram {

DiagramReport save(const Snapshot& s, std::vector<NodeChange> changes, const std::filesystem::path& file,
                   const DiagramOptions& options);

}  // namespace weft::diagram
