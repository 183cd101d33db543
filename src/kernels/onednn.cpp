#include "kernels/onednn.hpp"

#include <fmt/format.h>

#include <array>
#include <oneapi/dnnl/dnnl.hpp>
#include <span>
#include <unordered_map>
#include <vector>

#include "kernels/gemm.hpp"
#include "kernels/parallel.hpp"

namespace weft {

namespace onednn {
namespace {

using dnnl::memory;
using tag = memory::format_tag;

const dnnl::engine& engine() {
  static const auto* const engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);  // outlives every thread
  return *engine;
}

const dnnl::stream& stream() {
  thread_local const dnnl::stream stream(engine());
  return stream;
}

// A convolution primitive with its memory objects, whose addresses are set at each call.
struct Prepared {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
  std::vector<dnnl_exec_arg_t> list;  // the same, for calls without an allocation
  int filter;                         // the argument that is w or gw
  memory plain_filter;                // [kh, kw, c_in, c_out], as tensors have it
  dnnl::primitive reorder;            // between the two, empty where they are the same
  std::int64_t filter_bytes = 0, scratchpad_bytes = 0;
};

enum class Pass : std::int64_t { forward, forward_with_bias, input_gradient, weight_gradient };

// Everything that a primitive depends on.
using Key = std::array<std::int64_t, 20>;

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t hash = 0;
    for (const std::int64_t value : key)
      hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
  }
};

Key key_of(Pass pass, const Convolution& c) {
  const WindowAxis &h = c.window.h, &w = c.window.w;
  return {static_cast<std::int64_t>(pass),
          thread_count(),
          c.images,
          c.in_channels,
          c.out_channels,
          c.groups,
          h.extent,
          h.taps,
          h.stride,
          h.dilation,
          h.before,
          h.after,
          h.positions,
          w.extent,
          w.taps,
          w.stride,
          w.dilation,
          w.before,
          w.after,
          w.positions};
}

struct Descriptions {
  memory::desc x, w, b, y;  // of w the format is left to oneDNN
  memory::desc plain_w;
  memory::dims strides, dilations, before, after;
};

Descriptions describe(const Convolution& c) {
  const WindowAxis &h = c.window.h, &w = c.window.w;
  const auto type = memory::data_type::f32;
  const bool grouped = c.groups > 1;
  const memory::dims filter =
      grouped ? memory::dims{c.groups, c.out_per_group(), c.in_per_group(), h.taps, w.taps}
              : memory::dims{c.out_channels, c.in_channels, h.taps, w.taps};
  return {.x = {{c.images, c.in_channels, h.extent, w.extent}, type, tag::nhwc},
          .w = {filter, type, tag::any},
          .b = {{c.out_channels}, type, tag::x},
          .y = {{c.images, c.out_channels, h.positions, w.positions}, type, tag::nhwc},
          .plain_w = {filter, type, grouped ? tag::hwigo : tag::hwio},
          .strides = {h.stride, w.stride},
          .dilations = {h.dilation - 1, w.dilation - 1},
          .before = {h.before, w.before},
          .after = {h.after, w.after}};
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

dnnl::convolution_forward::primitive_desc forward_description(const Descriptions& d, bool bias) {
  using Forward = dnnl::convolution_forward;
  const auto kind = dnnl::prop_kind::forward_training;
  const auto algorithm = dnnl::algorithm::convolution_direct;
  const auto description =
      bias ? Forward::desc(kind, algorithm, d.x, d.w, d.b, d.y, d.strides, d.dilations, d.before, d.after)
           : Forward::desc(kind, algorithm, d.x, d.w, d.y, d.strides, d.dilations, d.before, d.after);
  return {description, attributes(), engine()};
}

memory unplaced(const memory::desc& description) { return {description, engine(), nullptr}; }

// Completes `prepared`, whose activations are set, with filter and scratchpad.
void add_filter(Prepared& prepared, int argument, const memory::desc& filter, const memory::desc& plain,
                const memory::desc& scratchpad) {
  prepared.filter = argument;
  prepared.filter_bytes = static_cast<std::int64_t>(filter.get_size());
  prepared.scratchpad_bytes = static_cast<std::int64_t>(scratchpad.get_size());
  prepared.plain_filter = unplaced(plain);
  prepared.arguments[argument] = unplaced(filter);
  prepared.arguments[DNNL_ARG_SCRATCHPAD] = unplaced(scratchpad);
  if (filter == plain) return;
  const bool result = argument == DNNL_ARG_DIFF_WEIGHTS;
  prepared.reorder = dnnl::reorder({engine(), result ? filter : plain, engine(), result ? plain : filter});
}

Prepared prepare(Pass pass, const Convolution& c) {
  const Descriptions d = describe(c);
  const dnnl::convolution_forward::primitive_desc forward =
      forward_description(d, pass == Pass::forward_with_bias);
  Prepared prepared;
  if (pass == Pass::input_gradient) {
    const dnnl::convolution_backward_data::desc description(dnnl::algorithm::convolution_direct, d.x, d.w,
                                                            d.y, d.strides, d.dilations, d.before, d.after);
    const dnnl::convolution_backward_data::primitive_desc chosen(description, attributes(), engine(),
                                                                 forward);
    prepared.primitive = dnnl::convolution_backward_data(chosen);
    prepared.arguments = {{DNNL_ARG_DIFF_DST, unplaced(d.y)}, {DNNL_ARG_DIFF_SRC, unplaced(d.x)}};
    add_filter(prepared, DNNL_ARG_WEIGHTS, chosen.weights_desc(), d.plain_w, chosen.scratchpad_desc());
  } else if (pass == Pass::weight_gradient) {
    const dnnl::convolution_backward_weights::desc description(
        dnnl::algorithm::convolution_direct, d.x, d.w, d.y, d.strides, d.dilations, d.before, d.after);
    const dnnl::convolution_backward_weights::primitive_desc chosen(description, attributes(), engine(),
                                                                    forward);
    prepared.primitive = dnnl::convolution_backward_weights(chosen);
    prepared.arguments = {{DNNL_ARG_SRC, unplaced(d.x)}, {DNNL_ARG_DIFF_DST, unplaced(d.y)}};
    add_filter(prepared, DNNL_ARG_DIFF_WEIGHTS, chosen.diff_weights_desc(), d.plain_w,
               chosen.scratchpad_desc());
  } else {
    prepared.primitive = dnnl::convolution_forward(forward);
    prepared.arguments = {{DNNL_ARG_SRC, unplaced(d.x)}, {DNNL_ARG_DST, unplaced(d.y)}};
    if (pass == Pass::forward_with_bias) prepared.arguments[DNNL_ARG_BIAS] = unplaced(d.b);
    add_filter(prepared, DNNL_ARG_WEIGHTS, forward.weights_desc(), d.plain_w, forward.scratchpad_desc());
  }
  for (auto& [argument, memory] : prepared.arguments) prepared.list.push_back({argument, memory.get()});
  return prepared;
}

// The calling thread's primitives. Forgets all of them when there are too many: a model has far fewer, and
// oneDNN keeps the compiled code in a cache of its own.
Prepared& prepared(Pass pass, const Convolution& c) {
  constexpr std::size_t capacity = 1024;
  thread_local std::unordered_map<Key, Prepared, KeyHash> cache;
  const Key key = key_of(pass, c);
  if (const auto found = cache.find(key); found != cache.end()) return found->second;
  if (cache.size() >= capacity) cache.clear();
  return cache.emplace(key, prepare(pass, c)).first->second;
}

void place(Prepared& p, int argument, const Tensor& tensor) {
  p.arguments.at(argument).set_data_handle(const_cast<void*>(tensor.data()));
}

// dnnl::primitive::execute() without its copies of the arguments.
void execute(const dnnl::primitive& primitive, std::span<const dnnl_exec_arg_t> arguments) {
  dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive.get(), stream().get(),
                                                 static_cast<int>(arguments.size()), arguments.data()),
                          "could not execute a convolution");
}

