"""Hand-over and view operations of devview beside memoryview and NumPy, in one process and one run.

    python bench/handover.py [--rounds N] [--only TEXT] [--json FILE] [--check]

Both sides of a comparison are timed in turn, round by round, so that a slow moment of the machine
hits both; the ratio is the median of the rounds' ratios. Below 1 devview is faster. Some rows have
a limit that the ratio has to keep; with --check one above it is an error. Rows of peers that are
not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from timeit import Timer
from typing import NamedTuple

import numpy as np

import devview as dv

try:
    import tvm_ffi
except ImportError:
    tvm_ffi = None

# Shorter than a slice of the scheduler: most loops run undisturbed, and a pair in one condition.
LOOP_SECONDS = 0.0003
ROUNDS = 301
IMPORT_ROUNDS = 21


class Case(NamedTuple):
    """One operation: a statement of devview, and a peer's that does the same.

    `limit` is what the ratio has to keep; `needs` names what is there only with some peer.
    """

    what: str
    ours: str
    peer: str
    limit: float | None = None
    needs: str = "np"


class Result(NamedTuple):
    """Seconds a call (medians), and the rounds' ratios: median and 10th to 90th percentile."""

    what: str
    peer: str
    ours_seconds: float
    peer_seconds: float
    ratio: float
    low: float
    high: float
    limit: float | None = None


CASES = (
    Case("import an array", "view(a)", "memoryview(a)", limit=0.7),
    Case("import a tensor", "view(t)", "tvm_from_dlpack(t)", limit=0.6, needs="t"),
    Case("into tvm", "tvm_from_dlpack(v2)", "tvm_from_dlpack(a)", limit=0.95, needs="t"),
    Case("capsule", "v2.__dlpack__(max_version=new)", "a.__dlpack__(max_version=new)", limit=0.8),
    Case("legacy capsule", "v2.__dlpack__()", "a.__dlpack__()", limit=1.1),
    Case("import bytes", "view(s)", "memoryview(s)", limit=1.0),
    Case("import a bytearray", "view(b)", "memoryview(b)"),
    Case("import a memoryview", "view(m)", "memoryview(m)"),
    Case("import and release", "with view(a): pass", "with memoryview(a): pass", limit=0.85),
    Case("export", "memoryview(v)", "memoryview(b)", limit=1.1),
    Case("export", "memoryview(v)", "memoryview(a)", limit=0.8),
    Case("slice two axes", "v2[1:, ::2]", "a[1:, ::2]", limit=0.85),
    Case("slice one axis", "vd[1:100]", "d[1:100]", limit=0.85),
    Case("slice one axis", "v[1:100]", "m[1:100]"),
    Case("read an item", "v[3]", "m[3]"),
    Case("read a double", "vd[3]", "md[3]"),
    Case("write an item", "v[3] = 7", "m[3] = 7"),
    Case("read at two indices", "v2[3, 4]", "m2[3, 4]"),
    *(
        Case(name, f"v2.{name}", f"a.{name}", limit=1.1)
        for name in ("shape", "strides", "ndim", "itemsize", "nbytes", "T")
    ),
    Case("shape", "v2.shape", "m2.shape"),
    Case("cast", "vd.cast('B')", "md.cast('B')"),
    Case("copy 8 x 8 transposed", "copyto(w8, v8)", "np.copyto(b8, a8)"),
    Case("tobytes, 1 MiB transposed", "vt.tobytes()", "mt.tobytes()"),
    Case("tobytes, 1 MiB transposed", "vt.tobytes()", "at.tobytes()"),
)


def names() -> dict[str, object]:
    """Return what the statements of CASES speak of."""
    a = np.arange(100 * 100, dtype="f8").reshape(100, 100)
    b = bytearray(range(200))
    d = np.arange(1000, dtype="f8")
    square = np.arange(8 * 8, dtype="f8").reshape(8, 8)
    target = np.empty((8, 8))
    big = np.arange(512 * 512, dtype="f4").reshape(512, 512).T
    tensors = {}
    if tvm_ffi is not None:
        tensors = {"tvm_from_dlpack": tvm_ffi.from_dlpack, "t": tvm_ffi.from_dlpack(a)}
    return tensors | {
        "np": np,
        "view": dv.view,
        "new": (1, 1),
        "copyto": dv.copyto,
        "a": a,
        "b": b,
        "s": bytes(b),
        "d": d,
        "v": dv.view(b),
        "m": memoryview(b),
        "v2": dv.view(a),
        "m2": memoryview(a),
        "vd": dv.view(d),
        "md": memoryview(d),
        "v8": dv.view(square.T),
        "w8": dv.view(target),
        "a8": square.T,
        "b8": target.copy(),
        "vt": dv.view(big),
        "mt": memoryview(big),
        "at": big,
    }


