// Scopes name what is recorded; pauses keep it from being recorded.
#include <fmt/format.h>

#include "core/graph_tables.hpp"
#include "weft/graph.hpp"

namespace weft {

std::uint32_t Graph::enter_scope(std::uint32_t parent, std::string_view name) {
  const std::uint32_t index = tables_->intern(name);
  scopes_.push_back({parent, tables_->names[index]});
  return static_cast<std::uint32_t>(scopes_.size() - 1);
}

Scope Graph::scope(std::string_view name) {
  const std::uint32_t outer = std::exchange(scope_, enter_scope(scope_, name));
  return Scope(this, outer);
}

Scope::~Scope() {
  if (graph_ && outer_ < graph_->scopes_.size()) graph_->scope_ = outer_;
}

std::string Graph::scope_path(std::uint32_t scope) const {
  if (scope == 0) return {};
  const ScopeEntry& entry = scopes_[scope];
  const std::string outer = scope_path(entry.parent);
  return outer.empty() ? std::string(entry.name) : fmt::format("{}/{}", outer, entry.name);
}

Pause Graph::pause() {
  ++paused_;
  return Pause(this);
}

Pause::~Pause() {
  if (graph_) --graph_->paused_;
}

}  // namespace weft
