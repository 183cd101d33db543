#!/usr/bin/env python3
"""Times weft's training steps against PyTorch's, by turns, and prints the table of ratios.

    python3 tests/benchmarks/compare.py [--build build/release] [--python PYTHON]... [--rounds 5] [--seconds 0.5]

weft is built with -DWEFT_BENCHMARKS=ON. The PyTorch that the goals are set against is what the first PYTHON imports
(default: the first of python3, /usr/bin/python3 that can); PyTorch of every other PYTHON has to be slower than weft in
every row. The floor is oneDNN's convolutions and matrix products alone (floor.cpp). A row without a number for PyTorch
or libtorch was not measured there. Exit status: 0 where every goal is met, 1 where one is missed, 2 where there is
nothing to run.
"""
import argparse
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

# Row, and how many times faster than PyTorch it has to be.
ROWS = {"signs_cnn": 4.5, "lenet": 2.0, "vgg_small": 1.35, "mlp": 1.5, "signs_mlp": 3.0, "signs_cnn_forward": 5.0,
        "chain": 90.0}
CHAIN_OPS, CHAIN_GOAL_NS, RECORD_GOAL_BYTES = 1000, 45, 200
# Two threads over one; a row that two threads cannot help must not get slower, which is told to 5%.
SCALING_GOALS = {"signs_cnn": 1.6, "lenet": 1.6, "vgg_small": 1.6, "mlp": 1.6}
NO_SLOWER = 0.95
THREADS = (1, 2)


