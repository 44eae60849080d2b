"""Timing of a case's sides in turn, round by round, so that a slow moment hits all of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from timeit import Timer
from typing import Any

# A timed loop of so many calls; returns seconds in all.
Loop = Callable[[int], float]


@dataclass(frozen=True)
class Pace:
    """How long to measure: rounds of one process, seconds of one loop, of one case's rounds.

    A loop is shorter than a slice of the scheduler, so that most run undisturbed. Cases whose calls
    are long get fewer rounds, but never fewer than `least`.
    """

    rounds: int = 101
    loop_seconds: float = 0.0003
    case_seconds: float = 2.0
    least: int = 7
    warmups: int = 1


@dataclass
class Samples:
    """Seconds a call, by round; the rounds of all sides of a case belong together."""

    loops: int
    warmups: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Spread:
    """A median, the median of the distances to it, and the 10th and 90th percentile."""

    median: float
    deviation: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of values."""
        ordered = sorted(values)
        median = statistics.median(ordered)
        deviation = statistics.median(abs(value - median) for value in ordered)
        tenth = len(ordered) // 10
        return cls(median, deviation, ordered[tenth], ordered[-1 - tenth])


class Mark:
    """A recorded event; the difference of two is in seconds and waits for the later one."""

    def __init__(self, stream: Any):
        self.event = stream.record()

    def __sub__(self, start: Mark) -> float:
        self.event.synchronize()
        return start.event.elapsed(self.event) / 1e3


def statement_loop(code: str, scope: dict[str, Any], clock: str = "host") -> Loop:
    """Return timeit's loop around a statement.

    By the device's events, by the host's clock, or "processor": the time that this thread has had
    of its processor, which other programs disturb less, and which misses all other threads.
    """
    if clock == "device":
        stream = scope["stream"]
        timer = Timer(code, globals=scope, timer=lambda: Mark(stream))
    else:
        clocks = {"processor": time.thread_time}
        timer = Timer(code, globals=scope, timer=clocks.get(clock, time.perf_counter))
    return timer.timeit


def loop_length(loop: Loop, seconds: float) -> int:
    """Return how many calls take about as long; finding out warms up.

    The least of three, because one that was interrupted would make loops of single calls.
    """
    number = 1
    while (taken := min(loop(number) for _ in range(3))) < seconds / 4:
        number *= 4
    return max(1, round(number * seconds / max(taken, 1e-9)))


def rounds_of(pace: Pace, round_seconds: float) -> int:
    """Return how many rounds of that length fit a case's time."""
    fitting = int(pace.case_seconds / max(round_seconds, 1e-9))
    return max(1, min(pace.rounds, max(fitting, pace.least)))


def in_turn(loops: Mapping[str, Loop], pace: Pace) -> dict[str, Samples]:
    """Time every loop once a round, each round beginning with another one."""
    samples = {name: Samples(loop_length(loop, pace.loop_seconds)) for name, loop in loops.items()}
    gc.collect()
    names = list(loops)

    def round_of(k: int) -> dict[str, float]:
        shift = k % len(names)
        return {
            name: loops[name](samples[name].loops) / samples[name].loops
            for name in names[shift:] + names[:shift]
        }

    before = time.perf_counter()
    for k in range(pace.warmups):
        for name, value in round_of(k).items():
            samples[name].warmups.append(value)
    taken = (time.perf_counter() - before) / max(1, pace.warmups)
    for k in range(rounds_of(pace, taken)):
        for name, value in round_of(k).items():
            # A clock that has not moved: pyperf takes positive values only.
            samples[name].values.append(max(value, 1e-12))
    return samples
