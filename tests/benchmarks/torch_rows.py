"""The rows of training_rows.cpp in PyTorch: "ROW SECONDS" lines in, "MILLISECONDS STEPS LOSS" lines out.

    OMP_NUM_THREADS=2 python3 torch_rows.py [channels_last]
"""
import os
import statistics
import sys
import time

import torch
from torch import nn

channels_last = "channels_last" in sys.argv[1:]
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
torch.manual_seed(1)


def formatted(x):
    return x.to(memory_format=torch.channels_last) if channels_last and x.dim() == 4 else x


def conv(n_in, n_out, window, padding):
    return [nn.Conv2d(n_in, n_out, window, padding=padding), nn.ReLU()]


def training(layers, shape, classes, optimizer):
    model = nn.Sequential(*layers)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    x = formatted(torch.randn(shape))
    labels = torch.randint(0, classes, (shape[0],))
    optimizer = optimizer(model.parameters())
    loss_of = nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.01)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-3)


def signs_cnn_layers():
    return [*conv(3, 8, 4, "same"), nn.MaxPool2d(8), *conv(8, 16, 2, "same"), nn.MaxPool2d(4), nn.Flatten(),
            nn.Linear(64, 6)]


def signs_cnn():
    return training(signs_cnn_layers(), (64, 3, 64, 64), 6, adam)


def signs_cnn_forward():
    model = nn.Sequential(*signs_cnn_layers())
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    x = formatted(torch.randn(1, 3, 64, 64))

    def step():
        with torch.inference_mode():
            return model(x)[0, 0].item()

    return step


def lenet():
    return training([*conv(1, 6, 5, 2), nn.MaxPool2d(2), *conv(6, 16, 5, 0), nn.MaxPool2d(2), nn.Flatten(),
                     nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)],
                    (64, 1, 28, 28), 10, sgd)


def vgg_small():
    layers, n_in = [], 3
    for n_out in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M"):
        if n_out == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += conv(n_in, n_out, 3, 1)
            n_in = n_out
    return training([*layers, nn.Flatten(), nn.Linear(2048, 512), nn.ReLU(), nn.Linear(512, 10)],
                    (32, 3, 32, 32), 10, sgd)


def mlp():
    return training([nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)],
                    (128, 784), 10, sgd)


def signs_mlp():
    return training([nn.Linear(12288, 25), nn.ReLU(), nn.Linear(25, 12), nn.ReLU(), nn.Linear(12, 6)],
                    (64, 12288), 6, adam)


def chain():
    x = torch.randn(32, requires_grad=True)
    gy = torch.ones(32)

    def step():
        y = x
        for _ in range(500):
            y = torch.tanh(y * 1.01)
        return torch.autograd.grad(y, x, gy)[0][0].item()

    return step


rows = {f.__name__: f for f in (signs_cnn, lenet, vgg_small, mlp, signs_mlp, signs_cnn_forward, chain)}
made = {}
for line in sys.stdin:
    row, seconds = line.split()
    if row not in made:
        made[row] = rows[row]()
    step = made[row]
    loss = sum(step() for _ in range(3))
    times = []
    end = time.perf_counter() + float(seconds)
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        loss += step()
        times.append(1e3 * (time.perf_counter() - start))
    print(f"{statistics.median(times):.6f} {len(times)} {loss:.3g}", flush=True)