// Runs p; `filter` is w, which is read, or gw, which is written.
void run(Prepared& p, const Tensor& filter) {
  const Tensor scratchpad({p.scratchpad_bytes}, DType::u8);
  place(p, DNNL_ARG_SCRATCHPAD, scratchpad);
  if (!p.reorder) {
    place(p, p.filter, filter);
    execute(p.primitive, p.list);
    return;
  }
  const Tensor preferred({p.filter_bytes}, DType::u8);
  place(p, p.filter, preferred);
  p.plain_filter.set_data_handle(const_cast<void*>(filter.data()));
  memory& other = p.arguments.at(p.filter);
  const bool result = p.filter == DNNL_ARG_DIFF_WEIGHTS;
  if (result) execute(p.primitive, p.list);
  execute(p.reorder, std::array{dnnl_exec_arg_t{DNNL_ARG_FROM, result ? other.get() : p.plain_filter.get()},
                                dnnl_exec_arg_t{DNNL_ARG_TO, result ? p.plain_filter.get() : other.get()}});
  if (!result) execute(p.primitive, p.list);
}

}  // namespace

Tensor convolution(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& b) {
  Prepared& p = prepared(b.defined() ? Pass::forward_with_bias : Pass::forward, c);
  Tensor y(c.y_shape());
  place(p, DNNL_ARG_SRC, x);
  place(p, DNNL_ARG_DST, y);
  if (b.defined()) place(p, DNNL_ARG_BIAS, b);
  run(p, w);
  return y;
}

Tensor convolution_input_gradient(const Convolution& c, const Tensor& gy, const Tensor& w) {
  Prepared& p = prepared(Pass::input_gradient, c);
  Tensor gx(c.x_shape());
  place(p, DNNL_ARG_DIFF_DST, gy);
  place(p, DNNL_ARG_DIFF_SRC, gx);
  run(p, w);
  return gx;
}

Tensor convolution_weight_gradient(const Convolution& c, const Tensor& x, const Tensor& gy) {
  Prepared& p = prepared(Pass::weight_gradient, c);
  Tensor gw(c.w_shape());
  place(p, DNNL_ARG_SRC, x);
  place(p, DNNL_ARG_DIFF_DST, gy);
  run(p, gw);
  return gw;
}

bool has_avx512() {  // asking takes 60 ns, which a small product does not
  static const bool has = dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core;
  return has;
}

void gemm(const GemmShape& s, const float* a, const float* b, float* c) {
  const dnnl::status status =
      dnnl::sgemm(s.transpose_a ? 'T' : 'N', s.transpose_b ? 'T' : 'N', s.m, s.n, s.k, 1.0f, a, s.a_stride, b,
                  s.b_stride, s.accumulate ? 1.0f : 0.0f, c, s.c_stride);
  if (status != dnnl::status::success) {
    throw Error(fmt::format("oneDNN cannot multiply [{}, {}] by [{}, {}]", s.m, s.k, s.k, s.n));
  }
}

}  // namespace onednn

}  // namespace weft
