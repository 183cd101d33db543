// O1 and O2 of an op with too many entries for full Jacobians: <gy, J u> for random gy and u.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gradcheck/checks.hpp"
#include "gradcheck/jacobians.hpp"

namespace weft {

namespace {

using Product = std::function<std::vector<double>(const Tensor& u)>;  // J u

double sum_of_products(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double sum_of_sizes(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::fabs(a[i] * b[i]);
  return sum;
}

// `tensor` with what lies outside [first, last) set to 0.
Tensor restricted(const Tensor& tensor, std::size_t first, std::size_t last) {
  Tensor part = Tensor::zeros(tensor.shape(), DType::f64);
  const auto from = tensor.values<double>();
  std::copy(from.begin() + static_cast<std::ptrdiff_t>(first),
            from.begin() + static_cast<std::ptrdiff_t>(last),
            part.mutable_values<double>().begin() + static_cast<std::ptrdiff_t>(first));
  return part;
}

class Probes {
 public:
  Probes(const OpCase& op, std::size_t i)
      : op_(op), i_(i), recorded_(op, op.inputs), random_(op.options.seed, "probes") {
    gy_ = dense_like(op.y_shape, random_);
    gx_ = gradient_for(gy_);
    const double size = typical_step(op.inputs[i]);
    for (int p = 0; p < op.options.probes; ++p) {
      Tensor u = dense_like(op.inputs[i].shape(), random_);
      if (!op.argument(i).linear) {
        for (double& value : u.mutable_values<double>()) value *= size;
      }
      directions_.push_back(std::move(u));
    }
  }

  void check_dual(GradcheckReport& report) {
    std::vector<double> found, expected, scale;
    for (std::size_t first = 0; first < directions_.size(); first += Dual::width) {
      const std::size_t count = std::min<std::size_t>(Dual::width, directions_.size() - first);
      const auto some = std::span(directions_).subspan(first, count);
      const auto products = dual_products(op_, i_, some);
      for (std::size_t d = 0; d < count; ++d) add(some[d], products[d], found, expected, scale);
    }
    const double l = longest_chain() + static_cast<double>(gx_.elements() + gy_.elements());
    const Comparison comparison = compare(
        found.size(), op_.options.detect_exact, [&](std::size_t k) { return found[k]; },
        [&](std::size_t k) { return expected[k]; },
        [&](std::size_t k) { return 6 * std::sqrt(l) * unit_roundoff_f64 * scale[k]; },
        [&](std::size_t k) { return scale[k]; });
    const Product product = [&](const Tensor& u) { return dual_products(op_, i_, std::span(&u, 1))[0]; };
    report.findings.push_back(finding("O1", comparison, found, expected, "dual", product));
    report.findings.back().scale = scale.empty() ? 0 : *std::ranges::max_element(scale);
  }

  // False where kinks left no direction with a step. A dense direction that meets a kink on both sides, as at
  // ties, is replaced by single entries.
  bool check_difference(GradcheckReport& report) {
    std::vector<double> found, expected, scale, error;
    const auto deadline = std::chrono::steady_clock::now() + budget_of(op_.options);
    for (std::size_t p = 0; p < directions_.size(); ++p) {
      if (!found.empty() && std::chrono::steady_clock::now() > deadline) {
        report.notes.push_back(fmt::format("{} {}: {} of {} differences of {} within the budget",
                                           op_.info.name, op_.name, found.size(), directions_.size(),
                                           op_.argument(i_).name));
        break;
      }
      const double size = std::fabs(dot(gx_, directions_[p]));
      Estimate estimate = difference_along(directions_[p], size);
      for (int entry = 0; std::isinf(estimate.error) && entry < 4; ++entry) {
        directions_[p] = single_entry(entry % 2 == 0);
        estimate = difference_along(directions_[p], std::fabs(dot(gx_, directions_[p])));
      }
      if (std::isinf(estimate.error)) continue;
      const Tensor& u = directions_[p];
      found.push_back(dot(gx_, u));
      expected.push_back(estimate.value);
      error.push_back(estimate.error);
      scale.push_back(std::max({sum_of_sizes(gx_.values<double>(), u.values<double>()), floor_along(u),
                                std::fabs(estimate.value)}));
    }
    if (found.empty()) {
      report.findings.push_back(op_.finding("O2", i_, Verdict::unresolved, "no step resolves this gradient"));
      return false;
    }
    const Comparison comparison = compare(
        found.size(), op_.options.detect_difference, [&](std::size_t k) { return found[k]; },
        [&](std::size_t k) { return expected[k]; }, [&](std::size_t k) { return error[k]; },
        [&](std::size_t k) { return scale[k]; });
    const Product product = [&](const Tensor& u) {
      const double h = 0x1p-12;
      const Tensor right = op_.forward(op_.moved(i_, u, h)), left = op_.forward(op_.moved(i_, u, -h));
      std::vector<double> result;
      for (std::int64_t k = 0; k < right.elements(); ++k) {
        const auto at = static_cast<std::size_t>(k);
        result.push_back((right.values<double>()[at] - left.values<double>()[at]) / (2 * h));
      }
      return result;
    };
    report.findings.push_back(finding("O2", comparison, found, expected, "difference", product));
    return true;
  }

 private:
  // A step along one random entry; among those with a gradient where `with_gradient` is set.
  Tensor single_entry(bool with_gradient) {
    const auto gx = gx_.values<double>();
    std::int64_t n = random_.below(gx_.elements());
    for (std::int64_t k = 0; with_gradient && k < gx_.elements(); ++k) {
      if (gx[static_cast<std::size_t>(n)] != 0) break;
      n = (n + 1) % gx_.elements();
    }
    Tensor u = Tensor::zeros(gx_.shape(), DType::f64);
    u.mutable_values<double>()[static_cast<std::size_t>(n)] = typical_step(op_.inputs[i_]);
    return u;
  }

  // What a derivative of 0 along u is compared with: the operand's other entries.
  double floor_along(const Tensor& u) const {
    double largest = 0, most_u = 0;
    for (const double value : gx_.values<double>()) largest = std::max(largest, std::fabs(value));
    for (const double value : u.values<double>()) most_u = std::max(most_u, std::fabs(value));
    return 1e-3 * largest * most_u;
  }

  Tensor gradient_for(const Tensor& gy) const {
    const auto at = std::ranges::find(op_.checked, i_) - op_.checked.begin();
    return recorded_.gradients(gy)[static_cast<std::size_t>(at)];
  }

  double longest_chain() const {
    double longest = 0;
    for (std::int64_t k = 0; k < op_.y_shape.elements(); ++k)
      longest = std::max(longest, op_.chain(static_cast<std::size_t>(k)));
    return longest;
  }

  void add(const Tensor& u, const std::vector<double>& product, std::vector<double>& found,
           std::vector<double>& expected, std::vector<double>& scale) const {
    const auto gy = gy_.values<double>();
    found.push_back(dot(gx_, u));
    expected.push_back(sum_of_products(gy, product));
    scale.push_back(std::max({sum_of_sizes(gy, product), std::fabs(expected.back()),
                              sum_of_sizes(gx_.values<double>(), u.values<double>())}));
  }

  Estimate difference_along(const Tensor& u, double scale) const {
    std::vector<Tensor> directions(op_.inputs.size());
    directions[i_] = u;
    const bool affine = op_.argument(i_).linear;
    const Room room = affine ? Room{1, Side::both, true, true} : room_along(op_, directions);
    if (!room.found) return {.error = INFINITY};
    double noise = 0;
    for (std::int64_t k = 0; k < gy_.elements(); ++k) {
      const auto at = static_cast<std::size_t>(k);
      noise += std::fabs(gy_.values<double>()[at]) * op_.noise(at);
    }
    const VectorFunction g = [&](double t, std::span<double> y) {
      y[0] = dot(gy_, op_.forward(op_.moved(i_, u, t)));
    };
    const LadderOptions options{.step = room.step,
                                .detect = op_.options.detect_difference,
                                .side = room.side,
                                .affine = affine,
                                .smooth = room.smooth};
    return directional_derivatives(g, {std::span(&noise, 1), std::span(&scale, 1), options})[0];
  }

  Finding finding(std::string_view check, const Comparison& comparison, const std::vector<double>& found,
                  const std::vector<double>& expected, std::string_view oracle,
                  const Product& product) const {
    Finding f = op_.finding(check, i_, comparison,
                            "the rule's gradient is not the derivative of the function", [&](std::size_t k) {
                              return WrongEntry{fmt::format("<gy, J u>, probe {}", k), found[k], expected[k]};
                            });
    if (f.verdict == Verdict::agree) return f;
    f.oracles.push_back({std::string(oracle), f.verdict, comparison.would_notice, comparison.compared});
    if (f.verdict == Verdict::disagree) {
      f.blame = Blame::rule;
      f.worst.insert(f.worst.begin(), localised(directions_[comparison.worst[0]], product));
    } else {
      f.summary = "no step resolves this gradient";
    }
    return f;
  }

  // The wrong entry, by bisection on the support of u and then of gy.
  WrongEntry localised(const Tensor& u, const Product& product) const {
    const auto off = [&](const Tensor& gx, const Tensor& gy, const Tensor& direction) {
      return std::fabs(dot(gx, direction) - sum_of_products(gy.values<double>(), product(direction)));
    };
    std::size_t first = 0, last = static_cast<std::size_t>(u.elements());
    while (last - first > 1) {
      const std::size_t middle = (first + last) / 2;
      const bool in_front =
          off(gx_, gy_, restricted(u, first, middle)) >= off(gx_, gy_, restricted(u, middle, last));
      (in_front ? last : first) = middle;
    }
    const std::size_t column = first;
    const Tensor direction = restricted(u, column, column + 1);
    const std::vector<double> expected = product(direction);
    const double size = u.values<double>()[column];
    const auto off_by = [&](std::size_t from, std::size_t to) {
      const Tensor gy = restricted(gy_, from, to);
      return std::fabs(gradient_for(gy).values<double>()[column] * size -
                       sum_of_products(gy.values<double>(), expected));
    };
    first = 0;
    last = static_cast<std::size_t>(gy_.elements());
    while (last - first > 1) {
      const std::size_t middle = (first + last) / 2;
      const bool in_front = off_by(first, middle) >= off_by(middle, last);
      (in_front ? last : first) = middle;
    }
    const Tensor gy = restricted(gy_, first, first + 1);
    const double found = gradient_for(gy).values<double>()[column] / gy_.values<double>()[first];
    return {fmt::format("y{} <- {}{}", index_text(op_.y_shape, static_cast<std::int64_t>(first)),
                        op_.operand_name(i_),
                        index_text(op_.inputs[i_].shape(), static_cast<std::int64_t>(column))),
            found, expected[first] / size};
  }

  const OpCase& op_;
  const std::size_t i_;
  Recorded recorded_;
  Random random_;
  Tensor gy_, gx_;
  std::vector<Tensor> directions_;
};

}  // namespace

bool check_probes(const OpCase& op, bool with_differences, GradcheckReport& report) {
  bool has_room = true;
  for (const std::size_t i : op.checked) {
    if (op.inputs[i].elements() == 0 || op.y_shape.elements() == 0) continue;
    Probes probes(op, i);
    if (op.reference_fits) probes.check_dual(report);
    if (with_differences || !op.reference_fits) has_room = probes.check_difference(report) && has_room;
  }
  return has_room;
}

}  // namespace weft
