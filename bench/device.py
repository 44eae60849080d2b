"""Movements on a GPU in ratio to plain copies of the same traffic, with CuPy and PyTorch beside.

    python bench/device.py [--size BYTES ...] [--rounds N] [--only TEXT] [--json FILE] [--plot FILE]
    python bench/device.py --check

Pack, unpack, transpose, permute, cast, fill and compare are told in ratio to one copy within the
device; staging and copies across the bus in ratio to one copy of pinned memory; copies between
devices, where there are two, in ratio to one peer copy of dense bytes. Within and between devices
the time is the device's, by events; what ends on the host is timed by the host. All take turns,
round by round; a ratio is the median of the rounds' ratios, with the 10th and 90th percentile.

Before anything is timed, every movement's result is compared with NumPy's, and so are the peers'.
--check does only that. On an emulated device, whose timings mean nothing, nothing is timed.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from device_cases import Case, Task, device_cases
from device_clock import Reference, Run, measure
from device_peers import Peer, installed_peers
from device_report import Row, draw, show, write_json
from device_transfers import transfer_cases

import devview as dv
from devview._devview import runtime_info

SIZES = (1 << 20, 1 << 24, 1 << 28)
CHECKED_SIZE = 1 << 20
ROUNDS = 31


def parse_size(text: str) -> int:
    """Return the bytes of a size such as 64K, 256M or 1G."""
    unit = "KMG".find(text[-1:].upper()) + 1
    return int(text[: len(text) - (unit > 0)]) << 10 * unit


def is_real(device: str) -> bool:
    """Return whether timings of the device mean anything."""
    place = dv.Device(device)
    return not place.emulated and "emu" not in runtime_info()["devices"][place.id].lower()


def runs_of(task: Task, peers: list[Peer]) -> dict[str, Run]:
    """Return the ways to do the task: devview's, and each peer's that knows one."""
    theirs = {peer.name: peer.runs(task.peers) for peer in peers}
    return {"devview": task.run} | {name: run for name, run in theirs.items() if run}


def problem_of(task: Task, run: Run, stream: dv.Stream) -> str:
    """Do the task once; return what is wrong with its result, or nothing."""
    try:
        answer = run(stream)
        stream.synchronize()
        if run is task.run or task.answer is None:
            task.check()
        else:
            np.testing.assert_array_equal(np.asarray(answer), task.answer)
    except Exception as error:  # a peer's may be of any class
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return ""


class Bench:
    """The cases of one run, checked and timed."""

    def __init__(self, options: argparse.Namespace):
        self.rounds = options.rounds
        self.timed = not options.check
        self.peers = installed_peers()
        self.device = options.device
        self.streams = {name: dv.Stream(name) for name in (options.device, options.peer) if name}
        self.reference = Reference(options.device, options.peer)
        self.rows: list[Row] = []
        self.checked = 0
        self.failed: list[str] = []
        self.left_out: list[str] = []

    def run(self, case: Case, size: int) -> None:
        """Check devview, then the peers, each on new memory; time those whose results are right."""
        task = case.make(size)
        self.checked += 1
        stream = self.streams[task.device or self.device]
        if problem := problem_of(task, task.run, stream):
            self.failed.append(f"{case}, {size} bytes: {problem}")
            return
        names = ["devview"]
        for peer in self.peers:
            task = case.make(size)
            run = peer.runs(task.peers)
            if run is None:
                continue
            if problem := problem_of(task, run, stream):
                self.left_out.append(f"{peer.name}: {case}: {problem}")
            else:
                names.append(peer.name)
        if self.timed:
            self.time(case, size, names)

    def time(self, case: Case, size: int, names: list[str]) -> None:
        """Add a row: devview and the peers named, beside the plain copy."""
        task = case.make(size)
        stream = self.streams[task.device or self.device]
        runs = {name: run for name, run in runs_of(task, self.peers).items() if name in names}
        plain, times = measure(runs, self.reference.run(task), task.clock, stream, self.rounds)
        self.rows.append(
            Row(case.group, case.what, size, task.traffic, task.reference, plain, times)
        )


def about(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    """Return what the figures depend on."""
    info = runtime_info()
    return {
        "devview": dv.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        **{peer.name: peer.version for peer in bench.peers},
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        **info,
        "device": options.device,
        "peer": options.peer,
        "rounds": options.rounds,
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--size",
        type=parse_size,
        nargs="+",
        metavar="BYTES",
        help="bytes to be moved, with K, M or G; default: 1M 16M 256M, with --check 1M",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default: {ROUNDS}")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds TEXT")
    parser.add_argument("--device", default="cuda:0", help="default: cuda:0")
    parser.add_argument("--peer", help="the other device; default: the next one, if there is one")
    parser.add_argument("--check", action="store_true", help="compare with NumPy, time nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios (matplotlib)")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    count = sum(device.type == "cuda" for device in dv.devices())
    if count == 0:
        parser.error("no CUDA device; DEVVIEW_EMULATE_CUDA=2 checks on an emulated one")
    if options.peer is None and count > 1:
        options.peer = f"cuda:{(dv.Device(options.device).id + 1) % count}"
    if not options.check and not is_real(options.device):
        print("The device is emulated: its timings mean nothing. Results are checked only.")
        options.check = True
    options.size = options.size or [CHECKED_SIZE] if options.check else options.size or SIZES
    return options


def main() -> None:
    """Check, time, and tell."""
    options = parse()
    bench = Bench(options)
    facts = about(bench, options)
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    cases = [*device_cases(options.device), *transfer_cases(options.device, options.peer)]
    for case in cases:
        if options.only in str(case):
            for size in options.size:
                bench.run(case, size)
    libraries = ["devview", *(peer.name for peer in bench.peers)]
    if bench.rows:
        show(bench.rows, libraries)
    if options.json:
        write_json(options.json, facts, bench.rows)
    if options.plot and bench.rows:
        draw(options.plot, facts, bench.rows, libraries)
    for line in bench.left_out:
        print(f"left out: {line}")
    print(f"{bench.checked} movements compared with NumPy, {len(bench.failed)} wrong")
    if bench.failed:
        sys.exit("\n".join(bench.failed))


if __name__ == "__main__":
    main()
