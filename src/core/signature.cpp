#include <fmt/format.h>

#include "core/hash128.hpp"
#include "weft/snapshot.hpp"

namespace weft {

namespace {

Signature signature_of(const Snapshot& s, bool with_names) {
  std::vector<Hash128> strings;  // of each text once
  for (const std::string& text : s.strings.all()) strings.push_back(Hash128().add(std::string_view(text)));
  std::vector<Hash128> types;
  for (const TensorType& type : s.types) types.push_back(Hash128().add(std::string_view(to_string(type))));

  Hash128 hash;
  hash.add(s.node_count());
  for (NodeId n = 0; n < s.node_count(); ++n) {
    hash.add(static_cast<std::uint64_t>(s.kind(n)));
    if (s.is_op(n)) hash.add(strings[s.op(n).name]).add(strings[s.attributes[n]]);
    hash.add(types[s.type_of[n]]).add(s.inputs(n).size());
    for (const NodeId input : s.inputs(n)) hash.add(n - input);
    if (with_names) hash.add(strings[s.names[n]]).add(s.scope_of(n));
  }
  for (std::uint32_t scope = 1; with_names && scope < s.scopes.size(); ++scope)
    hash.add(s.scopes[scope].parent).add(strings[s.scopes[scope].name]);
  return {hash.high, hash.low};
}

}  // namespace

std::string to_string(const Signature& signature) {
  return fmt::format("{:016x}{:016x}", signature.high, signature.low);
}

Signature structure(const Snapshot& s) { return signature_of(s, false); }
Signature identity(const Snapshot& s) { return signature_of(s, true); }

}  // namespace weft
