// sizes/user_file.cpp with libtorch.
#include <torch/torch.h>

#include <iostream>

int main() {
  namespace nn = torch::nn;
  const torch::Tensor images = torch::rand({16, 3, 16, 16}), labels = torch::arange(16).remainder(6);
  nn::Sequential model(nn::Conv2d(nn::Conv2dOptions(3, 8, 3).padding(1)), nn::ReLU(), nn::MaxPool2d(2),
                       nn::Conv2d(nn::Conv2dOptions(8, 16, 3).padding(1)), nn::ReLU(), nn::MaxPool2d(2),
                       nn::Flatten(), nn::Linear(256, 6));
  torch::optim::Adam adam(model->parameters(), torch::optim::AdamOptions(1e-3));
  double loss = 0;
  for (int step = 0; step < 20; ++step) {
    adam.zero_grad();
    const torch::Tensor y = nn::functional::cross_entropy(model->forward(images), labels);
    y.backward();
    adam.step();
    loss = y.item<double>();
  }
  std::cout << "loss " << loss << '\n';
}
