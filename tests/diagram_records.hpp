// Records that tests of diagrams draw, and what they look for in the DOT.
#pragma once

#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "weft/weft.hpp"

namespace weft {

template <class G>
std::string dot_of(const G& g, const DiagramOptions& options = {}) {
  std::ostringstream out;
  write_dot(g, out, options);
  return out.str();
}

inline std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
    ++found;
  return found;
}

// The line that defines an item, such as "n3" or "n0 -> n1".
inline std::string line_of(const std::string& dot, const std::string& item) {
  const auto at = dot.find("  " + item + " [");
  return at == std::string::npos ? "" : dot.substr(at, dot.find('\n', at) - at);
}

// About `ops` ops, with operands taken twice, shared parameters, constants, integers, nested scopes of which
// some are entered again, and nodes that nothing needs. Every sum of neighbours differs by its attributes.
// Ends in backward().
inline void record_random(Graph& g, unsigned seed, int ops) {
  std::mt19937 random(seed);
  const auto below = [&](std::size_t bound) { return random() % bound; };
  std::vector<Parameter> parameters;
  for (int i = 0; i < 3; ++i) parameters.emplace_back(fmt::format("layer/p{}", i), Tensor::zeros({2}));
  std::vector<Var> nodes{g.input(Tensor::zeros({2}), "x"), g.use(parameters[0])};
  const auto pick = [&] { return nodes[below(nodes.size())]; };
  for (int i = 0; i < ops;) {
    const Scope outer = g.scope(fmt::format("s{}", below(4)));
    nodes.push_back(scale(pick(), i++));
    const Scope inner = g.scope(below(2) == 0 ? "a" : "b");
    for (std::size_t k = 1 + below(9); k > 0; --k, ++i) {
      const Var a = pick(), b = below(4) == 0 ? a : below(4) == 0 ? g.use(parameters[below(3)]) : pick();
      switch (below(6)) {
        case 0:
          nodes.push_back(tanh(a));
          break;
        case 1:
          nodes.push_back(add(a, b));
          break;
        case 2:
          nodes.push_back(multiply(b, a));
          break;
        case 3:
          nodes.push_back(add(a, Var(Tensor::scalar(static_cast<float>(i)))));
          break;
        case 4:
          argmax(a);
          break;
        default:
          nodes.push_back(scale(b, i));
      }
    }
  }
  g.backward(sum(add(nodes.back(), g.use(parameters[1]))));
}

// Blocks of equal layers, each with a scope and, unless shared, a parameter of its own.
inline void record_blocks(Graph& g, int blocks, bool shared) {
  const SourceLocation at{"model.cpp", 1};
  const Parameter w("w", Tensor::zeros({2}));
  Var h = g.input(Tensor::zeros({2}), "x", at);
  for (int b = 0; b < blocks; ++b) {
    const Scope scope = g.scope(fmt::format("block{}", b));
    const Var own = g.use(shared ? w : Parameter(fmt::format("w{}", b), Tensor::zeros({2})), at);
    h = tanh(multiply(h, own, at), at);
  }
  sum(h, {}, at);
}

// A small CNN with scopes, a shared parameter, an operand taken twice, a constant, and an op that nothing
// needs.
struct Cnn {
  Parameter w1{"conv1/w", Tensor::zeros({4, 4, 3, 8})}, b1{"conv1/b", Tensor::zeros({8})};
  Parameter w2{"head/w", Tensor::zeros({32, 6})}, b2{"head/b", Tensor::zeros({6})};
  Parameter gain{"gain", Tensor::zeros({1})};

  static SourceLocation line(int number) { return {"/home/user/project/src/model.cpp", number}; }

  Var record(Graph& g) const {
    const Var x = g.input(Tensor::zeros({2, 8, 8, 3}), "x", line(14));
    const Var labels = g.input(Tensor::zeros({2}, DType::i64), "labels", line(15));
    const Var shared = g.use(gain, line(16));
    Var h;
    {
      const Scope scope = g.scope("conv1");
      const Var w = g.use(w1, line(17)), b = g.use(b1, line(18));
      h = multiply(relu(conv2d(x, w, b, {.stride = {2, 2}, .padding = same}, line(19)), line(20)), shared,
                   line(21));
      h = pool2d(h, {.window = 2}, line(22));
      const Scope inner = g.scope("square");
      h = multiply(h, h, line(23));
    }
    Var logits;
    {
      const Scope scope = g.scope("head");
      h = flatten(h, 1, line(25));
      const Var w = g.use(w2, line(26)), b = g.use(b2, line(27));
      logits = multiply(add(matmul(h, w, {}, line(28)), b, line(29)), shared, line(30));
    }
    argmax(logits, -1, line(31));
    const Var tempered = add(scale(logits, 1.01, line(32)), Var(Tensor::scalar(0.5)), line(33));
    return softmax_crossentropy(tempered, labels, {}, line(34));
  }
};

}  // namespace weft
