#include <algorithm>
#include <cmath>

#include "weft/nn.hpp"
#include "weft/random.hpp"

namespace weft {

namespace {

struct Fans {
  double in = 1, out = 1;  // at least 1
};

Fans fans_of(const Shape& shape) {
  double receptive_field = 1;
  for (int axis = 0; axis < shape.rank() - 2; ++axis) receptive_field *= static_cast<double>(shape[axis]);
  Fans fans;
  if (shape.rank() >= 2) fans.in = std::max(1.0, receptive_field * static_cast<double>(shape[-2]));
  if (shape.rank() >= 1) fans.out = std::max(1.0, receptive_field * static_cast<double>(shape[-1]));
  return fans;
}

Parameter draw_normal(std::string name, const Shape& shape, double variance,
                      const InitializerOptions& options) {
  Random random(options.seed, name);
  Tensor value = random.normal(shape, 0, std::sqrt(variance), options.dtype);
  return Parameter(std::move(name), std::move(value));
}

Parameter draw_uniform(std::string name, const Shape& shape, double variance,
                       const InitializerOptions& options) {
  Random random(options.seed, name);
  const double limit = std::sqrt(3 * variance);
  Tensor value = random.uniform(shape, -limit, limit, options.dtype);
  return Parameter(std::move(name), std::move(value));
}

double he_variance(const Shape& shape) { return 2 / fans_of(shape).in; }

double glorot_variance(const Shape& shape) {
  const Fans fans = fans_of(shape);
  return 2 / (fans.in + fans.out);
}

}  // namespace

Parameter he_normal(std::string name, const Shape& shape, const InitializerOptions& options) {
  return draw_normal(std::move(name), shape, he_variance(shape), options);
}
Parameter he_uniform(std::string name, const Shape& shape, const InitializerOptions& options) {
  return draw_uniform(std::move(name), shape, he_variance(shape), options);
}
Parameter glorot_normal(std::string name, const Shape& shape, const InitializerOptions& options) {
  return draw_normal(std::move(name), shape, glorot_variance(shape), options);
}
Parameter glorot_uniform(std::string name, const Shape& shape, const InitializerOptions& options) {
  return draw_uniform(std::move(name), shape, glorot_variance(shape), options);
}
Parameter zeros(std::string name, const Shape& shape, const InitializerOptions& options) {
  return Parameter(std::move(name), Tensor::zeros(shape, options.dtype));
}
Parameter ones(std::string name, const Shape& shape, const InitializerOptions& options) {
  return Parameter(std::move(name), Tensor::full(shape, 1, options.dtype));
}

}  // namespace weft
