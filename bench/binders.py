"""Passing arrays to C++ functions: devview/pybind11.hpp beside nanobind's nb::ndarray.

    python bench/binders.py [--rounds N] [--json FILE] [--check] [--build FOLDER]

Builds one module for each binder (CMake, pybind11 and nanobind have to be installed), then times
the same calls in turn, round by round, in one process. Two ratios are printed for each argument,
medians of the rounds' ratios: of the whole calls, and of what is left of them after each binder's
own call of an empty function. With --check one above its limit is an error.

Below the table is what no binder on pybind11 can undercut: a function that asks a DLPack object for
a capsule of version 1 and throws it away. For `const` arrays nanobind asks for one of before 2023,
which costs a Python class half as much; it cannot say that memory is read-only, so producers refuse
read-only memory, and newer ones warn or refuse at all: devview never asks for it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from timeit import Timer
from typing import NamedTuple

import numpy as np

import devview as dv

try:
    import tvm_ffi
except ImportError:
    tvm_ffi = None

SOURCE = Path(__file__).parent / "binders"
LOOP_SECONDS = 0.0003
ROUNDS = 301
# Of the whole call, and without the binders' empty calls.
LIMITS = (1.3, 1.0)


class Producer:
    """What has `__dlpack__` and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return (1, 0)


class Result(NamedTuple):
    """Nanoseconds a call (medians) and the ratios devview : nanobind."""

    function: str
    argument: str
    ours: float
    peer: float
    whole: float
    net: float


def build(folder: Path) -> None:
    """Configure and build both modules."""
    hints = []
    for name, flag in (("pybind11", "--cmakedir"), ("nanobind", "--cmake_dir")):
        told = subprocess.check_output([sys.executable, "-m", name, flag], text=True)
        hints.append(f"-D{name}_DIR={told.strip()}")
    package = Path(dv.__file__).parent
    subprocess.run(
        [
            *("cmake", "-S", SOURCE, "-B", folder, "-DCMAKE_BUILD_TYPE=Release"),
            *(f"-DPython_EXECUTABLE={sys.executable}", f"-DDEVVIEW_PACKAGE={package}", *hints),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(["cmake", "--build", folder], check=True, stdout=subprocess.DEVNULL)


def arguments() -> dict:
    """Name what is passed."""
    array = np.ones((2, 3), "f4")
    named = {"ndarray": array, "View": dv.view(array), "DLPack, Python": Producer(array)}
    if tvm_ffi is not None:
        named["DLPack, tvm"] = tvm_ffi.from_dlpack(array)
    return named


def seconds(timer: Timer, number: int) -> float:
    """Time one loop."""
    return timer.timeit(number) / number


def compare(function: str, argument: str, value, ours, peer, rounds: int) -> Result:
    """Time four functions in turn, round by round."""
    timers = [
        Timer("f(x)", globals={"f": f, "x": value})
        for f in (getattr(ours, function), getattr(peer, function), ours.empty, peer.empty)
    ]
    numbers = [max(1, int(LOOP_SECONDS / seconds(timer, 100))) for timer in timers]
    times, whole, net = [], [], []
    for _ in range(rounds):
        a, b, a0, b0 = now = [seconds(*pair) for pair in zip(timers, numbers, strict=True)]
        times.append(now)
        whole.append(a / b)
        net.append((a - a0) / (b - b0) if b > b0 else 1.0)
    medians = [statistics.median(column) * 1e9 for column in zip(*times, strict=True)]
    return Result(
        function, argument, *medians[:2], statistics.median(whole), statistics.median(net)
    )


def main() -> int:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--build", type=Path, help="folder to build in, kept")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.build or Path(temporary)
        build(folder)
        sys.path.insert(0, str(folder))
        import devview_caster
        import nanobind_peer

        results = [
            compare(function, name, value, devview_caster, nanobind_peer, options.rounds)
            for function in ("any", "readonly", "typed")
            for name, value in arguments().items()
        ]
    print(f"{'':26}{'devview':>9}{'nanobind':>10}{'in all':>8}{'net':>7}  [ns]")
    for r in results:
        told = f"{r.function:10}{r.argument:16}{r.ours:9.0f}{r.peer:10.0f}"
        told += f"{r.whole:8.2f}{r.net:7.2f}"
        print(told + ("  above the limit" if over(r) else ""))
    for name, value in arguments().items():
        if name.startswith("DLPack"):
            timer = Timer("f(x)", globals={"f": devview_caster.ask, "x": value})
            bare = statistics.median(seconds(timer, 1000) for _ in range(options.rounds)) * 1e9
            print(f"{'asked':10}{name:16}{bare:9.0f}")
    if options.json:
        options.json.write_text(json.dumps([r._asdict() for r in results], indent=1))
    return int(options.check and any(map(over, results)))


def over(result: Result) -> bool:
    """Tell if one of the ratios is above its limit."""
    return result.whole > LIMITS[0] or result.net > LIMITS[1]


if __name__ == "__main__":
    sys.exit(main())
