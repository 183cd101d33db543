"""Compares loss and gradients of the seed article's CNN with PyTorch's, in float64, to 1e-10.

usage: signs_cnn.py PROGRAM    (exit 0: equal, 1: different, 77: skipped, there is no PyTorch)
"""
import subprocess
import sys

try:
    import numpy
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    print(f"skipped: {missing}: the comparison with PyTorch was not made")
    sys.exit(77)


def draw(random, shape, factor):
    return torch.tensor(random.randn(*shape) * factor, dtype=torch.float64, requires_grad=True)


random = numpy.random.RandomState(1)
x = draw(random, (4, 64, 64, 3), 1)
parameters = {
    "conv1/w": draw(random, (4, 4, 3, 8), 0.2),
    "conv1/b": draw(random, (8,), 0.1),
    "conv2/w": draw(random, (2, 2, 8, 16), 0.2),
    "conv2/b": draw(random, (16,), 0.1),
    "dense/w": draw(random, (64, 6), 0.2),
    "dense/b": draw(random, (6,), 0.1),
}


def conv_same(h, w, b):
    """Keras' `same`: the odd element of padding stands behind."""
    before, after = (w.shape[0] - 1) // 2, w.shape[0] // 2
    padded = F.pad(h, (before, after, before, after))
    return F.conv2d(padded, w.permute(3, 2, 0, 1), b)


h = x.permute(0, 3, 1, 2)
h = F.max_pool2d(torch.relu(conv_same(h, parameters["conv1/w"], parameters["conv1/b"])), 8, 8)
h = F.max_pool2d(torch.relu(conv_same(h, parameters["conv2/w"], parameters["conv2/b"])), 4, 4)
logits = h.permute(0, 2, 3, 1).reshape(4, 64) @ parameters["dense/w"] + parameters["dense/b"]
loss = F.cross_entropy(logits, torch.tensor([0, 5, 2, 2]))
loss.backward()
expected = {"loss": loss, "x": x.grad} | {name: p.grad for name, p in parameters.items()}

output = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout
found = {line.split()[0]: numpy.array(line.split()[1:], dtype=float) for line in output.splitlines()}
assert found.keys() == expected.keys(), found.keys()

wrong = 0
for name, value in expected.items():
    value = value.detach().numpy().ravel()
    error = abs(found[name] - value).max() / abs(value).max()
    wrong += not error <= 1e-10
    print(f"{name:8} {value.size:6} values, largest error {error:.1e} of the largest value")
sys.exit(1 if wrong else 0)
