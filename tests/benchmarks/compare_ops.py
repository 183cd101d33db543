#!/usr/bin/env python3
"""Times every op that PyTorch computes too, by turns, on the large operands of ops.cpp, and prints the table.

    python3 tests/benchmarks/compare_ops.py [--build build/release] [--python PYTHON]... [--threads 2] [--rounds 3]

weft is built with -DWEFT_BENCHMARKS=ON. Backward is the gradient with respect to every floating operand. Exit status:
2 where there is nothing to run.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from compare import compiler, formatted, processor, ratio, torch_of

HERE = Path(__file__).parent
DIRECTIONS = ("forward", "backward")


def output(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    environment.pop("WEFT_NUM_THREADS", None)
    return subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True,
                          check=True).stdout


def weft_turn(program, threads):
    """Microseconds by (op, direction)."""
    report = json.loads(output([program, "--benchmark_filter=/large/", "--benchmark_min_time=0.02",
                                "--benchmark_repetitions=5", "--benchmark_format=json"], threads))
    rows = ((row["run_name"].split("/"), row["real_time"]) for row in report["benchmarks"]
            if row.get("aggregate_name") == "median")
    return {(op, direction): nanoseconds / 1e3 for (op, _, direction, *_), nanoseconds in rows}


def torch_turn(python, threads):
    rows = (line.split() for line in output([python, "-W", "ignore", HERE / "torch_ops.py"], threads).splitlines())
    return {(row[0], direction): float(time) for row in rows for direction, time in zip(DIRECTIONS, row[1:])
            if float(time) > 0}


def medians(turns):
    return {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", type=Path, help="weft's build folder")
    parser.add_argument("--python", action="append", help="an interpreter whose PyTorch is measured")
    parser.add_argument("--threads", type=int, default=2, help="of every program")
    parser.add_argument("--rounds", type=int, default=3, help="of turns; medians are printed")
    options = parser.parse_args()
    program = options.build / "tests/benchmarks/benchmark_ops"
    if not program.exists():
        print(f"{program} is not there: cmake -DWEFT_BENCHMARKS=ON, then build", file=sys.stderr)
        return 2
    found = {python: torch_of(python) for python in options.python or ["python3", "/usr/bin/python3"]}
    for python in found:
        if options.python and not found[python]:
            print(f"{python} imports no torch: not measured", file=sys.stderr)
    pythons = [python for python in found if found[python]]
    pythons = pythons if options.python else pythons[:1]
    if not pythons:
        print("no interpreter imports torch: name one with --python", file=sys.stderr)
        return 2

    name, instructions = processor()
    print(f"{name}; weft: {compiler(options.build)}, {instructions}; {options.threads} threads, median of "
          f"{options.rounds} turns\n")
    own, peers = [], {python: [] for python in pythons}
    for turn in range(options.rounds):
        print(f"\rturn {turn + 1} of {options.rounds}", end="", file=sys.stderr, flush=True)
        own.append(weft_turn(program, options.threads))
        for python in pythons:
            peers[python].append(torch_turn(python, options.threads))
    print("\r" + " " * 40, end="\r", file=sys.stderr, flush=True)

    weft, torches = medians(own), {python: medians(turns) for python, turns in peers.items()}
    heads = ["op"]
    for direction in DIRECTIONS:
        heads += [f"weft, {direction}", *(f"PyTorch {found[python].split()[0]}: times" for python in pythons)]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for op in dict.fromkeys(op for op, _ in torches[pythons[0]]):
        cells = [op]
        for direction in DIRECTIONS:
            time = weft.get((op, direction))
            cells.append(formatted(time / 1e3 if time else None))
            for python in pythons:
                times = ratio(torches[python].get((op, direction)), time)
                cells.append(f"{times:.2f}" if times else "-")
        print("| " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
