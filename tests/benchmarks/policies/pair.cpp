#include "policies/pair.hpp"

#include <memory>
#include <numeric>

#include "weft/gradient.hpp"

namespace weft::policies {

namespace {

Vector flat(const Tensor& tensor) {
  const Tensor wide = tensor.to(DType::f64);
  const auto values = wide.values<double>();
  return {values.begin(), values.end()};
}

bool is_checked(const OpInfo& info, std::size_t i, const Tensor& operand) {
  const Role role = info.arguments[std::min(i, info.arguments.size() - 1)].role;
  return is_floating(operand.dtype()) && (role == Role::differentiable || role == Role::optional);
}

// An op with some operands fixed.
struct OpSubject {
  const OpInfo& info;
  Attributes attributes;
  std::vector<Tensor> operands;
  std::vector<std::size_t> checked;
  DType dtype;
  Shape y_shape = {};

  std::vector<Tensor> at(const Vector& x) const {
    std::vector<Tensor> result;
    for (const Tensor& operand : operands)
      result.push_back(is_floating(operand.dtype()) ? operand.to(dtype).clone() : operand);
    auto from = x.begin();
    for (const std::size_t i : checked) {
      const auto next = from + static_cast<std::ptrdiff_t>(operands[i].elements());
      result[i] = Tensor::of<double>(operands[i].shape(), Vector(from, next)).to(dtype);
      from = next;
    }
    return result;
  }
  Tensor value(const Vector& x) const {
    const std::vector<Tensor> tensors = at(x);
    return info.call(std::vector<Var>(tensors.begin(), tensors.end()), attributes).value();
  }
};

struct Record {
  Graph g;
  std::vector<Var> targets;
  Var y;
};

std::function<Vector(const Vector&)> record(const OpSubject& subject, const Vector& x) {
  const auto kept = std::make_shared<Record>();
  std::vector<Var> operands;
  for (const Tensor& tensor : subject.at(x)) operands.emplace_back(tensor);
  for (const std::size_t i : subject.checked) {
    operands[i] = kept->g.input(operands[i].value());
    kept->targets.push_back(operands[i]);
  }
  kept->y = subject.info.call(operands, subject.attributes);
  return [kept, dtype = subject.dtype](const Vector& gy) {
    Vector gx;
    const Tensor arriving = Tensor::of<double>(kept->y.shape(), gy).to(dtype);
    for (const Var& part : weft::gradient(kept->y, kept->targets, {.gy = arriving})) {
      const Vector values = flat(part.value());
      gx.insert(gx.end(), values.begin(), values.end());
    }
    return gx;
  };
}

template <class T>
Vector kinky_value(const kinky::Function& function, const Vector& x) {
  return {static_cast<double>(function(std::vector<T>(x.begin(), x.end())))};
}

}  // namespace

Vector Pair::moved(const Vector& u, double t) const {
  Vector point = x;
  for (std::size_t i = 0; i < x.size(); ++i) point[i] += t * u[i];
  return value(point);
}

Vector Pair::moved(std::size_t i, double t) const {
  Vector point = x;
  point[i] += t;
  return value(point);
}

Pair pair_of(const OpInfo& info, const Attributes& attributes, std::span<const Tensor> operands,
             DType dtype) {
  Pair pair;
  pair.convolution = info.name.starts_with("conv2d");
  const auto subject = std::make_shared<OpSubject>(OpSubject{.info = info,
                                                             .attributes = attributes,
                                                             .operands = {operands.begin(), operands.end()},
                                                             .checked = {},
                                                             .dtype = dtype});
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (!is_checked(info, i, operands[i])) continue;
    const Vector values = flat(operands[i].to(dtype));
    pair.parts.push_back({pair.x.size(), pair.x.size() + values.size(), i > 0});
    pair.x.insert(pair.x.end(), values.begin(), values.end());
    subject->checked.push_back(i);
  }
  if (subject->checked.empty()) return pair;
  pair.outputs = static_cast<std::size_t>(subject->value(pair.x).elements());
  pair.value = [subject](const Vector& x) { return flat(subject->value(x)); };
  pair.record = [subject, x = pair.x] { return record(*subject, x); };
  return pair;
}

Pair pair_of(const kinky::Function& function, DType dtype) {
  Pair pair;
  pair.x = function.x();
  pair.outputs = 1;
  pair.parts = {{0, pair.x.size(), false}};
  pair.value = [&function, dtype](const Vector& x) {
    return dtype == DType::f32 ? kinky_value<float>(function, x) : kinky_value<double>(function, x);
  };
  pair.record = [&function, dtype] {
    std::vector<Dual> x;
    for (std::size_t i = 0; i < function.x().size(); ++i)
      x.push_back(Dual::variable(function.x()[i], static_cast<int>(i)));
    const Dual y = function(x);
    Vector slopes;
    for (std::size_t i = 0; i < x.size(); ++i) slopes.push_back(y.derivative(static_cast<int>(i)));
    return [slopes, dtype](const Vector& gy) {
      Vector gx = slopes;
      for (double& g : gx) {
        g *= gy[0];
        if (dtype == DType::f32) g = static_cast<double>(static_cast<float>(g));
      }
      return gx;
    };
  };
  return pair;
}

double inner(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

Vector ones(std::size_t count) { return Vector(count, 1.0); }

}  // namespace weft::policies
