// The parts of a Graph that are no flat arrays.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "weft/graph.hpp"

namespace weft {

// What `Graph::kept_what_` says besides an operand's number.
inline constexpr std::uint32_t kept_output = 0xffffffff;
inline constexpr std::uint32_t kept_extra = 0xfffffffe;

struct Graph::Tables {
  struct ParameterUse {
    Parameter parameter;
    std::uint64_t version;
    NodeId node;
  };
  struct LastUse {
    std::uint32_t epoch;
    std::uint32_t index;  // in parameters
  };

  std::uint32_t intern(std::string_view text);
  void* allocate(std::size_t bytes, std::size_t alignment);
  void clear();

  std::deque<std::string> names{1};  // 0: no name
  std::unordered_map<std::string_view, std::uint32_t> name_index;
  std::vector<ParameterUse> parameters;  // in use since the last clear()
  std::unordered_map<const void*, LastUse> parameter_index;
  std::vector<std::shared_ptr<const void>> held;  // what ops point to

  // The engine's workspace, kept from pass to pass.
  std::vector<std::uint8_t> active;
  std::vector<Var> gradients;

 private:
  static constexpr std::size_t chunk_bytes = 64 * 1024;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::size_t chunk_ = 0;  // the one that is filled now
  std::size_t used_ = 0;   // of it
};

}  // namespace weft
