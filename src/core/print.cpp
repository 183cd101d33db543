// Values as text.
#include <fmt/format.h>

#include <iterator>

#include "weft/format.hpp"
#include "weft/op.hpp"

namespace weft {

namespace {

constexpr std::int64_t edge_items = 3;  // kept at each end of an axis that is cut

void print_element(std::string& out, const Tensor& tensor, std::int64_t position) {
  visit_dtype(tensor.dtype(), [&]<class T>() {
    const T value = tensor.values<T>()[static_cast<std::size_t>(position)];
    if constexpr (std::is_floating_point_v<T>) {
      fmt::format_to(std::back_inserter(out), "{:.7g}", value);
    } else {
      fmt::format_to(std::back_inserter(out), "{}", value);
    }
  });
}

void print_axis(std::string& out, const Tensor& tensor, int axis, std::int64_t offset, bool cut) {
  if (axis == tensor.rank()) return print_element(out, tensor, offset);
  const std::int64_t extent = tensor.extent(axis);
  std::int64_t stride = 1;
  for (int inner = axis + 1; inner < tensor.rank(); ++inner) stride *= tensor.extent(inner);
  out += '{';
  for (std::int64_t i = 0; i < extent; ++i) {
    if (i > 0) out += ", ";
    if (cut && extent > 2 * edge_items && i == edge_items) {
      out += "..., ";
      i = extent - edge_items;
    }
    print_axis(out, tensor, axis + 1, offset + i * stride, cut);
  }
  out += '}';
}

}  // namespace

std::string to_string(const TensorType& type) {
  return fmt::format("{}{}", name(type.dtype), to_string(type.shape));
}

std::string to_string(const Tensor& tensor, std::int64_t max_elements) {
  if (!tensor.defined()) return "(no tensor)";
  std::string out = to_string(TensorType{tensor.shape(), tensor.dtype()}) + " ";
  print_axis(out, tensor, 0, 0, tensor.elements() > max_elements);
  return out;
}

std::string to_string(const Var& var) {
  if (!var.defined()) return "(no value)";
  if (!var.is_recorded()) return to_string(var.value());
  return fmt::format("{} (node {})", to_string(var.value()), var.id());
}

std::string to_string(const Parameter& parameter) {
  return fmt::format("{} {}", parameter.name(), TensorType{parameter.shape(), parameter.value().dtype()});
}

}  // namespace weft