class Contestant:
    """A program that times a row on request, with so many threads. Each row has a process of its own: what
    another left behind, threads that make counts atomic among it, is no part of it. Each turn has one where
    `fresh`."""

    def __init__(self, command, threads, fresh):
        self.command, self.threads, self.fresh = command, threads, fresh
        self.environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.environment.pop("WEFT_NUM_THREADS", None)
        self.process = None

    def time(self, row, seconds):
        """Milliseconds; None where the program does not have the row."""
        if not self.process:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            text=True, env=self.environment)
        self.process.stdin.write(f"{row} {seconds}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            sys.exit(f"{' '.join(self.command)} stopped at {row}")
        if self.fresh:
            self.close()
        return float(answer[0]) if float(answer[0]) >= 0 else None

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
        self.process = None


class Side:
    """What is measured as one column: the best of several contestants. The same program is up to 4% faster in
    one process than in another: those that start fast are started for each turn."""

    def __init__(self, name, commands, fresh=False):
        self.name = name
        self.contestants = [Contestant(command, n, fresh) for command in commands for n in THREADS]
        self.times = {}

    def warm_up(self, row):
        for contestant in self.contestants:
            if not contestant.fresh:
                contestant.time(row, 0)

    def turn(self, row, seconds):
        for contestant in self.contestants:
            time = contestant.time(row, seconds)
            if time is not None:
                self.times.setdefault((row, contestant), []).append(time)

    def median(self, row, threads=None):
        medians = [statistics.median(times) for (of, contestant), times in self.times.items()
                   if of == row and threads in (None, contestant.threads)]
        return min(medians, default=None)

    def close(self):
        for contestant in self.contestants:
            contestant.close()


def torch_of(python):
    """Version and vector instructions of the PyTorch that `python` imports, None where it has none."""
    code = ("import torch; shown = torch.__config__.show(); key = 'CPU capability usage: '; "
            "print(torch.__version__, shown.split(key)[1].split()[0] if key in shown else 'unknown instructions')")
    try:
        probe = subprocess.run([python, "-W", "ignore", "-c", code], capture_output=True, text=True)
    except OSError:
        return None
    return probe.stdout.strip() if probe.returncode == 0 else None


def torch_sides(wanted):
    sides = []
    for python in wanted or ["python3", "/usr/bin/python3"]:
        found = torch_of(python)
        if not found:
            if wanted:
                print(f"{python} imports no torch: not measured", file=sys.stderr)
            continue
        version, instructions = found.split(" ", 1)
        script = [python, "-W", "ignore", str(Path(__file__).parent / "torch_rows.py")]
        sides.append((Side(f"PyTorch {version}", [script, [*script, "channels_last"]]), instructions))
        if not wanted:
            break
    return sides


def processor():
    """Name, and what weft's and oneDNN's kernels choose by."""
    facts = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = set(facts.get("flags", "").split())
    if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags:
        instructions = "AVX-512 (x86-64-v4)"
    else:
        instructions = "AVX2 (x86-64-v3)" if {"avx2", "fma", "bmi2"} <= flags else "the compiler's default"
    return facts.get("model name", platform.processor()), instructions


def compiler(build):
    """The first line of `CXX --version` of the build."""
    for line in (build / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("CMAKE_CXX_COMPILER:"):
            command = [line.split("=", 1)[1], "--version"]
            return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    return "unknown compiler"


def formatted(milliseconds):
    if milliseconds is None:
        return "-"
    return f"{milliseconds:.3g} ms" if milliseconds >= 1 else f"{1e3 * milliseconds:.3g} us"


def ratio(a, b):
    return a / b if a is not None and b else None


def table_row(row, weft, floor, peers, missed):
    """The line of the table; appends to `missed` what missed its goal."""
    own, bottom = weft.median(row), floor.median(row)
    cells = [row, formatted(own), formatted(bottom), f"{ratio(own, bottom):.2f}" if bottom else "-"]
    for number, peer in enumerate(peers):
        times_faster = ratio(peer.median(row), own)
        goal = 1 if number else ROWS[row]
        cells += [formatted(peer.median(row)), f"{times_faster:.2f}" if times_faster else "-", f"{goal:g}"]
        if times_faster and times_faster < goal:
            missed.append(f"{row}: {times_faster:.2f} times faster than {peer.name}, goal {goal:g}")
    scaling = ratio(weft.median(row, 1), weft.median(row, 2))
    goal = SCALING_GOALS.get(row, NO_SLOWER)
    if scaling < goal:
        missed.append(f"{row}: 2 threads are {scaling:.2f} times as fast as 1, goal {goal:g}")
    return "| " + " | ".join([*cells, f"{scaling:.2f}", f"{goal:g}"]) + " |"


def long_chain(programs, missed):
    command = [str(programs / "benchmark_long_chain")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    record, backward, destroy, record_bytes, peak_bytes = (float(number) for number in answer.split())
    if record_bytes > RECORD_GOAL_BYTES:
        missed.append(f"chain of 1,000,000 ops: {record_bytes:.0f} bytes of record an op, goal {RECORD_GOAL_BYTES}")
    return (f"chain of 1,000,000 ops on one value: record {record:.0f} ms, backward {backward:.0f} ms, destroy "
            f"{destroy:.0f} ms; {record_bytes:.0f} bytes of record an op (goal: at most {RECORD_GOAL_BYTES}), "
            f"{peak_bytes:.0f} with its gradients")


def measure(sides, rows, rounds, seconds):
    for row in rows:
        for side in sides:  # nobody is timed while another starts
            side.warm_up(row)
        for turn in range(rounds):
            print(f"\r{row}: turn {turn + 1} of {rounds}   ", end="", file=sys.stderr, flush=True)
            for side in sides:
                side.turn(row, seconds)
        for side in sides:
            side.close()
    print("\r" + " " * 40, end="\r", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", type=Path, help="weft's build folder")
    parser.add_argument("--python", action="append", help="an interpreter whose PyTorch is measured")
    parser.add_argument("--rounds", type=int, default=5, help="of turns; medians are printed")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="only these")
    return parser.parse_args()


def main():
    options = arguments()
    programs = options.build / "tests/benchmarks"
    for needed in ("training_rows", "floor", "long_chain"):
        if not (programs / f"benchmark_{needed}").exists():
            print(f"{programs}/benchmark_{needed} is not there: cmake -DWEFT_BENCHMARKS=ON, then build",
                  file=sys.stderr)
            return 2
    weft = Side("weft", [[str(programs / "benchmark_training_rows")]], fresh=True)
    floor = Side("floor", [[str(programs / "benchmark_floor")]], fresh=True)
    torches = torch_sides(options.python)
    peers = [side for side, _ in torches]
    libtorch = programs / "benchmark_libtorch_rows"
    if libtorch.exists() and peers:
        version = subprocess.run([str(libtorch), "--version"], capture_output=True, text=True).stdout.strip()
        peers.append(Side(f"libtorch {version}, C++", [[str(libtorch)]]))

    name, instructions = processor()
    print(f"{name}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before the run\n"
          f"weft: {compiler(options.build)}, {instructions}; {options.build}")
    for side, of_torch in torches:
        print(f"{side.name}: {of_torch}")
    if not torches:
        print("PyTorch: not found, only weft is timed")
    print(f"median of {options.rounds} turns of {options.seconds} s, weft's and the floor's in a process each; the best of "
          "1 and 2 threads and, for PyTorch, of both memory formats\n")
    measure([weft, floor, *peers], options.rows, options.rounds, options.seconds)

    heads = ["step", "weft", "floor", "weft / floor"]
    for peer in peers:
        heads += [peer.name, "times faster", "goal"]
    heads += ["2 threads over 1", "goal"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    missed = []
    for row in options.rows:
        print(table_row(row, weft, floor, peers, missed))
    if "chain" in options.rows:
        op_ns = 1e6 * weft.median("chain") / CHAIN_OPS
        if op_ns > CHAIN_GOAL_NS:
            missed.append(f"chain: {op_ns:.1f} ns an op, goal {CHAIN_GOAL_NS}")
        print(f"\nchain: {op_ns:.1f} ns an op (goal: at most {CHAIN_GOAL_NS})\n{long_chain(programs, missed)}")
    print("\n" + ("missed:\n" + "\n".join(missed) if missed else "every goal met"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
