// Parameters with initial values, and layers. A layer is any struct that can be called with a Var; its
// parameters enter the graph of what it is called with, and its ops lie in a scope of its name.
//
//   struct Block {
//     nn::Conv2d conv1{"conv1", 3, 16, {.window = 3, .padding = same, .relu = true}};
//     nn::Linear head{"head", 16 * 32 * 32, 6};
//     Var operator()(const Var& x) const { return head(flatten(conv1(x))); }
//     template <class V>
//     void visit_parameters(V&& visit) { visit(conv1); visit(head); }
//   };
//   Block block;
//   Sgd sgd(parameters_of(block), {.learning_rate = 0.01});
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weft/graph.hpp"
#include "weft/ops.hpp"

namespace weft {

// ---- initial values ---------------------------------------------------------------------------------------

struct InitializerOptions {
  std::uint64_t seed = 0;
  DType dtype = DType::f32;  // f32 or f64
};

// Numbers drawn by Random(seed, name): they depend on seed, name and shape alone. fan_in is the product of
// all extents but the last, fan_out the last times the product of all but the last two, which fits matrices
// [in, out] and filters [kh, kw, c_in, c_out] (He et al., Delving deep into rectifiers, ICCV 2015; Glorot and
// Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010).
//   he        variance 2 / fan_in
//   glorot    variance 2 / (fan_in + fan_out)
using Initializer = Parameter (*)(std::string name, const Shape& shape, const InitializerOptions& options);
Parameter he_normal(std::string name, const Shape& shape, const InitializerOptions& options = {});
Parameter he_uniform(std::string name, const Shape& shape, const InitializerOptions& options = {});
Parameter glorot_normal(std::string name, const Shape& shape, const InitializerOptions& options = {});
Parameter glorot_uniform(std::string name, const Shape& shape, const InitializerOptions& options = {});
Parameter zeros(std::string name, const Shape& shape, const InitializerOptions& options = {});
Parameter ones(std::string name, const Shape& shape, const InitializerOptions& options = {});

// ---- the parameters of a module ---------------------------------------------------------------------------

// Throws Error, which names `who` and the parameter, where two have one name (also where one is there twice).
void require_distinct_names(std::string_view who, std::span<const Parameter> parameters);

class ParameterCollector;

template <class M>
concept HasParameters = requires(M& module, ParameterCollector& collect) {
  module.visit_parameters(collect);
};

namespace detail {
template <class M>
concept Iterable = requires(M& module) {
  module.begin() != module.end();
};
template <class M>
concept Pointing = requires(M& module) {
  module ? &*module : nullptr;
};
}  // namespace detail

// What visit_parameters() is called with: takes parameters and modules, optionals, pointers and containers
// too.
class ParameterCollector {
 public:
  template <class M>
  void operator()(M&& module) {
    using Module = std::remove_cvref_t<M>;
    if constexpr (std::is_same_v<Module, Parameter>) {
      add(module);
    } else if constexpr (HasParameters<M>) {
      module.visit_parameters(*this);
    } else if constexpr (std::is_empty_v<Module>) {
      return;  // holds nothing: an activation, a lambda without captures
    } else if constexpr (detail::Iterable<Module>) {
      for (auto& part : module) (*this)(part);
    } else {
      static_assert(detail::Pointing<Module>, "a module needs visit_parameters()");
      if (module) (*this)(*module);
    }
  }
  std::vector<Parameter> take() && { return std::move(parameters_); }

 private:
  void add(const Parameter& parameter);  // once, however often it is visited: layers may share one
  std::vector<Parameter> parameters_;
};

template <class Module>
std::vector<Parameter> parameters_of(Module&& module) {
  ParameterCollector collect;
  collect(module);
  return std::move(collect).take();
}

namespace nn {

// The parameter in the graph of x; a constant where x has no graph.
Var use(const Parameter& parameter, const Var& x, SourceLocation at = SourceLocation::current());

// ---- layers with parameters -------------------------------------------------------------------------------

struct ConvOptions {
  Size2 window = 3;
  Size2 stride = 1;
  Padding padding = valid;
  Size2 dilation = 1;
  std::int64_t groups = 1;  // in and out must be multiples of it
  bool bias = true;
  bool relu = false;
  Initializer initializer = he_normal;
  std::uint64_t seed = 0;
  DType dtype = DType::f32;
};
// [n, h, w, in] -> [n, oh, ow, out]. Parameters: name/w [kh, kw, in / groups, out], name/b [out], at first 0.
struct Conv2d {
  std::string name;
  Parameter w;
  std::optional<Parameter> b;
  weft::Conv2dOptions options;

