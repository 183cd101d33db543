// Gradients of gradients: Newton's method with exact Hessian-vector products, on Rosenbrock's function.
//   f(x) = sum over i of 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2
#include <weft/weft.hpp>

using namespace weft;

Var rosenbrock(const Var& x) {
  const std::int64_t n = x.extent(0);
  const Var head = slice(x, {.begin = {0}, .size = {n - 1}});
  const Var tail = slice(x, {.begin = {1}, .size = {n - 1}});
  return sum(100.0 * pow(tail - head * head, 2) + pow(1 - head, 2));
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.elements(); ++i) sum += a.at({i}) * b.at({i});
  return sum;
}

// a + s b
Tensor axpy(const Tensor& a, double s, const Tensor& b) { return (a + s * b).value(); }

// Solves H d = -gradient by conjugate gradients; H v is the gradient of <gradient, v>, so H itself is never
// formed.
Tensor newton_direction(const Var& gx, const Var& x) {
  Tensor direction = Tensor::zeros(x.shape(), DType::f64);
  Tensor residual = axpy(direction, -1, gx.value());
  Tensor p = residual;
  double size = dot(residual, residual);
  for (int step = 0; step < 2 * x.extent(0) && size > 1e-24; ++step) {
    const Tensor hp = gradient(gx, x, {.gy = p}).value();
    const double curvature = dot(p, hp);
    if (curvature <= 0) return step == 0 ? residual : direction;
    direction = axpy(direction, size / curvature, p);
    residual = axpy(residual, -size / curvature, hp);
    const double next = dot(residual, residual);
    p = axpy(residual, next / size, p);
    size = next;
  }
  return direction;
}

int main() try {
  Tensor x_value = Tensor::full({8}, -1, DType::f64);
  Graph g;
  double f = 0;
  for (int iteration = 0; iteration < 100; ++iteration) {
    g.clear();
    const Var x = g.input(x_value, "x");
    const Var y = rosenbrock(x);
    const Var gx = gradient(y, x, {.record = true});
    f = y.item();
    const double slope = dot(gx.value(), gx.value());
    fmt::print("iteration {:2}: f = {:.3e}, |gradient|^2 = {:.3e}, {} nodes\n", iteration, f, slope,
               g.node_count());
    if (slope < 1e-20) break;

    const Tensor direction = newton_direction(gx, x);
    double step = 1;  // halved until f falls (Armijo)
    const double descent = dot(gx.value(), direction);
    while (step > 1e-10 && rosenbrock(axpy(x_value, step, direction)).item() > f + 1e-4 * step * descent)
      step /= 2;
    x_value = axpy(x_value, step, direction);
  }
  fmt::print("minimum at {}\n", x_value);
  return f < 1e-12 ? 0 : 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "second_order: {}\n", error.what());
  return 1;
}
