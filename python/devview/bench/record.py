"""Figures as pyperf keeps them: one pyperf.Benchmark a side, so that pyperf reads the files too.

What a case is, its promises included, stands in the metadata of its benchmarks; the values of its
sides belong together by their order, which is what ratios are made of.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyperf

from devview.bench.case import Case, Promise
from devview.bench.clock import Samples, Spread

# Bytes that a case of this process moves, by full name.
NBYTES: dict[str, int] = {}
Suite = pyperf.BenchmarkSuite


@dataclass
class Timing:
    """One side's values, by process, as pyperf has them."""

    label: str
    role: str
    code: str
    of: str
    runs: tuple[tuple[float, ...], ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The values of all processes."""
        return tuple(value for run in self.runs for value in run)

    @property
    def spread(self) -> Spread:
        """Of seconds a call, or bytes."""
        return Spread.of(self.values)


@dataclass
class Result:
    """A case that was measured: its sides, ours first, and what the case says of itself."""

    group: str
    name: str
    timings: dict[str, Timing]
    metadata: dict[str, Any]
    promises: list[Promise] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        """The group and the name."""
        return f"{self.group}/{self.name}"

    @property
    def ours(self) -> Timing:
        """The side of devview."""
        return next(timing for timing in self.timings.values() if timing.role == "ours")

    def with_role(self, role: str) -> list[Timing]:
        """Return the sides of that role."""
        return [timing for timing in self.timings.values() if timing.role == role]

    @property
    def unit(self) -> str:
        """Second or byte."""
        return self.metadata.get("unit", "second")

    @property
    def nbytes(self) -> int:
        """Bytes that one call moves; 0 where nothing is moved."""
        return int(self.metadata.get("devview_nbytes", 0))

    def ratio(self, to: str) -> Spread:
        """Return the rounds' ratios of our time to that of another side."""
        theirs = self.timings[to]
        pairs = zip(self.ours.values, theirs.values, strict=False)
        return Spread.of(a / b for a, b in pairs)

    def net_ratio(self, to: str) -> Spread | None:
        """Return the ratios without each side's base, None where the sides have none."""
        bases = {timing.of: timing.values for timing in self.with_role("base")}
        if not {self.ours.label, to} <= set(bases):
            return None
        columns = (self.ours.values, bases[self.ours.label], self.timings[to].values, bases[to])
        pairs = ((a - a0, b - b0) for a, a0, b, b0 in zip(*columns, strict=False))
        return Spread.of(a / b if b > 0 else 1.0 for a, b in pairs)

    def judged(self, promise: Promise) -> float | None:
        """Return the median that a promise speaks of, None where a side is missing."""
        if promise.to not in self.timings:
            return None
        spread = self.net_ratio(promise.to) if promise.net else self.ratio(promise.to)
        return spread.median if spread else None

    def missed(self) -> list[Promise]:
        """Return the promises that the medians break."""
        judged = [(promise, self.judged(promise)) for promise in self.promises]
        return [promise for promise, ratio in judged if ratio and not promise.met(ratio)]


def describe(case: Case, label: str, quick: bool) -> dict[str, Any]:
    """Return the metadata of one side's benchmark."""
    side = next(side for side in case.sides if side.label == label)
    # Small arrays are no test of promises about large ones.
    promises = [] if quick and case.scaled else [asdict(promise) for promise in case.promises]
    told = {
        "name": f"{case.full_name}: {label}",
        "unit": case.unit,
        "devview_group": case.group,
        "devview_case": case.name,
        "devview_side": label,
        "devview_role": side.role,
        "devview_code": side.code,
        "devview_of": side.of,
        "devview_clock": case.clock,
        "devview_nbytes": NBYTES.get(case.full_name, 0),
        "devview_promises": json.dumps(promises),
        "devview_quick": int(quick),
    }
    if case.axis:
        told |= {"devview_axis": case.axis, "devview_x": case.x, "devview_series": case.series}
    # pyperf refuses empty strings.
    return {key: value for key, value in told.items() if value != ""}


def dump_case(case: Case, samples: dict[str, Samples], facts: dict[str, str], quick: bool) -> str:
    """Return a case's benchmarks as pyperf's JSON."""
    benchmarks = []
    for label, taken in samples.items():
        metadata = {**facts, **describe(case, label, quick), "loops": taken.loops}
        warmups = [(taken.loops, value) for value in taken.warmups]
        benchmarks.append(pyperf.Benchmark([pyperf.Run(taken.values, warmups, metadata)]))
    return dumps(Suite(benchmarks))


def dumps(suite: Suite) -> str:
    """Return a suite as pyperf's JSON."""
    text = io.StringIO()
    suite.dump(text)
    return text.getvalue()


def merge(into: dict[str, pyperf.Benchmark], text: str) -> None:
    """Add a process' runs to those of other processes, by name."""
    for benchmark in Suite.loads(text):
        name = benchmark.get_name()
        if name in into:
            into[name].add_runs(benchmark)
        else:
            into[name] = benchmark


def results(benchmarks: Iterable[pyperf.Benchmark]) -> list[Result]:
    """Return the cases that benchmarks are of, in their order; those of others are left out."""
    found: dict[tuple[str, str], Result] = {}
    for benchmark in benchmarks:
        told = benchmark.get_metadata()
        if "devview_case" not in told:
            continue
        key = told["devview_group"], told["devview_case"]
        if key not in found:
            promises = [Promise(**given) for given in json.loads(told["devview_promises"])]
            found[key] = Result(*key, {}, told, promises)
        found[key].timings[told["devview_side"]] = Timing(
            told["devview_side"],
            told["devview_role"],
            told.get("devview_code", ""),
            told.get("devview_of", ""),
            tuple(run.values for run in benchmark.get_runs()),
        )
    return [result for result in found.values() if result.with_role("ours")]


def load(path: Path) -> list[pyperf.Benchmark]:
    """Read a file; ValueError says what is wrong with it."""
    try:
        return list(Suite.load(str(path)))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: not a file of pyperf's: {error}") from error


def save(path: Path, benchmarks: Iterable[pyperf.Benchmark]) -> None:
    """Write pyperf's JSON."""
    Suite(list(benchmarks)).dump(str(path), replace=True)
