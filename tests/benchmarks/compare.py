#!/usr/bin/env python3
"""Times weft's training steps against PyTorch's, by turns, and prints the table of ratios.

    python3 tests/benchmarks/compare.py [--build build/release] [--python PYTHON] [--rounds 5] [--seconds 0.5]

weft is built with -DWEFT_BENCHMARKS=ON. PyTorch is what PYTHON imports (default: the first of python3,
/usr/bin/python3 that can). Exit status: 0 where every goal is met, 1 where one is missed, 2 where there is nothing to
run.
"""
import argparse
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

# Row, how many times faster than PyTorch it has to be, and how many ops its step counts (chain: ns an op).
ROWS = [
    ("signs_cnn", 4.5),
    ("lenet", 2.0),
    ("vgg_small", 1.35),
    ("mlp", 1.5),
    ("signs_mlp", 3.0),
    ("signs_cnn_forward", 5.0),
    ("chain", 90.0),
]
CHAIN_OPS, CHAIN_GOAL_NS = 1000, 45
SCALING_ROWS, SCALING_GOAL = ("signs_cnn", "lenet", "vgg_small", "mlp"), 1.6
THREADS = (1, 2)


class Contestant:
    """A program that times one row at a time on request."""

    def __init__(self, name, command, threads):
        self.name = name
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)

    def time(self, row, seconds):
        self.process.stdin.write(f"{row} {seconds}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            sys.exit(f"{self.name} stopped at {row}")
        return float(answer[0])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def find_python(wanted):
    for python in [wanted] if wanted else ["python3", "/usr/bin/python3"]:
        probe = subprocess.run(
            [python, "-c", "import torch; print(torch.__version__, '|', torch.backends.cpu.get_cpu_capability()"
             " if hasattr(torch.backends, 'cpu') else torch.__config__.show().split('CPU capability usage: ')[-1]"
             ".split()[0])"], capture_output=True, text=True)
        if probe.returncode == 0:
            return python, probe.stdout.strip()
    return None, None


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def formatted(milliseconds):
    return f"{milliseconds:.3g} ms" if milliseconds >= 1 else f"{1e3 * milliseconds:.3g} us"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="weft's build folder")
    parser.add_argument("--python", help="the interpreter whose PyTorch is measured")
    parser.add_argument("--rounds", type=int, default=5, help="of turns; medians are printed")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn")
    parser.add_argument("--rows", nargs="*", default=[row for row, _ in ROWS], help="only these")
    arguments = parser.parse_args()

    program = Path(arguments.build) / "tests/benchmarks/benchmark_training_rows"
    if not program.exists():
        print(f"{program} is not there: cmake -DWEFT_BENCHMARKS=ON, then build", file=sys.stderr)
        return 2
    python, torch = find_python(arguments.python)
    weft = {n: Contestant(f"weft, {n} threads", [str(program)], n) for n in THREADS}
    peers = {}
    if python:
        script = str(Path(__file__).parent / "torch_rows.py")
        peers = {(n, layout): Contestant(f"PyTorch, {n} threads", [python, script, str(n), *layout], n)
                 for n in THREADS for layout in ((), ("channels_last",))}

    print(f"{processor()}, {os.cpu_count()} threads; g++ build in {arguments.build}; "
          f"PyTorch {torch or 'not found: only weft is timed'}")
    print(f"median of {arguments.rounds} turns of {arguments.seconds} s; the best of 1 and 2 threads and, for PyTorch, of "
          "both memory formats\n")
    print("| step | weft | PyTorch | times faster | goal | 2 threads over 1 |\n|---|---|---|---|---|---|")
    missed = 0
    for row, goal in ROWS:
        if row not in arguments.rows:
            continue
        times = {key: [] for key in [*weft, *peers]}
        for _ in range(arguments.rounds):
            for key, contestant in [*weft.items(), *peers.items()]:
                times[key].append(contestant.time(row, arguments.seconds))
        medians = {key: statistics.median(values) for key, values in times.items()}
        own = min(medians[n] for n in THREADS)
        scaling = medians[1] / medians[2]
        best = min((medians[key] for key in peers), default=None)
        ratio = best / own if best else None
        missed += ratio is not None and ratio < goal
        missed += row in SCALING_ROWS and scaling < SCALING_GOAL
        if row == "chain":
            missed += 1e6 * own / CHAIN_OPS > CHAIN_GOAL_NS
        print(f"| {row} | {formatted(own)} | {formatted(best) if best else '-'} | "
              f"{f'{ratio:.2f}' if ratio else '-'} | {goal:g} | {scaling:.2f} |", flush=True)
    for contestant in [*weft.values(), *peers.values()]:
        contestant.close()
    print(f"\n{missed} goals missed" if missed else "\nevery goal met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
