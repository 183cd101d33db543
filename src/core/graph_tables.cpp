#include "core/graph_tables.hpp"

namespace weft {

std::uint32_t Graph::Tables::intern(std::string_view text) {
  if (text.empty()) return 0;
  if (const auto found = name_index.find(text); found != name_index.end()) return found->second;
  names.emplace_back(text);
  const auto index = static_cast<std::uint32_t>(names.size() - 1);
  name_index.emplace(names.back(), index);
  return index;
}

std::span<std::byte> Graph::Tables::next_chunk() {
  if (used_chunks_ == chunks_.size()) chunks_.push_back(std::make_unique<std::byte[]>(chunk_bytes));
  return {chunks_[used_chunks_++].get(), chunk_bytes};
}

void Graph::Tables::clear() {
  parameters.clear();
  held.clear();
  last_root = last_error.node = no_node;
  last_error.message.clear();
  if (observer) observer->cleared();
  used_chunks_ = 0;
}

}  // namespace weft
