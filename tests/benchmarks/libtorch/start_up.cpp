// sizes/start_up.cpp with libtorch.
#include <torch/torch.h>

int main() {
  const torch::Tensor w = torch::full({1}, 3.0F).requires_grad_();
  torch::tanh(w).backward();
  return w.grad().item<float>() > 0 ? 0 : 1;
}
