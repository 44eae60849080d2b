"""What is timed: a case has sides, which take turns, and promises, which a ratio has to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["ours", "peer", "limit", "base"]


@dataclass(frozen=True)
class Side:
    """One way to do a case's work.

    `code` is a statement, in a case of memory an expression that gives bytes. `role`: "ours";
    "peer", the same work by another library; "limit", the least that the work can cost, such as one
    memcpy of the same traffic or a bare call; "base", what is taken off the side named by `of`.
    `library` is the peer that has to be there, a key of `peers.PEERS`.
    """

    label: str
    code: str
    role: Role = "peer"
    library: str = ""
    of: str = ""


@dataclass(frozen=True)
class Promise:
    """A bound of the median ratio to one side: of the time, or of its inverse, the speed.

    `net`: of the ratio without each side's base.
    """

    to: str
    at_most: float | None = None
    at_least: float | None = None
    net: bool = False

    def met(self, ratio: float) -> bool:
        """Tell whether a ratio of times keeps the promise."""
        if self.at_most is not None:
            return ratio <= self.at_most
        return 1 / ratio >= (self.at_least or 0)

    @property
    def bound(self) -> float:
        """The largest ratio of times that keeps the promise."""
        if self.at_most is not None:
            return self.at_most
        return 1 / self.at_least if self.at_least else float("inf")

    def __str__(self) -> str:
        net = " without the empty call" if self.net else ""
        if self.at_most is not None:
            return f"at most {self.at_most:g}{net}"
        return f"speed at least {self.at_least:g}{net}"


@dataclass(frozen=True)
class Case:
    """A comparison: `make(quick)` brings what its statements speak of, memory included.

    `make` may put names of its own in the scope: `nbytes`, the bytes that are moved; `check`, a
    function that tells, after every side has run once, whether all results are right; `absent`, the
    labels of sides whose libraries cannot do it.
    Clock "device": the time between two events of the scope's `stream`; "wall": by the clock even
    where others are timed by their processor's. `axis` and `x` place the
    case in a plot of growth, `series` names its line there. `needs` is a
    library that every side speaks of. `seconds` bounds the time of its rounds, 0 does not.
    `rechecks`: how often it is measured
    again when it misses a promise. `quick` is false for what only a whole run measures; `scaled`
    is true where a quick run's arrays are too small for the promises.
    """

    group: str
    name: str
    sides: tuple[Side, ...]
    make: Callable[[bool], dict[str, Any]]
    promises: tuple[Promise, ...] = ()
    unit: Literal["second", "byte"] = "second"
    clock: Literal["host", "device", "wall"] = "host"
    axis: str = ""
    x: float = 0
    series: str = ""
    needs: str = ""
    seconds: float = 0
    rechecks: int = 0
    quick: bool = True
    scaled: bool = False

    @property
    def full_name(self) -> str:
        """The group and the name: no two cases share it."""
        return f"{self.group}/{self.name}"

    def matches(self, text: str) -> bool:
        """Tell whether a filter chooses the case."""
        return text.lower() in self.full_name.lower()


@dataclass(frozen=True)
class Aggregate:
    """A promise that a whole group makes: of its worst case, or of the geometric mean."""

    group: str
    what: str
    kind: Literal["worst", "mean"]
    promise: Promise