  // Throws ShapeError, which names the layer, for extents below 1 and groups that do not divide.
  Conv2d(std::string name, std::int64_t in, std::int64_t out, const ConvOptions& options = {});
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const;
  template <class V>
  void visit_parameters(V&& visit) const {
    visit(w);
    visit(b);
  }
};

struct LinearOptions {
  bool bias = true;
  bool relu = false;
  Initializer initializer = he_normal;
  std::uint64_t seed = 0;
  DType dtype = DType::f32;
};
// [n, in] -> [n, out]. Parameters: name/w [in, out], name/b [out], at first 0.
struct Linear {
  std::string name;
  Parameter w;
  std::optional<Parameter> b;
  bool relu;

  Linear(std::string name, std::int64_t in, std::int64_t out, const LinearOptions& options = {});
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const;
  template <class V>
  void visit_parameters(V&& visit) const {
    visit(w);
    visit(b);
  }
};

struct BatchNormLayerOptions {
  double momentum = 0.9;  // of the running statistics: the share that stays at each step, [0, 1)
  double epsilon = 1e-5;
  DType dtype = DType::f32;
};
// [.., channels] of rank 2 at least. Parameters: name/gamma, at first 1, name/beta, 0, and, never trained,
// name/mean, 0, and name/variance, 1, the running statistics (the variance unbiased: times N / (N - 1)). In
// training the batch's statistics normalise and are committed to the running ones; else the running ones
// normalise.
struct BatchNorm {
  std::string name;
  Parameter gamma, beta, mean, variance;
  BatchNormLayerOptions options;

  BatchNorm(std::string name, std::int64_t channels, const BatchNormLayerOptions& options = {});
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const;
  template <class V>
  void visit_parameters(V&& visit) const {
    visit(gamma);
    visit(beta);
    visit(mean);
    visit(variance);
  }
};

// ---- layers without ---------------------------------------------------------------------------------------

struct Pool2d {
  Pool2dOptions options;

  explicit Pool2d(const Pool2dOptions& options = {}) : options(options) {}
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const {
    return pool2d(x, options, at);
  }
  template <class V>
  void visit_parameters(V&&) const {}
};

struct Dropout {
  double p;  // of an element to become 0 in training, [0, 1)

  explicit Dropout(double p = 0.5) : p(p) {}
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const {
    return dropout(x, p, at);
  }
  template <class V>
  void visit_parameters(V&&) const {}
};

struct Relu {
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const { return relu(x, at); }
};
struct Tanh {
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const { return tanh(x, at); }
};
struct Sigmoid {
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const { return sigmoid(x, at); }
};
struct Softmax {  // over the last axis
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const {
    return softmax(x, -1, at);
  }
};
struct Flatten {  // [n, ...] -> [n, product of the others]
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const {
    return flatten(x, 1, at);
  }
};

// ---- one after the other ----------------------------------------------------------------------------------

class Layer;

template <class F>
concept MapsVar = !std::is_same_v<F, Layer> && std::is_invocable_r_v<Var, const F&, const Var&>;

// Anything that maps a Var to a Var. What a lambda captured is not searched for parameters.
class Layer {
 public:
  template <MapsVar F>
  Layer(F layer);
  Layer(const Layer& other);  // these are compiled in the library
  Layer(Layer&& other) noexcept;
  Layer& operator=(const Layer& other);
  Layer& operator=(Layer&& other) noexcept;
  ~Layer();
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const { return call_(x, at); }
  template <class V>
  void visit_parameters(V&& visit) const {
    visit(parameters_);
  }

 private:
  std::function<Var(const Var&, SourceLocation)> call_;
  std::vector<Parameter> parameters_;
};

template <MapsVar F>
Layer::Layer(F layer) {
  if constexpr (HasParameters<F>) {
    parameters_ = parameters_of(layer);
  }
  call_ = [layer = std::move(layer)](const Var& x, SourceLocation at) -> Var {
    if constexpr (std::is_invocable_v<const F&, const Var&, SourceLocation>) {
      return layer(x, at);
    } else {
      return layer(x);
    }
  };
}
extern template Layer::Layer(Conv2d);
extern template Layer::Layer(Pool2d);
extern template Layer::Layer(Linear);
extern template Layer::Layer(BatchNorm);
extern template Layer::Layer(Dropout);
extern template Layer::Layer(Relu);
extern template Layer::Layer(Flatten);

// Sequential net{nn::Conv2d("conv1", 3, 8), nn::Flatten(), [](const Var& x) { return 2 * x; }};
class Sequential {
 public:
  Sequential(std::initializer_list<Layer> layers);
  Sequential(const Sequential& other);  // likewise
  Sequential(Sequential&& other) noexcept;
  Sequential& operator=(const Sequential& other);
  Sequential& operator=(Sequential&& other) noexcept;
  ~Sequential();
  explicit Sequential(std::vector<Layer> layers) : layers_(std::move(layers)) {}
  Var operator()(const Var& x, SourceLocation at = SourceLocation::current()) const;
  template <class V>
  void visit_parameters(V&& visit) const {
    visit(layers_);
  }

 private:
  std::vector<Layer> layers_;
};

}  // namespace nn
}  // namespace weft
