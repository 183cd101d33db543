// Bugs of how an op is executed, whatever it computes: G07 to G15.
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "mutants/lists.hpp"
#include "mutants/naive.hpp"
#include "weft/gradient.hpp"
#include "weft/threads.hpp"

namespace weft {

namespace {

// G07: a gy whose first and last element agree is taken for a number that was stretched.
OpInfo gy_taken_for_scalar(const OpInfo& info) {
  return with_rule(first_order(info), [](const Var& y, const Var& gy, Gradients& gx, const Attributes&) {
    const Numbers g = numbers(gy), values = numbers(y);
    Numbers result(y.shape());
    for (std::int64_t i = 0; i < result.elements(); ++i) {
      const bool stretched = g[0] == g[g.elements() - 1];
      result[i] = (stretched ? g[0] : g[i]) * (1 - values[i] * values[i]);
    }
    gx.set(0, to_tensor(result, gy.dtype()));
  });
}

// G07: gy - <gy, y> and its product with y are computed where gy lies, as if nobody else had it.
OpInfo writes_into_gy(const OpInfo& info) {
  return with_rule(first_order(info), [](const Var& y, const Var& gy, Gradients& gx, const Attributes& a) {
    const int axis = normalize_axis("softmax", a.find("axis")->as<std::int64_t>(), y.rank());
    const Numbers sums = numbers(sum(gy * y, {.axes = {axis}, .keep_axes = true}));
    Tensor g = gy.value();
    visit_floating(g.dtype(), [&]<class T>() {
      std::size_t i = 0;
      for_each_index(g.shape(), [&](const Ints& at) {
        Ints first = at;
        first[axis] = 0;
        g.mutable_values<T>()[i++] -= static_cast<T>(sums.at(first));
      });
      for (i = 0; i < g.values<T>().size(); ++i) g.mutable_values<T>()[i] *= y.value().values<T>()[i];
    });
    gx.set(0, g);
  });
}

// G08: 1 - y^2 is computed where y lies.
OpInfo overwrites_y(const OpInfo& info) {
  return with_rule(first_order(info), [](const Var& y, const Var& gy, Gradients& gx, const Attributes&) {
    Tensor derivative = y.value();
    visit_floating(derivative.dtype(), [&]<class T>() {
      for (T& v : derivative.mutable_values<T>()) v = 1 - v * v;
    });
    gx.set(0, Var(derivative) * gy.detach());
  });
}

// G09: 1 / n as a float, in f64 too.
OpInfo float_constant(const OpInfo& info) {
  return with_gradients(info, [](const Var&, const Var& gy, Gradients& gx) {
    const auto outputs = static_cast<double>(gy.shape().elements());
    const double count = static_cast<double>(gx.shape(0).elements()) / outputs;
    if (outputs > 0 && count > 0)
      gx.set(0, scale(gx.result(0), count * static_cast<double>(1 / static_cast<float>(count))));
  });
}

// G09: <gy, y> along the axis is summed in a float.
OpInfo float_accumulator(const OpInfo& info) {
  return with_rule(first_order(info), [](const Var& y, const Var& gy, Gradients& gx, const Attributes& a) {
    const int axis = normalize_axis("softmax", a.find("axis")->as<std::int64_t>(), y.rank());
    const Numbers values = numbers(y), g = numbers(gy);
    Array<float> sums(y.shape().with(axis, 1));
    for_each_index(y.shape(), [&](const Ints& at) {
      Ints first = at;
      first[axis] = 0;
      sums.at(first) += static_cast<float>(g.at(at) * values.at(at));
    });
    Numbers result(y.shape());
    for_each_index(y.shape(), [&](const Ints& at) {
      Ints first = at;
      first[axis] = 0;
      result.at(at) = values.at(at) * (g.at(at) - static_cast<double>(sums.at(first)));
    });
    gx.set(0, to_tensor(result, gy.dtype()));
  });
}

// G10: each thread sums its part of gy, reads the total, adds its own sum and writes the total back; all of
// them read it before any has written.
OpInfo partial_sums_lost(const OpInfo& info) {
  return with_rule(first_order(info), [](const Var&, const Var& gy, Gradients& gx, const Attributes&) {
    const Numbers g = numbers(gy);
    const Ints strides = broadcast_strides(gx.shape(0), gy.shape());
    std::vector<std::int64_t> target;  // of each element of gy
    for_each_index(gy.shape(), [&](const Ints& at) {
      std::int64_t position = 0;
      for (int axis = 0; axis < at.size(); ++axis) position += at[axis] * strides[axis];
      target.push_back(position);
    });
    Numbers total(gx.shape(0));
    const Numbers read = total;
    const std::int64_t parts = threads();
    for (std::int64_t t = 0; t < parts; ++t) {
      Numbers own = read;
      for (std::int64_t k = g.elements() * t / parts; k < g.elements() * (t + 1) / parts; ++k)
        own[target[static_cast<std::size_t>(k)]] += g[k];
      total = own;
    }
    gx.set(0, to_tensor(total, gy.dtype()));
  });
}

// G11: what was set up for some shapes is used for every call with those shapes, whatever its attributes.
OpInfo cached_by_shapes(const OpInfo& info) {
  struct Cache {
    std::mutex mutex;
    std::map<std::string, Attributes> primitives;
  };
  const auto cache = std::make_shared<Cache>();
  return with_forward(info, [cache, call = info.call](std::span<const Tensor> x, const Attributes& a) {
    const std::vector<Var> operands(x.begin(), x.end());
    (void)call(operands, a);  // throws as it does
    std::string key;
    for (const Tensor& tensor : x) key += to_string(TensorType{tensor.shape(), tensor.dtype()});
    const std::lock_guard lock(cache->mutex);
    const Attributes& first = cache->primitives.try_emplace(key, a).first->second;
    return call(operands, first).value();
  });
}

// G12: the rule that is taken where nothing is recorded forgets the smoothing.
OpInfo fused_without_smoothing(const OpInfo& info) {
  return with_gradients(info, [](const Var& y, const Var& gy, Gradients& gx) {
    const auto o = options_of<CrossentropyOptions>(node_attributes(y));
    if (gx.recording() || o.label_smoothing == 0 || !gx.wants(0)) return;
    Graph sharp;
    const Var x = sharp.input(gx.input(0).value());
    const Var loss = softmax_crossentropy(x, gx.input(1).value(),
                                          {.reduction = o.reduction, .ignore_index = o.ignore_index});
    gx.set(0, gradient(loss, x, {.gy = gy.value()}).value());
  });
}

// G13: the first order calls an op whose own rule exchanges opposite paddings.
OpInfo wrong_second_order(const OpInfo& info) {
  const auto is_weight_gradient = [](const OpInfo* op) { return op->name == "conv2d_weight_gradient"; };
  const OpInfo wrong = with_gradients(**std::ranges::find_if(all_ops(), is_weight_gradient),
                                      [](const Var& gw, const Var& gg, Gradients& gx) {
                                        if (!gx.wants(0)) return;
                                        auto o = options_of<Conv2dOptions>(node_attributes(gw));
                                        std::swap(o.padding.top, o.padding.bottom);
                                        std::swap(o.padding.left, o.padding.right);
                                        gx.set(0, conv2d_input_gradient(gx.input(1), gg, gx.shape(0), o));
                                      });
  return with_gradients(info, [wrong](const Var& y, const Var& gy, Gradients& gx) {
    if (!gx.wants(1)) return;
    Attributes a = node_attributes(y);
    const bool relu = options_of<Conv2dOptions>(a).relu;
    a.set("w_shape", gx.shape(1).extents());
    gx.set(1, wrong.call(std::vector<Var>{gx.input(0), relu ? relu_gradient(y, gy) : gy}, a));
  });
}

// G14: the f32 kernel takes sixteen elements at a time and leaves the rest as it was.
OpInfo tail_left_out(const OpInfo& info) {
  return with_forward(info, [call = info.call](std::span<const Tensor> x, const Attributes& a) {
    Tensor y = call(std::vector<Var>(x.begin(), x.end()), a).value();
    if (y.dtype() != DType::f32) return y;
    const auto from = x[0].values<float>();
    const auto to = y.mutable_values<float>();
    std::copy(from.begin() + static_cast<std::ptrdiff_t>(from.size() / 16 * 16), from.end(),
              to.begin() + static_cast<std::ptrdiff_t>(from.size() / 16 * 16));
    return y;
  });
}

// G14: for 16 input channels the f32 kernel reads the filter as if its channel axes were the other way round.
OpInfo filter_misread_for_16_channels(const OpInfo& info) {
  return with_forward(info, [call = info.call](std::span<const Tensor> x, const Attributes& a) {
    std::vector<Var> operands(x.begin(), x.end());
    (void)call(operands, a);  // throws as it does
    const Shape& w = x[1].shape();
    if (x[1].dtype() == DType::f32 && w[2] == 16) {
      operands[1] = reshape(transpose(x[1], {0, 1, 3, 2}), w.extents());
    }
    return call(operands, a).value();
  });
}

// G15: the other operand is at hand only where both gradients are wanted.
OpInfo saved_for_both(const OpInfo& info) {
  return with_rule(info, [](const Var&, const Var& gy, Gradients& gx, const Attributes&) {
    const bool both = gx.wants(0) && gx.wants(1);
    if (gx.wants(0)) gx.set(0, gy * (both ? gx.input(1) : Var()));
    if (gx.wants(1)) gx.set(1, gy * (both ? gx.input(0) : Var()));
  });
}

PlantedBugs rule_bugs() {
  return {
      {.id = "G07",
       .op = "tanh",
       .argument = "x",
       .title = "gy taken for a stretched scalar",
       .exposed = "mean; reshape, add",
       .plant = gy_taken_for_scalar},
      {.id = "G07",
       .op = "softmax",
       .argument = "x",
       .title = "writes into a gy sharing storage",
       .exposed = "mean; reshape, add",
       .plant = writes_into_gy},
      {.id = "G08",
       .op = "tanh",
       .argument = "x",
       .title = "saved tensor overwritten",
       .exposed = "any",
       .plant = overwrites_y},
      {.id = "G09",
       .op = "mean",
       .argument = "x",
       .title = "f32 constant in f64",
       .exposed = "f64",
       .plant = float_constant},
      {.id = "G09",
       .op = "softmax",
       .argument = "x",
       .title = "f32 accumulator in f64",
       .exposed = "f64",
       .plant = float_accumulator},
      {.id = "G10",
       .op = "broadcast_to",
       .argument = "x",
       .title = "partial sum lost in a race",
       .exposed = "2 threads",
       .plant = partial_sums_lost},
  };
}

PlantedBugs call_bugs() {
  return {
      {.id = "G11",
       .op = "conv2d",
       .argument = "",
       .title = "cached primitive keyed without stride",
       .exposed = "equal shapes",
       .plant = cached_by_shapes},
      {.id = "G12",
       .op = "softmax_crossentropy",
       .argument = "logits",
       .title = "fused path differs from recorded path",
       .exposed = "any",
       .plant = fused_without_smoothing},
      {.id = "G13",
       .op = "conv2d",
       .argument = "x",
       .title = "first order right, rule of conv2d's weight gradient wrong",
       .exposed = "order 2",
       .plant = wrong_second_order},
      {.id = "G14",
       .op = "tanh",
       .argument = "",
       .title = "f32 kernel wrong in the tail",
       .exposed = "17",
       .plant = tail_left_out},
      {.id = "G14",
       .op = "conv2d",
       .argument = "",
       .title = "f32 kernel wrong for 16 channels",
       .exposed = "16 channels",
       .plant = filter_misread_for_16_channels},
      {.id = "G15",
       .op = "multiply",
       .argument = "a",
       .title = "operand wanted alone: its saved value is missing",
       .exposed = "each alone",
       .plant = saved_for_both},
  };
}

}  // namespace

PlantedBugs execution_bugs() {
  PlantedBugs bugs = rule_bugs();
  const PlantedBugs others = call_bugs();
  bugs.insert(bugs.end(), others.begin(), others.end());
  return bugs;
}

}  // namespace weft
