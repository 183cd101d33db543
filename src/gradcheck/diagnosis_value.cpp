// Wrong values of the executed forward.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "gradcheck/diagnosis.hpp"
#include "gradcheck/diagnosis_checks.hpp"
#include "weft/ops.hpp"

namespace weft {

namespace {

constexpr double tiny = 1e-9;  // of the largest: what rounding may leave in f64

double largest_of(std::span<const double> values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

class WrongValue {
 public:
  WrongValue(const OpCase& op, const Tensor& y, std::span<const std::size_t> wrong)
      : op_(op), y_(y), found_(y.values<double>()), wrong_(wrong) {
    for (std::int64_t k = 0; k < op.bounds.elements(); ++k) expected_.push_back(op.bounds[k].value());
  }

  // Shapes differ.
  std::string of_shape() const {
    const std::string other = other_attributes();
    if (!other.empty()) return other;
    return "the extents of the output are computed otherwise: by padding, rounding or another attribute";
  }

  std::string of_elements() const {
    constexpr std::string (WrongValue::*finders[])() const = {
        &WrongValue::not_finite, &WrongValue::other_attributes, &WrongValue::padding_wins,
        &WrongValue::factor,     &WrongValue::counted_operand,  &WrongValue::single_precision,
    };
    for (const auto find : finders) {
      std::string likely = (this->*find)();
      if (!likely.empty()) return likely;
    }
    return {};
  }

 private:
  std::string not_finite() const {
    const auto lost = [&](std::size_t k) { return std::isfinite(found_[k]) && !std::isfinite(expected_[k]); };
    if (std::ranges::any_of(wrong_, lost)) {
      return "NaN or infinity among the operands is lost: a comparison with NaN is false";
    }
    const auto overflows = [&](std::size_t k) { return !std::isfinite(found_[k]); };
    if (!std::ranges::any_of(wrong_, overflows)) return {};
    return "a step in between overflows or divides by 0: the largest element has to be subtracted before exp";
  }

  // The value of another sample's attributes on these operands.
  std::string other_attributes() const {
    std::vector<Shape> shapes;
    for (const Tensor& x : op_.inputs) shapes.push_back(x.shape());
    for (const Sample& sample : op_.info.samples.list()) {
      if (sample.shapes != shapes || !sample.throws.empty() || sample.attributes == op_.attributes) continue;
      const Array<double> other = op_.info.reference(reference_inputs<double>(op_.inputs), sample.attributes);
      if (!is_found(other)) continue;
      std::vector<std::string> told;
      for (const auto& [name, value] : sample.attributes) {
        const AttributeValue* own = op_.attributes.find(name);
        if (!own || *own != value) told.push_back(fmt::format("{} {}", name, to_string(value)));
      }
      return fmt::format(
          "this is the value for {}: what was set up for another call of these shapes serves this one",
          told.empty() ? "other attributes" : fmt::format("{}", fmt::join(told, ", ")));
    }
    return {};
  }

  bool is_found(const Array<double>& other) const {
    if (other.shape() != y_.shape()) return false;
    for (std::size_t k = 0; k < found_.size(); ++k) {
      const double value = other[static_cast<std::int64_t>(k)];
      if (!(std::fabs(found_[k] - value) <= tiny * (1 + std::fabs(value)))) return false;
    }
    return true;
  }

  std::string padding_wins() const {
    const AttributeValue* padding = op_.attributes.find("padding");
    const bool has_padding = padding && padding->is<Ints>() &&
                             std::ranges::any_of(padding->as<Ints>(), [](auto p) { return p > 0; });
    const auto is_padding = [&](std::size_t k) { return found_[k] == 0 && expected_[k] < 0; };
    if (!has_padding || !std::ranges::all_of(wrong_, is_padding)) return {};
    return "the padding counts as elements of 0, which beat negative ones: it must not take part";
  }

  std::string factor() const {
    double dot = 0, square = 0;
    for (std::size_t k = 0; k < found_.size(); ++k) {
      dot += found_[k] * expected_[k];
      square += expected_[k] * expected_[k];
    }
    const double c = dot / square, most = tiny * largest_of(found_);
    for (std::size_t k = 0; k < found_.size(); ++k) {
      if (!(std::fabs(found_[k] - c * expected_[k]) <= most)) return {};
    }
    return fmt::format("the value is off by a factor of {:.6g}", c);
  }

  // y is off by a multiple of an operand that is added to it.
  std::string counted_operand() const {
    for (const std::size_t i : op_.checked) {
      const Tensor& x = op_.inputs[i];
      if (x.rank() > y_.rank() || !broadcastable_to(x.shape(), y_.shape())) continue;
      const Tensor stretched = broadcast_to(Var(x), y_.shape()).value();
      const auto b = stretched.values<double>();
      double dot = 0, square = 0, error = 0;
      for (std::size_t k = 0; k < found_.size(); ++k) {
        dot += (found_[k] - expected_[k]) * b[k];
        square += b[k] * b[k];
      }
      const double c = dot / square;
      for (std::size_t k = 0; k < found_.size(); ++k) {
        const double off = found_[k] - expected_[k] - c * b[k];
        error = std::isnan(off) ? off : std::max(error, std::fabs(off));
      }
      if (error <= tiny * (largest_of(found_) + largest_of(expected_)))
        return fmt::format("{} is counted {:.6g} times, not once", op_.operand_name(i), 1 + c);
    }
    return {};
  }

  std::string single_precision() const {
    double most = 0;
    for (const std::size_t k : wrong_) most = std::max(most, std::fabs(found_[k] - expected_[k]));
    const double relative = most / largest_of(expected_);
    if (!(relative < 1e-6)) return {};
    return fmt::format("off by {:.2g} of the largest element: a constant or a sum in f32", relative);
  }

  const OpCase& op_;
  const Tensor& y_;
  const std::span<const double> found_;
  const std::span<const std::size_t> wrong_;
  std::vector<double> expected_;
};

// "h of y is 3", where the wrong elements lie at few indices along an axis.
std::string region(const OpCase& op, std::span<const std::size_t> wrong) {
  constexpr std::size_t most = 3;
  const std::vector<std::string> names = axis_names(op.info, "y", op.y_shape);
  std::int64_t stride = op.y_shape.elements();
  for (int axis = 0; axis < op.y_shape.rank(); ++axis) {
    stride /= op.y_shape[axis];
    std::set<std::int64_t> indices;
    for (const std::size_t k : wrong)
      indices.insert(static_cast<std::int64_t>(k) / stride % op.y_shape[axis]);
    if (indices.size() <= most && std::ssize(indices) < op.y_shape[axis]) {
      return fmt::format("{} of y is {}", names[static_cast<std::size_t>(axis)], fmt::join(indices, ", "));
    }
  }
  return {};
}

}  // namespace

std::string diagnose_value(const OpCase& op, const Tensor& y, std::span<const std::size_t> wrong) {
  const WrongValue value(op, y, wrong);
  if (y.shape() != op.bounds.shape()) return value.of_shape();
  std::string likely = value.of_elements();
  if (!likely.empty()) return likely;
  const std::string where = region(op, wrong);
  return where.empty() ? "the kernel computes another function" : "wrong only where " + where;
}

std::string diagnose_f32_kernel(const OpCase& op, std::span<const std::size_t> wrong) {
  const std::int64_t elements = op.y_shape.elements();
  for (const std::int64_t lanes : {4, 8, 16}) {
    const std::int64_t rest = elements % lanes;
    if (rest > 0 && rest < elements && static_cast<std::int64_t>(wrong[0]) >= elements - rest) {
      return fmt::format(
          "only f32 is wrong, and only in the last {} of {} elements: the rest that vectors of {} leave",
          rest, elements, lanes);
    }
  }
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const Shape& shape = op.inputs[i].shape();
    if (shape.rank() > 1 && shape[-1] % 8 == 0) {
      return fmt::format("only f32 is wrong, with an extent of {} that kernels of vectors are chosen by",
                         shape[-1]);
    }
  }
  const std::string where = region(op, wrong);
  return where.empty() ? "only the f32 kernel is wrong" : "only f32 is wrong, and only where " + where;
}

}  // namespace weft