def loop_length(timer: Timer) -> int:
    """Return how many calls take about LOOP_SECONDS."""
    number = 1
    while (seconds := timer.timeit(number)) < LOOP_SECONDS / 4:
        number *= 4
    return max(1, round(number * LOOP_SECONDS / seconds))


def compare(what: str, peer: str, ours_once, peer_once, rounds: int) -> Result:
    """Time both sides in turn; each function returns seconds a call."""
    pairs = []
    for i in range(rounds + 1):
        order = (ours_once, peer_once) if i % 2 else (peer_once, ours_once)
        first, second = (once() for once in order)
        pairs.append((first, second) if i % 2 else (second, first))
    pairs = pairs[1:]  # the first round warms up
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    tenth = len(ratios) // 10
    ours_seconds, peer_seconds = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Result(
        what,
        peer,
        ours_seconds,
        peer_seconds,
        statistics.median(ratios),
        ratios[tenth],
        ratios[-1 - tenth],
    )


def run_case(case: Case, scope: dict[str, object], rounds: int) -> Result:
    """Compare two statements; the loop around them is timeit's on both sides."""

    def once(statement: str):
        timer = Timer(statement, globals=scope)
        number = loop_length(timer)
        return lambda: timer.timeit(number) / number

    result = compare(
        f"{case.what}: {case.ours}", case.peer, once(case.ours), once(case.peer), rounds
    )
    return result._replace(limit=case.limit)


def run_import(rounds: int) -> Result:
    """Compare a whole interpreter that imports devview with a bare one."""

    def once(code: str):
        def start() -> float:
            before = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            return time.perf_counter() - before

        return start

    return compare(
        "start Python, import devview", "bare Python", once("import devview"), once("pass"), rounds
    )


def show_time(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, factor in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * factor < 10_000:
            return f"{seconds * factor:.0f} {unit}"
    return f"{seconds:.2f} s"


def show(result: Result) -> None:
    """Print one row of the table."""
    print(
        f"{result.what:<46} {show_time(result.ours_seconds):>8}  {result.peer:<29} "
        f"{show_time(result.peer_seconds):>8} {result.ratio:>6.2f}  "
        f"{result.low:.2f} to {result.high:.2f}"
        + (f", at most {result.limit}" if result.limit else ""),
        flush=True,
    )


def machine() -> dict[str, object]:
    """Return what the figures depend on."""
    return {
        "devview": dv.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "processors": os.cpu_count(),
    }


def main() -> None:
    """Run the comparisons and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N", help=f"default: {ROUNDS}"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose text holds TEXT")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--check", action="store_true", help="fail on a ratio above its limit")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least 1")

    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"{'operation':<46} {'devview':>8}  {'peer':<29} {'':>8} {'ratio':>6}  10 % to 90 %")
    scope = names()
    results = []
    for case in CASES:
        if options.only in f"{case.what} {case.ours} {case.peer}" and case.needs in scope:
            results.append(run_case(case, scope, options.rounds))
            show(results[-1])
    if options.only in "import devview":
        results.append(run_import(min(options.rounds, IMPORT_ROUNDS)))
        show(results[-1])
        extra = results[-1].ours_seconds - results[-1].peer_seconds
        print(f"importing devview takes {extra * 1e3:.1f} ms over a bare interpreter")
    if options.json:
        content = {"about": about, "results": [result._asdict() for result in results]}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    missed = [result for result in results if result.limit and result.ratio > result.limit]
    if options.check and missed:
        sys.exit(f"above the limit: {', '.join(result.what for result in missed)}")


if __name__ == "__main__":
    main()
