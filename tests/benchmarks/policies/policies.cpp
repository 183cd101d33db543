#include "policies/policies.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace weft::policies {

namespace {

// Every comparison is written so that NaN is not close.
bool is_close(double found, double expected, double absolute, double relative) {
  return std::fabs(found - expected) <= absolute + relative * std::fabs(expected);
}

Vector drawn(std::size_t count, auto&& draw) {
  Vector v(count);
  std::ranges::generate(v, draw);
  return v;
}
Vector normal(std::size_t count, Random& random) {
  return drawn(count, [&] { return random.normal(); });
}
void normalize(Vector& v) {
  const double norm = std::sqrt(inner(v, v));
  for (double& element : v) element /= norm;
}

Vector scaled_difference(const Vector& a, const Vector& b, double divisor) {
  Vector d(a.size());
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = (a[i] - b[i]) / divisor;
  return d;
}

// dy/dx_i.
Vector central(const Pair& pair, std::size_t i, double h) {
  return scaled_difference(pair.moved(i, h), pair.moved(i, -h), 2 * h);
}
// dy along u.
Vector central(const Pair& pair, const Vector& u, double h) {
  return scaled_difference(pair.moved(u, h), pair.moved(u, -h), 2 * h);
}

// Row by row. `recorded_once`: all rows from one record of the function.
std::vector<Vector> jacobian(const Pair& pair, bool recorded_once) {
  std::vector<Vector> rows;
  std::function<Vector(const Vector&)> gradient;
  for (std::size_t k = 0; k < pair.outputs; ++k) {
    if (!gradient || !recorded_once) gradient = pair.record();
    Vector gy(pair.outputs, 0.0);
    gy[k] = 1;
    rows.push_back(gradient(gy));
  }
  return rows;
}

// Whether close(found, expected, i) holds for every entry of the Jacobian, against central differences.
template <class Close>
bool full_jacobian(const Pair& pair, const std::vector<Vector>& rows, double h, Close&& close) {
  for (std::size_t i = 0; i < pair.x.size(); ++i) {
    const Vector column = central(pair, i, h);
    for (std::size_t k = 0; k < pair.outputs; ++k) {
      if (!close(rows[k][i], column[k], i)) return false;
    }
  }
  return true;
}

// ---- PyTorch, torch.autograd.gradcheck: eps 1e-6, atol 1e-5, rtol 1e-3, nondet_tol 0

bool has_fixed_rules(const Pair& pair) {  // the gradient is the same twice, and 0 for gy = 0
  const Vector gy = ones(pair.outputs);
  if (pair.gradient(gy) != pair.gradient(gy)) return false;
  const Vector none = pair.gradient(Vector(pair.outputs, 0.0));
  return std::ranges::all_of(none, [](double g) { return g == 0; });
}

bool pytorch_slow(const Pair& pair, Random&) {
  const std::vector<Vector> rows = jacobian(pair, true);
  return full_jacobian(pair, rows, 1e-6,
                       [](double a, double n, std::size_t) { return is_close(a, n, 1e-5, 1e-3); }) &&
         has_fixed_rules(pair);
}

// v^T J u with u, v uniform in [0, 1) and of norm 1; atol times sum(u) sum(v).
bool pytorch_fast(const Pair& pair, Random& random) {
  const auto unit = [&](std::size_t count) {
    Vector v = drawn(count, [&] { return random.uniform(); });
    normalize(v);
    return v;
  };
  const Vector v = unit(pair.outputs);
  const Vector gx = pair.gradient(v);
  for (const Part& part : pair.parts) {
    if (part.begin == part.end) continue;
    const Vector own = unit(part.end - part.begin);
    Vector u(pair.x.size(), 0.0);
    std::ranges::copy(own, u.begin() + static_cast<std::ptrdiff_t>(part.begin));
    const double sums = std::reduce(u.begin(), u.end()) * std::reduce(v.begin(), v.end());
    if (!is_close(inner(gx, u), inner(v, central(pair, u, 1e-6)), 1e-5 * sums, 1e-3)) return false;
  }
  return has_fixed_rules(pair);
}

// ---- JAX, jax.test_util.check_grads (mode rev): eps 1e-4, one normal direction and cotangent; the numbers
// compared are of size 1, by which the tolerances are multiplied

template <int exponent, int mantissa>
bool jax(const Pair& pair, Random& random) {
  const double tolerance = mantissa * std::pow(10.0, exponent);
  const Vector u = normal(pair.x.size(), random), v = normal(pair.outputs, random);
  return is_close(inner(pair.gradient(v), u), inner(v, central(pair, u, 1e-4)), tolerance, tolerance);
}

// ---- TensorFlow 2, tf.test.compute_gradient and max_error: delta 1/1024, below 1e-4

bool tensorflow(const Pair& pair, Random&) {
  return full_jacobian(pair, jacobian(pair, false), 1.0 / 1024,
                       [](double a, double n, std::size_t) { return std::fabs(a - n) < 1e-4; });
}

// ---- Theano, verify_grad: one-sided, eps 1e-7; projected by 0.5 + uniform; twice

bool theano(const Pair& pair, Random& random) {
  for (int test = 0; test < 2; ++test) {
    const Vector v = drawn(pair.outputs, [&] { return 0.5 + random.uniform(); });
    const Vector gx = pair.gradient(v);
    const double here = inner(v, pair.value(pair.x));
    for (std::size_t i = 0; i < gx.size(); ++i) {
      const double n = (inner(v, pair.moved(i, 1e-7)) - here) / 1e-7, error = std::fabs(gx[i] - n);
      const double relative = error / std::max(std::fabs(gx[i]) + std::fabs(n), 1e-8);
      if (!(error <= 1e-4 || relative <= 1e-4)) return false;
    }
  }
  return true;
}

// ---- dlib, test_layer: steps of 1e-4, 2e-4 ... times x_i, f32; the first that passes counts

bool dlib(const Pair& pair, Random& random) {
  const Vector v = normal(pair.outputs, random), gx = pair.gradient(v);
  const auto passes = [&](double base) {
    for (std::size_t i = 0; i < gx.size(); ++i) {
      const double step = pair.x[i] == 0 ? base : std::fabs(pair.x[i]) * base;
      const double n = inner(v, central(pair, i, step)), error = std::fabs(n - gx[i]);
      const double relative = n == 0 ? error : error / std::fabs(n);
      if (!(relative <= 0.05 || error <= 0.006)) return false;
    }
    return true;
  };
  for (double base = 1e-4; base < 0.1; base *= 2) {
    if (passes(base)) return true;
  }
  return passes(0.01);
}

// ---- Chainer, gradient_check.check_backward with detect_nondifferentiable: eps 1e-3, one direction, atol
// 1e-5, rtol 1e-4. Where a parabola through five points misses them it draws another sample; here that is
// acceptance, since it is no rejection. How far a parabola may miss (1 % of the range) is chosen here.

bool looks_smooth(const std::array<double, 5>& y) {  // least squares by a parabola on -1, -1/2, 0, 1/2, 1
  const double constant = (-3 * y[0] + 12 * y[1] + 17 * y[2] + 12 * y[3] - 3 * y[4]) / 35;
  const double linear = (-y[0] - 0.5 * y[1] + 0.5 * y[3] + y[4]) / 2.5;
  const double square = 4 * (2 * y[0] - y[1] - 2 * y[2] - y[3] + 2 * y[4]) / 14;
  const auto [least, largest] = std::ranges::minmax(y);
  for (int k = 0; k < 5; ++k) {
    const double t = (k - 2) / 2.0, fitted = constant + linear * t + square * t * t;
    if (!(std::fabs(y[static_cast<std::size_t>(k)] - fitted) <= 1e-5 + 1e-2 * (largest - least)))
      return false;
  }
  return true;
}

bool chainer(const Pair& pair, Random& random) {
  const Vector v = normal(pair.outputs, random);
  Vector u = normal(pair.x.size(), random);
  normalize(u);
  const Vector gx = pair.gradient(v);
  std::array<Vector, 5> y;
  for (std::size_t k = 0; k < y.size(); ++k) y[k] = pair.moved(u, 1e-3 * (static_cast<double>(k) - 2) / 2);
  for (std::size_t o = 0; o < pair.outputs; ++o) {
    if (!looks_smooth({y[0][o], y[1][o], y[2][o], y[3][o], y[4][o]})) return true;
  }
  return is_close(inner(gx, u), inner(v, scaled_difference(y[4], y[0], 2e-3)), 1e-5, 1e-4);
}

// ---- Caffe, GradientChecker::CheckGradientExhaustive: step 1e-2, threshold 1e-3, loss weight 2; elements
// within 0.01 of the kink, 0, are skipped

bool caffe(const Pair& pair, Random&) {
  constexpr double loss_weight = 2, threshold = 1e-3, kink_range = 0.01;
  const std::vector<Vector> rows = jacobian(pair, false);
  for (std::size_t i = 0; i < pair.x.size(); ++i) {
    if (std::fabs(pair.x[i]) <= kink_range) continue;
    const Vector column = central(pair, i, 1e-2);
    for (std::size_t k = 0; k < pair.outputs; ++k) {
      const double a = loss_weight * rows[k][i], n = loss_weight * column[k];
      const double scale = std::max({std::fabs(a), std::fabs(n), 1.0});
      if (!(std::fabs(a - n) <= threshold * scale)) return false;
    }
  }
  return true;
}

// ---- DyNet, check_grad: f32, parameters only, step 1e-3, gy = 1; 1 %, relative where the error is larger

bool dynet(const Pair& pair, Random&) {
  const Vector gy = ones(pair.outputs), gx = pair.gradient(gy);
  for (const Part& part : pair.parts) {
    for (std::size_t i = part.begin; part.is_parameter && i < part.end; ++i) {
      const double n = inner(gy, central(pair, i, 1e-3)), larger = std::max(std::fabs(n), std::fabs(gx[i]));
      double error = std::fabs(n - gx[i]);
      if (error > 0.01 && larger > 0) error /= larger;
      if (!(error <= 0.01)) return false;
    }
  }
  return true;
}

// ---- tiny-dnn, layer gradient checks: f32, 100 random pairs of input and output, step sqrt(epsilon),
// absolute 1e-2

bool tiny_dnn(const Pair& pair, Random& random) {
  const double h = std::sqrt(0x1p-23);
  for (int test = 0; test < 100; ++test) {
    const auto i = static_cast<std::size_t>(random.below(static_cast<std::int64_t>(pair.x.size())));
    const auto k = static_cast<std::size_t>(random.below(static_cast<std::int64_t>(pair.outputs)));
    Vector gy(pair.outputs, 0.0);
    gy[k] = 1;
    if (!(std::fabs(pair.gradient(gy)[i] - central(pair, i, h)[k]) <= 1e-2)) return false;
  }
  return true;
}

// ---- ggml, test-backend-ops (mode grad): f32, gy = 1, four points with eps 0.1, mean abs((a - b) / (a + b))
// of each operand at most 1e-4

bool ggml(const Pair& pair, Random&) {
  constexpr double eps = 0.1;
  const Vector gy = ones(pair.outputs), gx = pair.gradient(gy);
  for (const Part& part : pair.parts) {
    double sum = 0;
    for (std::size_t i = part.begin; i < part.end; ++i) {
      const double half = inner(gy, pair.moved(i, eps / 2)) - inner(gy, pair.moved(i, -eps / 2));
      const double whole = inner(gy, pair.moved(i, eps)) - inner(gy, pair.moved(i, -eps));
      const auto n = static_cast<float>((8.0 / 6.0 * half - 1.0 / 6.0 * whole) / eps);
      const auto a = static_cast<float>(gx[i]);
      if (a != n) sum += static_cast<double>(std::fabs((a - n) / (a + n)));
    }
    const auto count = static_cast<double>(part.end - part.begin);
    if (count > 0 && !(sum / count <= 1e-4)) return false;
  }
  return true;
}

// ---- flashlight, jacobianTestImpl: f32, full, step 1e-4, largest absolute error. Its tests choose the
// precision, 0.02 to 0.3 for convolutions; taken here: 0.06 for convolutions and 0.02 for the rest, since its
// default of 1e-5 is below what f32 resolves.

bool flashlight(const Pair& pair, Random&) {
  const double precision = pair.convolution ? 0.06 : 0.02;
  return full_jacobian(pair, jacobian(pair, false), 1e-4,
                       [&](double a, double n, std::size_t) { return std::fabs(a - n) <= precision; });
}

// ---- ChainRulesTestUtils, test_rrule: central_fdm(5, 1), whose step is chosen from an estimate of the fifth
// derivative by central_fdm(7, 5); random gy; norms within 1e-9 absolute or relative

struct Stencil {
  int points, order;            // of the derivative
  std::vector<double> weights;  // on -(points - 1) / 2 ... (points - 1) / 2
};

double factorial(int n) { return std::tgamma(n + 1.0); }

// Where rounding and truncation are balanced: errors C1 h^-q and C2 h^(p - q).
double best_step(const Stencil& stencil, double value, double bound) {
  const int p = stencil.points, q = stencil.order;
  double rounding = 0, truncation = 0;
  for (int k = 0; k < p; ++k) {
    const double weight = std::fabs(stencil.weights[static_cast<std::size_t>(k)]);
    rounding += weight;
    truncation += weight * std::pow(std::abs(k - (p - 1) / 2), p);
  }
  rounding *= 0x1p-52 * std::max(value, 1e-20);
  truncation *= std::max(bound, 1e-20) / factorial(p);
  const double step = std::pow(q / static_cast<double>(p - q) * rounding / truncation, 1.0 / p);
  return std::min(step, 0.1);
}

template <class F>
double apply(const Stencil& stencil, double h, F&& f, double* largest = nullptr) {
  double sum = 0;
  for (int k = 0; k < stencil.points; ++k) {
    const double y = f((k - (stencil.points - 1) / 2) * h);
    sum += stencil.weights[static_cast<std::size_t>(k)] * y;
    if (largest) *largest = std::max(*largest, std::fabs(y));
  }
  return sum / std::pow(h, stencil.order);
}

bool chain_rules(const Pair& pair, Random& random) {
  static const Stencil first{5, 1, {1.0 / 12, -2.0 / 3, 0, 2.0 / 3, -1.0 / 12}};
  static const Stencil fifth{7, 5, {-0.5, 2, -2.5, 0, 2.5, -2, 0.5}};
  constexpr double condition = 10;
  const Vector v = normal(pair.outputs, random), gx = pair.gradient(v);
  for (const Part& part : pair.parts) {
    double error = 0, found = 0, expected = 0;
    for (std::size_t i = part.begin; i < part.end; ++i) {
      const auto f = [&](double t) { return inner(v, pair.moved(i, t)); };
      double largest = std::fabs(f(0));
      const double bound =
          std::fabs(apply(fifth, best_step(fifth, largest, condition * largest), f, &largest));
      const double n = apply(first, best_step(first, largest, bound), f);
      error += (gx[i] - n) * (gx[i] - n);
      found += gx[i] * gx[i];
      expected += n * n;
    }
    const double allowed = std::max(1e-9, 1e-9 * std::sqrt(std::max(found, expected)));
    if (!(std::sqrt(error) <= allowed)) return false;
  }
  return true;
}

constexpr std::array policies{
    Policy{"PyTorch, slow", DType::f64, pytorch_slow},
    Policy{"PyTorch, fast", DType::f64, pytorch_fast},
    Policy{"JAX check_grads, f64", DType::f64, jax<-5, 1>},
    Policy{"JAX check_grads, f32", DType::f32, jax<-3, 2>},
    Policy{"TensorFlow v2", DType::f64, tensorflow},
    Policy{"Theano", DType::f64, theano},
    Policy{"dlib", DType::f32, dlib},
    Policy{"Chainer", DType::f64, chainer},
    Policy{"Caffe", DType::f64, caffe},
    Policy{"DyNet", DType::f32, dynet},
    Policy{"tiny-dnn", DType::f32, tiny_dnn},
    Policy{"ggml", DType::f32, ggml},
    Policy{"flashlight", DType::f32, flashlight},
    Policy{"ChainRulesTestUtils", DType::f64, chain_rules},
};

}  // namespace

std::span<const Policy> all_policies() { return policies; }

}  // namespace weft::policies
