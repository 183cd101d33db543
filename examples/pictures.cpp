// The pictures of weft's README: a training step of the signs CNN, forward and backward with the time of
// every op, and the same with the logarithm of a negative number in it. Their numbers are those of this
// machine.
#include <weft/weft.hpp>

#include "support/signs_models.hpp"

using namespace weft;

int main() {
  const nn::Sequential model = examples::seed_recipe(1).model;
  const Tensor images = Random(1).uniform({64, 64, 64, 3}, 0, 1), labels = Tensor::zeros({64}, DType::i64);
  const auto loss = [&](Graph& g, bool wrong) {
    const Var x = g.input(images, "images"), y = g.input(labels, "labels");
    const Var logits = model(x);
    return softmax_crossentropy(wrong ? log(logits) : logits, y);
  };

  for (int step = 0; step < 5; ++step) {  // the first steps also prepare the kernels
    Graph g;
    const Profile profile(g);
    g.backward(loss(g, false));
    if (step == 4) {
      save_diagram(
          g, "step.svg",
          {.view = DiagramView::both, .overlay = DiagramOverlay::time, .title = "signs, a training step"});
    }
  }
  Graph g;
  const Profile profile(g, {.nonfinite = true});
  g.backward(loss(g, true));
  save_diagram(g, "nan.svg",
               {.overlay = DiagramOverlay::nonfinite, .title = "signs, log of a negative number"});
}
