#include "weft/tensor.hpp"
