#!/usr/bin/env python3
"""Measures what weft costs besides time: to compile, load, start, hold in memory, and whether training drifts.

    python3 tests/benchmarks/sizes.py [--build build/release] [--steps 10000]

weft is built with -DWEFT_BENCHMARKS=ON. Prints a table of what was found and what the goal is, with libtorch's figures
where its programs were built (libtorch-dev is installed), then every place of weft's code that called the system
allocator in a training step after the first. Exit status: 0 where every goal is met, 1 where one is missed, 2 where
there is nothing to run.
"""
import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOAKED = ("signs_cnn", "chain")
ALLOCATION_STEPS = 10
MEMORY_STEPS = 100
# Later steps against the first tenth, and the memory they may add: what the clock and the allocator's rounding show.
DRIFT_GOAL, GROWTH_GOAL_MB = 1.05, 1.0


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True, **options).stdout


def progress(text):
    print(f"{text} ...", file=sys.stderr, flush=True)


def cache_entry(build, name):
    for line in (build / "CMakeCache.txt").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split("=", 1)[1]
    return None


def compile_seconds(build, source, includes=()):
    """Median CPU time of three compilations with -O2, without a compiler cache: the compiler has one thread."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            run(cache_entry(build, "CMAKE_CXX_COMPILER"), "-std=c++20", "-O2", "-I", HERE.parents[1] / "include",
                *includes, "-c", source, "-o", Path(folder) / "user_file.o")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times)


def libraries(program):
    """How many shared libraries the program loads, and the MB of their files."""
    paths = {Path(word).resolve() for line in run("ldd", program).splitlines() for word in line.split()
             if word.startswith("/")}
    return len(paths), sum(path.stat().st_size for path in paths) / 1e6


def start_up_seconds(program):
    """Median of the whole life of 50 processes, after three that fill the caches."""
    times = []
    for _ in range(53):
        start = time.perf_counter()
        process = os.posix_spawn(program, [str(program)], os.environ)
        if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != 0:
            sys.exit(f"{program} failed")
        times.append(time.perf_counter() - start)
    return statistics.median(times[3:])


def allocator_calls(program, row):
    """Calls by who makes them, and by place in weft (addresses, innermost first)."""
    callers, places = Counter(), Counter()
    for line in run(program, row, ALLOCATION_STEPS).splitlines():
        words = line.split()
        if words[0] == "at":
            places[tuple(words[2:])] += int(words[1])
        else:
            callers[words[0]] += int(words[1])
    return callers, places


def place_names(program, addresses):
    """The functions of a place, innermost first, with lines where the build has them (-g1)."""
    names = []
    for line in run("addr2line", "-C", "-f", "-p", "-e", program, *addresses).splitlines():
        name, _, where = line.replace("(anonymous namespace)::", "").partition(" at ")
        while (shorter := re.sub(r"<[^<>]*>", "", name)) != name:  # template arguments, inside out
            name = shorter
        name = name.split("(")[0]
        if not name.startswith("std::"):
            names.append(name if where.endswith("?") else f"{name} at {where.rsplit('/', 1)[-1]}")
    return " < ".join(names[:4])


class Table:
    def __init__(self):
        self.missed = []
        print("| what | weft | goal | libtorch |\n|---|---|---|---|")

    def row(self, what, found, goal, unit, peer=None, digits=3):
        shown = f"{found:.{digits}g} {unit}".strip()
        print(f"| {what} | {shown} | <= {goal:g} {unit} | {peer or '-'} |".replace("  ", " "), flush=True)
        if found > goal:
            self.missed.append(f"{what}: {shown}, goal {goal:g} {unit}".strip())


def static_rows(table, build, programs):
    torch_start = programs / "benchmark_libtorch_start_up"
    has_torch = torch_start.exists()
    torch_includes = (cache_entry(build, "WEFT_TORCH_INCLUDES") or "").split(";")

    progress("compiling a user's file")
    peer = None
    if has_torch:
        seconds = compile_seconds(build, HERE / "libtorch/user_file.cpp", [f"-I{path}" for path in torch_includes])
        peer = f"{seconds:.3g} s"
    table.row("compile a user's file (weft.hpp, training of a small CNN, -O2)",
              compile_seconds(build, HERE / "sizes/user_file.cpp"), 1.5, "s", peer)

    count, megabytes = libraries(programs / "benchmark_user_file")
    if has_torch:
        peer = "{} files, {:.0f} MB".format(*libraries(torch_start))
    table.row(f"shared libraries loaded ({count} files)", megabytes, 90, "MB", peer)

    progress("starting processes")
    if has_torch:
        peer = f"{1e3 * start_up_seconds(torch_start):.3g} ms"
    table.row("a process that records one op, runs backward and exits",
              1e3 * start_up_seconds(programs / "benchmark_start_up"), 30, "ms", peer)


def soak_rows(table, programs, steps):
    progress("training signs_cnn")
    peak = float(run(programs / "benchmark_soak", "signs_cnn", MEMORY_STEPS).split()[4])
    table.row("peak memory of signs_cnn training", peak, 150, "MB")
    for row in SOAKED:
        progress(f"{steps} steps of {row}")
        first, last, early, late, _, _ = (float(word) for word in run(programs / "benchmark_soak", row, steps).split())
        table.row(f"{row}, {steps} steps: last tenth {last:.4g} ms over first {first:.4g} ms", last / first, DRIFT_GOAL, "")
        table.row(f"{row}, {steps} steps: memory {early:.1f} MB after a tenth, {late:.1f} MB at the end", late - early,
                  GROWTH_GOAL_MB, "MB")


def allocator_rows(table, program, rows):
    found = {}
    for row in rows:
        progress(f"allocator calls of {row}")
        callers, places = allocator_calls(program, row)
        others = ", ".join(f"{name} {count / ALLOCATION_STEPS:g}" for name, count in callers.items() if name != "weft")
        table.row(f"allocator calls of weft in a step of {row} after the first (others': {others or 'none'})",
                  callers["weft"] / ALLOCATION_STEPS, 0, "")
        for place, count in places.items():
            found.setdefault(place_names(program, place), Counter())[row] += count
    if found:
        print("\nweft's calls of the allocator, innermost function first:")
    for place, by_row in found.items():
        counts = ", ".join(f"{row} {count / ALLOCATION_STEPS:g}" for row, count in by_row.items())
        print(f"- {counts}: {place}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", type=Path, help="weft's build folder")
    parser.add_argument("--steps", type=int, default=10000, help="of the soak")
    options = parser.parse_args()
    programs = options.build.resolve() / "tests/benchmarks"
    for needed in ("user_file", "start_up", "soak", "allocations"):
        if not (programs / f"benchmark_{needed}").exists():
            print(f"{programs}/benchmark_{needed} is not there: cmake -DWEFT_BENCHMARKS=ON, then build", file=sys.stderr)
            return 2
    compiler = run(cache_entry(options.build, "CMAKE_CXX_COMPILER"), "--version").splitlines()[0]
    print(f"{compiler}; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before the run\n")
    table = Table()
    static_rows(table, options.build, programs)
    soak_rows(table, programs, options.steps)
    allocator_rows(table, programs / "benchmark_allocations",
                   ("signs_cnn", "lenet", "vgg_small", "mlp", "signs_mlp", "signs_cnn_forward", "chain"))
    print("\n" + ("missed:\n" + "\n".join(table.missed) if table.missed else "every goal met"))
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
