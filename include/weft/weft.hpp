// Everything but Boost.Graph's concepts (boost_graph.hpp) and Catch2's matchers (gradcheck_catch2.hpp).
#pragma once

#include "weft/data.hpp"
#include "weft/dtype.hpp"
#include "weft/error.hpp"
#include "weft/format.hpp"
#include "weft/gradcheck.hpp"
#include "weft/gradient.hpp"
#include "weft/graph.hpp"
#include "weft/hdf5.hpp"
#include "weft/nn.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"
#include "weft/optim.hpp"
#include "weft/random.hpp"
#include "weft/shape.hpp"
#include "weft/tensor.hpp"
#include "weft/train.hpp"
