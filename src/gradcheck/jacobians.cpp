#include "gradcheck/jacobians.hpp"

#include <algorithm>
#include <cmath>

#include "gradcheck/kinks.hpp"

namespace weft {

namespace {

double power_of_two_near(double size) {
  return size > 0 && std::isfinite(size) ? std::exp2(std::round(std::log2(size))) : 1;
}

Inputs<Traced> traced_inputs(const OpCase& op, std::span<const Tensor> u, double t, Trace& trace) {
  Inputs<Traced> x = reference_inputs<Traced>(op.inputs);
  for (std::size_t k = 0; k < op.inputs.size(); ++k) {
    if (!is_floating(op.inputs[k].dtype())) continue;
    Array<Traced> values = x[k];
    for (std::int64_t n = 0; n < values.elements(); ++n) {
      const double moved = u[k].defined() ? t * u[k].values<double>()[static_cast<std::size_t>(n)] : 0;
      values[n] = Traced(values[n].value() + moved, &trace);
    }
    x.replace(k, std::move(values));
  }
  return x;
}

// The largest step that leaves x in its domain on both sides.
double most_step(const Tensor& x, const Tensor& u, const Domain& domain) {
  double most = 0.25;
  if (!std::isfinite(domain.low)) return most;
  const auto from = x.values<double>(), direction = u.values<double>();
  for (std::size_t n = 0; n < from.size(); ++n) {
    const double room = from[n] - domain.low;  // a value outside was given on purpose
    if (direction[n] != 0 && room > 0) most = std::min(most, room / (2 * std::fabs(direction[n])));
  }
  return most;
}

// The largest |u| and the largest step that stays in the domains.
std::pair<double, double> limits(const OpCase& op, std::span<const Tensor> u) {
  double most_u = 0, most = 0.25;
  for (std::size_t k = 0; k < u.size(); ++k) {
    if (!u[k].defined()) continue;
    for (const double value : u[k].values<double>()) most_u = std::max(most_u, std::fabs(value));
    most = std::min(most, most_step(op.inputs[k], u[k], op.argument(k).domain));
  }
  return {most_u, most};
}

}  // namespace

Trace trace_along(const OpCase& op, std::span<const Tensor> u, double t) {
  Trace trace;
  (void)op.info.reference(traced_inputs(op, u, t, trace), op.attributes);
  return trace;
}

double typical_step(const Tensor& x) {
  double sum = 0;
  for (const double value : x.values<double>()) sum += std::fabs(value);
  return power_of_two_near(x.elements() > 0 ? sum / static_cast<double>(x.elements()) : 0);
}

std::vector<std::vector<double>> rule_jacobians(const OpCase& op) {
  const Recorded recorded(op, op.inputs);
  const auto rows = static_cast<std::size_t>(recorded.y.shape().elements());
  std::vector<std::vector<double>> jacobians;
  for (const std::size_t i : op.checked) {
    jacobians.emplace_back(rows * static_cast<std::size_t>(op.inputs[i].elements()));
  }
  for (std::size_t row = 0; row < rows; ++row) {
    Tensor gy = Tensor::zeros(recorded.y.shape(), DType::f64);
    gy.mutable_values<double>()[row] = 1;
    const std::vector<Tensor> gradients = recorded.gradients(gy);
    for (std::size_t k = 0; k < gradients.size(); ++k) {
      const auto values = gradients[k].values<double>();
      std::ranges::copy(values, jacobians[k].begin() + static_cast<std::ptrdiff_t>(row * values.size()));
    }
  }
  return jacobians;
}

std::vector<std::vector<double>> dual_products(const OpCase& op, std::size_t i,
                                               std::span<const Tensor> directions) {
  Inputs<Dual> x = reference_inputs<Dual>(op.inputs);
  Array<Dual> seeded = x[i];
  for (std::int64_t n = 0; n < seeded.elements(); ++n) {
    for (std::size_t d = 0; d < directions.size(); ++d) {
      seeded[n] += Dual::variable(0, static_cast<int>(d)) *
                   directions[d].values<double>()[static_cast<std::size_t>(n)];
    }
  }
  x.replace(i, std::move(seeded));
  const Array<Dual> y = op.info.reference(x, op.attributes);
  std::vector<std::vector<double>> products(directions.size());
  for (std::size_t d = 0; d < directions.size(); ++d) {
    for (std::int64_t row = 0; row < y.elements(); ++row)
      products[d].push_back(y[row].derivative(static_cast<int>(d)));
  }
  return products;
}

std::vector<double> dual_jacobian(const OpCase& op, std::size_t i) {
  Inputs<Dual> x = reference_inputs<Dual>(op.inputs);
  const Array<Dual> constant = x[i];
  const std::int64_t columns = constant.elements();
  std::vector<double> jacobian(static_cast<std::size_t>(op.y_shape.elements() * columns));
  for (std::int64_t first = 0; first < columns; first += Dual::width) {
    const std::int64_t width = std::min<std::int64_t>(Dual::width, columns - first);
    Array<Dual> seeded = constant;
    for (std::int64_t d = 0; d < width; ++d)
      seeded[first + d] = Dual::variable(constant[first + d].value(), static_cast<int>(d));
    x.replace(i, std::move(seeded));
    const Array<Dual> y = op.info.reference(x, op.attributes);
    for (std::int64_t row = 0; row < y.elements(); ++row) {
      for (std::int64_t d = 0; d < width; ++d) {
        jacobian[static_cast<std::size_t>(row * columns + first + d)] =
            y[row].derivative(static_cast<int>(d));
      }
    }
  }
  return jacobian;
}

Room room_along(const OpCase& op, std::span<const Tensor> u) {
  const auto [most_u, most] = limits(op, u);
  if (!op.reference_fits) return {most, Side::both, true, false};
  const StepChoice choice = choose_step([&](double t) { return trace_along(op, u, t); }, most_u, most);
  return {choice.step, choice.side, choice.found, true};
}

double step_beside_kinks(const OpCase& op, std::span<const Tensor> u) {
  const auto [most_u, most] = limits(op, u);
  return std::min(most, trace_along(op, u, 0).margin / (2 * most_u));
}

DifferenceJacobian difference_jacobian(const OpCase& op, std::size_t i, std::span<const double> scale) {
  const auto rows = static_cast<std::size_t>(op.y_shape.elements());
  const auto columns = static_cast<std::size_t>(op.inputs[i].elements());
  const auto deadline = std::chrono::steady_clock::now() + budget_of(op.options);
  const bool affine = op.argument(i).linear;
  const double typical = typical_step(op.inputs[i]);
  DifferenceJacobian result;
  result.entries.resize(rows * columns);
  result.covered.assign(columns, true);
  std::vector<double> noise(rows), column_scale(rows);
  for (std::size_t row = 0; row < rows; ++row) noise[row] = op.noise(row);
  std::vector<Tensor> u(op.inputs.size()), x = op.inputs;
  u[i] = Tensor::zeros(op.inputs[i].shape(), DType::f64);
  x[i] = op.inputs[i].clone();
  const auto direction = u[i].mutable_values<double>(), moving = x[i].mutable_values<double>();
  for (std::size_t n = 0; n < columns; ++n) {
    if (n % 16 == 15 && std::chrono::steady_clock::now() > deadline) {
      std::fill(result.covered.begin() + static_cast<std::ptrdiff_t>(n), result.covered.end(), false);
      break;
    }
    const double at = moving[n], size = affine ? 1 : std::max(typical, power_of_two_near(std::fabs(at)));
    direction[n] = size;
    const Room room = affine ? Room{1, Side::both, true, true} : room_along(op, u);
    const VectorFunction g = [&](double t, std::span<double> y) {
      moving[n] = at + t * size;
      std::ranges::copy(op.forward(x).values<double>(), y.begin());
    };
    for (std::size_t row = 0; row < rows; ++row) column_scale[row] = scale[row * columns + n] * size;
    std::vector<Estimate> estimates(rows, Estimate{.error = INFINITY});
    if (room.found) {
      const LadderOptions options{.step = room.step,
                                  .detect = op.options.detect_difference,
                                  .side = room.side,
                                  .affine = affine,
                                  .smooth = room.smooth};
      estimates = directional_derivatives(g, {noise, column_scale, options});
    } else {
      ++result.no_room;
    }
    for (std::size_t row = 0; row < rows; ++row) {
      Estimate& entry = result.entries[row * columns + n] = estimates[row];
      entry.value /= size;
      entry.error /= size;
    }
    if (rows > 0) result.evaluations += estimates[0].evaluations;
    direction[n] = 0;
    moving[n] = at;
  }
  return result;
}

}  // namespace weft
