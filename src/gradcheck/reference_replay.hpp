// A record computed again by the references of its ops, on any of their scalars.
#pragma once

#include <functional>

#include "gradcheck/op_case.hpp"

namespace weft {

// What a source node holds in the replay; its tensor's elements where this is empty.
template <class T>
using SourceArray = std::function<Array<T>(NodeId source, const Tensor& value)>;

// The value of `root`. Takes the naive reference's time; keeps every value of the record while it runs.
template <class T>
Array<T> replay_reference(const Var& root, const SourceArray<T>& source = {});
extern template Array<double> replay_reference(const Var&, const SourceArray<double>&);
extern template Array<Dual> replay_reference(const Var&, const SourceArray<Dual>&);
extern template Array<Dual2> replay_reference(const Var&, const SourceArray<Dual2>&);
extern template Array<Traced> replay_reference(const Var&, const SourceArray<Traced>&);
extern template Array<Bounded> replay_reference(const Var&, const SourceArray<Bounded>&);

}  // namespace weft
