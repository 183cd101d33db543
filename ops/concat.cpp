// concat(parts, axis): the parts behind one another along `axis`; their other extents agree.
//   y_(o, j, r) = part_k(o, j - s_k, r)      s_k: the sum of the extents of the parts in front of part k
//   gpart_k     = slice(gy) from s_k on
// Any element type.
#include <fmt/format.h>

#include <array>
#include <memory_resource>
#include <vector>

#include "kernels/strided.hpp"
#include "weft/op.hpp"
#include "weft/ops.hpp"

namespace weft {

const OpInfo& concat_info();

namespace {

struct Concat final : Op {
  int axis;
  explicit Concat(int axis) : axis(axis) {}

  void backward(const Var&, const Var& gy, Gradients& gx) const override {
    Ints begin = Ints::filled(axis + 1, 0);
    for (int i = 0; i < gx.operand_count(); ++i) {
      const Shape part = gx.shape(i);
      if (gx.wants(i)) gx.set(i, slice(gy, {.begin = begin, .size = part.extents()}));
      begin[axis] += part[axis];
    }
  }
  const OpInfo& info() const override { return concat_info(); }
  Attributes attributes() const override { return {{"axis", axis}}; }
};

void require_fitting(std::span<const Var> parts, int axis, SourceLocation at) {
  const Var& first = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const Var& part = parts[i];
    const std::string name = fmt::format("part {}", i);
    require_same_dtype("concat", {"part 0", first}, {name.c_str(), part}, at);
    if (part.rank() == first.rank() && part.shape().with(axis, 0) == first.shape().with(axis, 0)) continue;
    fail<ShapeError>("concat",
                     fmt::format("part 0 and {} need the same extents except along axis {}", name, axis),
                     {{"part 0", first}, {name.c_str(), part}}, at);
  }
}

}  // namespace

Var concat(std::span<const Var> parts, int axis, SourceLocation at) {
  if (parts.empty()) throw ShapeError(fmt::format("concat: no parts were given, at {}", to_string(at)));
  const Concat op(normalize_axis("concat", axis, parts.front().rank()));
  require_fitting(parts, op.axis, at);
  std::int64_t extent = 0;
  for (const Var& part : parts) extent += part.extent(op.axis);
  Tensor y(parts.front().shape().with(op.axis, extent), parts.front().dtype());

  std::array<std::byte, 512> stack;
  std::pmr::monotonic_buffer_resource memory(stack.data(), stack.size());
  std::pmr::vector<VarRef> operands(&memory);
  const Ints strides = y.shape().strides();
  std::int64_t offset = 0;
  for (const Var& part : parts) {
    write_strided(y, {part.shape(), strides, offset}, part.value());
    offset += part.extent(op.axis) * strides[op.axis];
    operands.emplace_back(part);
  }
  return record(op, y, std::span<const VarRef>(operands), {}, at);
}

Var concat(std::initializer_list<Var> parts, int axis, SourceLocation at) {
  return concat(std::span(parts.begin(), parts.size()), axis, at);
}

static Samples concat_samples() {
  return samples()
      .shapes({{2, 3, 5}, {4, 3, 5}})
      .with({{"axis", 0}})
      .shapes({{2, 3, 5}, {2, 1, 5}, {2, 4, 5}})
      .grid({{"axis", {1, -2}}})
      .shapes({{2, 3, 5}, {2, 3, 2}, {2, 3, 1}})
      .with({{"axis", -1}})
      .shapes({{3}, {5}})
      .with({{"axis", 0}})
      .shapes({{2, 7}})
      .with({{"axis", 1}})
      .shapes({{3, 0}, {3, 2}, {3, 0}})
      .with({{"axis", 1}})
      .shapes({{0, 2}, {0, 3}})
      .with({{"axis", 1}})
      .shapes({{2, 17}, {2, 33}})
      .with({{"axis", 1}})
      .shapes({{5}, {7}})
      .with({{"axis", 0}})
      .pattern(Pattern::special)
      .shapes({{2, 3}, {2, 3}, {3, 2}})
      .with({{"axis", 1}})
      .throws("part 0 and part 2 need the same extents except along axis 1")
      .shapes({{2, 3}, {2}})
      .with({{"axis", 0}})
      .throws("part 0 and part 1 need the same extents except along axis 0")
      .shapes({{}, {}})
      .with({{"axis", 0}})
      .throws("axis 0 of a scalar, which has none")
      .shapes({{2, 3}, {2, 3}})
      .with({{"axis", -3}})
      .throws("axis -3 is outside [-2, 1]");
}

const OpInfo& concat_info() {
  static const OpInfo info{
      .name = "concat",
      .group = OpGroup::shape,
      .arguments = {{.name = "parts", .linear = true}},
      .attributes = {{"axis"}},
      .call =
          [](std::span<const Var> x, const Attributes& a) {
            return concat(x, static_cast<int>(a.find("axis")->as<std::int64_t>()));
          },
      .reference =
          []<class T>(const Inputs<T>& x, const Attributes& a) {
            const Shape& shape = x[0].shape();
            const std::int64_t given = a.find("axis")->as<std::int64_t>();
            const auto axis = static_cast<int>(given < 0 ? given + shape.rank() : given);
            std::int64_t extent = 0;
            for (std::size_t i = 0; i < x.size(); ++i) extent += x[i].extent(axis);
            Array<T> y(shape.with(axis, extent));
            std::int64_t start = 0;
            for (std::size_t i = 0; i < x.size(); ++i) {
              for_each_index(x[i].shape(), [&](const Ints& from) {
                Ints to = from;
                to[axis] += start;
                y.at(to) = x[i].at(from);
              });
              start += x[i].extent(axis);
            }
            return y;
          },
      .samples = concat_samples(),
      .invariants = {Invariant::sum_is_kept},
      .variadic = true,
  };
  return info;
}

}  // namespace weft
