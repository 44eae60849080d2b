"""What got slower between two files: by time, and where the machine may differ, by ratio."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from devview.bench import record
from devview.bench.record import Result, Timing
from devview.bench.report import show_value

# A change below this is never told: the least that two runs of one program differ by.
LEAST = 1.02
HOW = {"devview_quick": "quick", "devview_threads": "threads", "devview_clock_of_host": "time"}


@dataclass
class Change:
    """A case in both files: new to old, of our time and of our ratio to each other side.

    `noise` is the factor by which both may differ without anything having changed.
    """

    name: str
    old: Result
    new: Result
    time: float
    ratios: dict[str, float]
    noise: float

    @property
    def factor(self) -> float:
        """The smallest of the changes, 1 where they disagree.

        A machine that is slower for everybody is no change of ours, nor is a peer that got faster.
        """
        moves = [math.log(change) for change in (self.time, *self.ratios.values())]
        if min(moves) < 0 < max(moves):
            return 1.0
        return math.exp(min(moves, key=abs))

    @property
    def slower(self) -> bool:
        """Tell whether the case got slower beyond the noise."""
        return self.factor > self.noise

    @property
    def faster(self) -> bool:
        """Tell whether the case got faster beyond the noise."""
        return 1 / self.factor > self.noise


def unrest(timing: Timing) -> float:
    """Return how far values are from their median, relative to it.

    That is 1.48 deviations, or half of what the processes' medians differ by: where memory and code
    lie in a process changes its times, too.
    """
    spread = timing.spread
    medians = [statistics.median(run) for run in timing.runs]
    return max(1.48 * spread.deviation, (max(medians) - min(medians)) / 2) / spread.median


def change(old: Result, new: Result) -> Change:
    """Compare a case of two files."""
    time = new.ours.spread.median / old.ours.spread.median
    shared = [
        label
        for label, timing in old.timings.items()
        if timing.role in ("peer", "limit") and label in new.timings
    ]
    ratios = {label: new.ratio(label).median / old.ratio(label).median for label in shared}
    noise = 1 + math.hypot(unrest(old.ours), unrest(new.ours))
    return Change(old.full_name, old, new, time, ratios, max(noise, LEAST))


def told_of(result: Result) -> str:
    """Return a case's name, and how it was measured: what differs in that is another case."""
    how = [f"{name} {result.metadata.get(key, '')}".strip() for key, name in HOW.items()]
    return f"{result.full_name} ({', '.join(how)})"


def changes(old: list[Result], new: list[Result]) -> tuple[list[Change], list[str], list[str]]:
    """Return the cases of both files, and the names of those that only one has."""
    before = {told_of(result): result for result in old}
    after = {told_of(result): result for result in new}
    both = [change(before[name], after[name]) for name in before if name in after]
    gone = [name for name in before if name not in after]
    return both, gone, [name for name in after if name not in before]


def line(found: Change) -> str:
    """Return what is said of a change."""
    unit = found.old.unit
    old, new = (show_value(side.ours.spread.median, unit) for side in (found.old, found.new))
    told = f"{found.name}: {old} -> {new}, x {found.time:.2f}"
    if found.ratios:
        told += ", in ratio to " + ", ".join(
            f"{label} x {change:.2f}" for label, change in found.ratios.items()
        )
    return f"{told} (noise x {found.noise:.2f})"


def main(old: Path, new: Path, fail_over: float | None) -> int:
    """Print what changed; return 1 if a case got slower by more than the factor."""
    both, gone, added = changes(*(record.results(record.load(path)) for path in (old, new)))
    slower = sorted((c for c in both if c.slower), key=lambda c: -c.factor)
    faster = sorted((c for c in both if c.faster), key=lambda c: c.factor)
    for title, found in (("slower", slower), ("faster", faster)):
        for one in found:
            print(f"{title}: {line(one)}")
    for title, names in (("only in the old file", gone), ("only in the new file", added)):
        for name in names:
            print(f"{title}: {name}")
    same = len(both) - len(slower) - len(faster)
    print(f"{len(slower)} slower, {len(faster)} faster, {same} alike, of {len(both)} in both files")
    failed = fail_over is not None and any(c.factor > fail_over for c in slower)
    return 1 if failed else 0
