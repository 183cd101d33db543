#include "weft/graph.hpp"
