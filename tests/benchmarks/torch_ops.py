"""The large rows of ops.cpp in PyTorch: "OP FORWARD BACKWARD" lines out, microseconds; 0 where there is no gradient.

    OMP_NUM_THREADS=2 python3 torch_ops.py

Images are channels last, and results that PyTorch only describes (a transpose, a slice, an expanded gradient) are
made contiguous, as weft's are.
"""
import os
import statistics
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
torch.manual_seed(1)
SECONDS = 0.1
FLAT, SQUARE, IMAGES = (1 << 20,), (1024, 1024), (32, 64, 32, 32)
INDEX = torch.randint(0, 1024, (1024,))


def any_of(*shape):
    return torch.randn(shape)


def positive(*shape):
    return 0.5 + 1.5 * torch.rand(shape)


def images():
    return torch.randn(IMAGES).to(memory_format=torch.channels_last)


def filters():
    return torch.randn(64, 64, 3, 3).to(memory_format=torch.channels_last)


def dense(x):
    return x if x.is_contiguous(memory_format=torch.channels_last if x.dim() == 4 else torch.contiguous_format) \
        else x.contiguous()


CONDITION = torch.rand(FLAT) < 0.5
ROWS = {
    "add": ([any_of(*FLAT), any_of(*FLAT)], torch.add),
    "subtract": ([any_of(*FLAT), any_of(*FLAT)], torch.sub),
    "multiply": ([any_of(*FLAT), any_of(*FLAT)], torch.mul),
    "divide": ([any_of(*FLAT), positive(*FLAT)], torch.div),
    "where": ([any_of(*FLAT), any_of(*FLAT)], lambda a, b: torch.where(CONDITION, a, b)),
    "negate": ([any_of(*FLAT)], torch.neg),
    "scale": ([any_of(*FLAT)], lambda x: x * 1.01),
    "shift": ([any_of(*FLAT)], lambda x: x + 1.01),
    "exp": ([any_of(*FLAT)], torch.exp),
    "log": ([positive(*FLAT)], torch.log),
    "sqrt": ([positive(*FLAT)], torch.sqrt),
    "pow": ([positive(*FLAT)], lambda x: x**1.5),
    "tanh": ([any_of(*FLAT)], torch.tanh),
    "sigmoid": ([any_of(*FLAT)], torch.sigmoid),
    "relu": ([any_of(*FLAT)], torch.relu),
    "dropout": ([any_of(*FLAT)], lambda x: F.dropout(x, 0.5)),
    "sum": ([any_of(*SQUARE)], lambda x: x.sum(0)),
    "mean": ([any_of(*SQUARE)], lambda x: x.mean(0)),
    "max": ([any_of(*SQUARE)], lambda x: x.max(1).values),
    "argmax": ([any_of(*SQUARE)], lambda x: x.argmax(1)),
    "batch_norm": ([images(), any_of(64), any_of(64)], lambda x, g, b: F.batch_norm(x, None, None, g, b, True)),
    "broadcast_to": ([any_of(1024)], lambda x: x.expand(SQUARE)),
    "transpose": ([any_of(*SQUARE)], torch.t),
    "slice": ([any_of(*SQUARE)], lambda x: x[1:, 1:]),
    "concat": ([any_of(*SQUARE), any_of(*SQUARE)], lambda a, b: torch.cat((a, b), 1)),
    "pad": ([any_of(*SQUARE)], lambda x: F.pad(x, (1, 1, 1, 1))),
    "gather": ([any_of(*SQUARE)], lambda x: x.index_select(0, INDEX)),
    "scatter_add": ([any_of(*SQUARE)], lambda x: torch.zeros(SQUARE).index_add_(0, INDEX, x)),
    "one_hot": ([], lambda: F.one_hot(INDEX, 1024).float()),
    "matmul": ([any_of(512, 512), any_of(512, 512)], torch.matmul),
    "conv2d": ([images(), filters(), any_of(64)], lambda x, w, b: F.conv2d(x, w, b, padding=1)),
    "pool2d": ([images()], lambda x: F.max_pool2d(x, 2)),
    "softmax": ([any_of(*SQUARE)], lambda x: x.softmax(1)),
    "log_softmax": ([any_of(*SQUARE)], lambda x: x.log_softmax(1)),
    "softmax_crossentropy": ([any_of(*SQUARE)], lambda x: F.cross_entropy(x, INDEX)),
}


def microseconds(call):
    times = []
    for _ in range(3):
        call()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


for name, (operands, op) in ROWS.items():
    for operand in operands:
        operand.requires_grad_()
    forward, backward = microseconds(lambda: dense(op(*operands))), 0
    y = op(*operands)
    if y.requires_grad:
        gy = torch.randn_like(dense(y))
        backward = microseconds(
            lambda: [dense(gx) for gx in torch.autograd.grad(y, operands, gy, retain_graph=True)])
    print(f"{name} {forward:.2f} {backward:.2f}", flush=True)
