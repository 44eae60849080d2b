"""Timing for bench/device.py: plain copies as references, and the harness' clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from device_cases import Task

import devview as dv
from devview.bench.clock import Mark, Pace, Spread, in_turn

Run = Callable[[dv.Stream], object]

# Of one measurement: long enough for the clock, short enough for many rounds.
MEASURED_SECONDS = 0.004


class Timed(NamedTuple):
    """Seconds (median of the rounds), and the rounds' ratios to the reference's time."""

    seconds: float
    ratio: float
    low: float
    high: float


class Reference:
    """Plain copies of dense bytes; each is one call of the runtime."""

    def __init__(self, device: str, peer: str | None):
        self.device, self.peer = device, peer

    def run(self, task: Task) -> Run:
        """Return the plain copy of as much traffic as the task's."""
        if task.reference == "memory":  # a copy reads what it writes
            return self._copy(self.device, self.device, task.traffic // 2)
        if task.reference == "peer":
            assert self.peer is not None
            return self._copy(self.peer, self.device, task.traffic // 2)
        if task.reference == "round trip":
            there = self._copy("pinned", self.device, task.traffic // 2)
            back = self._copy(self.device, "pinned", task.traffic // 2)
            return lambda stream: (there(stream), back(stream), stream.synchronize())
        to_host = task.reference == "to host"
        ends = ("pinned", self.device) if to_host else (self.device, "pinned")
        copy = self._copy(*ends, task.traffic)
        return lambda stream: (copy(stream), stream.synchronize())

    @staticmethod
    def _copy(to: str, source: str, nbytes: int) -> Run:
        dst, src = (dv.zeros(max(1, nbytes), device=place) for place in (to, source))
        return lambda stream: dv.copyto(dst, src, stream=stream)


def loop(run: Run, clock: str, stream: dv.Stream, number: int) -> float:
    """Return the seconds of so many calls, by the device's events or the host's clock."""
    stream.synchronize()
    if clock == "host":
        before = time.perf_counter()
        for _ in range(number):
            run(stream)
        return time.perf_counter() - before
    start = Mark(stream)
    for _ in range(number):
        run(stream)
    return Mark(stream) - start


def measure(
    runs: dict[str, Run], reference: Run, clock: str, stream: dv.Stream, rounds: int
) -> tuple[float, dict[str, Timed]]:
    """Time all in turn, round by round, so that a slow moment hits everybody."""
    everybody = {"": reference} | runs
    loops = {name: partial(loop, run, clock, stream) for name, run in everybody.items()}
    pace = Pace(rounds, MEASURED_SECONDS, case_seconds=0, least=rounds)
    samples = {name: taken.values for name, taken in in_turn(loops, pace).items()}
    plain = samples.pop("")
    return statistics.median(plain), {name: summary(ours, plain) for name, ours in samples.items()}


def summary(ours: list[float], plain: list[float]) -> Timed:
    """Return the medians, and the 10th and 90th percentile of the rounds' ratios."""
    ratios = Spread.of(a / b for a, b in zip(ours, plain, strict=True))
    return Timed(statistics.median(ours), ratios.median, ratios.low, ratios.high)
