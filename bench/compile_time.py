"""What a translation unit costs that includes devview/view.hpp, beside nanobind's and pybind11's.

    python bench/compile_time.py [--rounds N] [--compiler CXX ...] [--json FILE] [--check]

Needs the headers of nanobind and pybind11 (PyPI). Each translation unit is one #include. A round
compiles all of them in turn; the figure of a comparison is the median of the rounds' ratios of
processor time, which other programs on the machine disturb less than the clock's. Below 1 devview
is cheaper. With --check a ratio above 1 of devview/view.hpp is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import NamedTuple

import nanobind
import pybind11

ROOT = Path(__file__).resolve().parents[1]
PATHS = [
    str(ROOT / "core/include"),
    nanobind.include_dir(),
    pybind11.get_include(),
    sysconfig.get_path("include"),
]
OURS = ("devview/view.hpp", "devview/c_api.h")
PEERS = ("nanobind/ndarray.h", "pybind11/numpy.h")
# The first is what a tool does that only reads the code; the second makes an object file.
MODES = {"read": ("-fsyntax-only",), "compile -O2": ("-O2", "-c", "-o", os.devnull)}


class Unit(NamedTuple):
    """A translation unit, and how large it is once everything is included."""

    header: str
    file: Path
    lines: int
    files: int


def command(compiler: str, options: tuple[str, ...], file: Path) -> list[str]:
    """Return the compiler's command line."""
    folders = [option for path in PATHS for option in ("-isystem", path)]
    return [compiler, "-std=c++17", "-fvisibility=hidden", *folders, *options, str(file)]


def make_unit(compiler: str, header: str, folder: Path) -> Unit:
    """Write the file, and count what it includes."""
    file = folder / f"{header.replace('/', '_')}.cpp"
    file.write_text(f"#include <{header}>\n", encoding="ascii")
    done = subprocess.run(
        command(compiler, ("-E",), file), check=True, capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    names = {line.split('"')[1] for line in lines if line.startswith("# ") and '"/' in line}
    return Unit(header, file, sum(not line.startswith("#") for line in lines), len(names))


def seconds(line: list[str]) -> float:
    """Return the processor time of one compilation, the linker's and assembler's included."""
    process = subprocess.Popen(line)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status != 0:
        raise subprocess.CalledProcessError(status, line)
    return usage.ru_utime + usage.ru_stime


def measure(compiler: str, options: tuple[str, ...], units: list[Unit], rounds: int) -> dict:
    """Return the times of every unit, round by round; a first round warms the caches."""
    times: dict[str, list[float]] = {unit.header: [] for unit in units}
    for number in range(rounds + 1):
        for unit in units:
            taken = seconds(command(compiler, options, unit.file))
            if number > 0:
                times[unit.header].append(taken)
    return times


def report(compiler: str, rounds: int) -> list[dict]:
    """Print the table of one compiler, and return its rows."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        units = [make_unit(compiler, header, Path(name)) for header in (*OURS, *PEERS)]
        print(f"\n{compiler}")
        for unit in units:
            print(f"  {unit.header:20} {unit.lines:8} lines of {unit.files} files")
        for mode, options in MODES.items():
            times = measure(compiler, options, units, rounds)
            for ours in OURS:
                for peer in PEERS:
                    ratios = [a / b for a, b in zip(times[ours], times[peer], strict=True)]
                    row = {
                        "compiler": compiler,
                        "mode": mode,
                        "ours": ours,
                        "peer": peer,
                        "ours_seconds": statistics.median(times[ours]),
                        "peer_seconds": statistics.median(times[peer]),
                        "ratio": statistics.median(ratios),
                    }
                    rows.append(row)
                    print(
                        f"  {mode:12} {ours:17} {row['ours_seconds']:.3f} s   {peer:19} "
                        f"{row['peer_seconds']:.3f} s   ratio {row['ratio']:.2f}"
                    )
    return rows


def main() -> int:
    """Measure with every compiler that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--compiler", action="append")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    compilers = given.compiler or [name for name in ("g++", "clang++") if shutil.which(name)]
    rows = [row for compiler in compilers for row in report(compiler, given.rounds)]
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    slow = [row for row in rows if row["ours"] == OURS[0] and row["ratio"] > 1]
    return 1 if given.check and slow else 0


if __name__ == "__main__":
    sys.exit(main())
