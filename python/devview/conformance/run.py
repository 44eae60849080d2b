"""One importer against the matrix: which families it speaks, and its verdicts on those."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from . import matrix
from .case import Case
from .judge import ACCEPTED, KINDS, Verdict
from .supervise import Supervisor


@dataclass
class FamilyResult:
    """The verdicts of one family; `unspoken` says why there are none."""

    family: str
    unspoken: str = ""
    left_out: int = 0
    verdicts: list[Verdict] = field(default_factory=list)

    def count(self, kind: str) -> int:
        """Return the number of cases with a fault of `kind`."""
        return sum(any(kind == found for found, _ in v.faults) for v in self.verdicts)

    def outcome(self, outcome: str) -> int:
        """Return the number of cases that ended so, without a fault."""
        return sum(v.outcome == outcome and not v.faults for v in self.verdicts)

    @property
    def failed(self) -> list[Verdict]:
        """The verdicts with faults."""
        return [verdict for verdict in self.verdicts if verdict.faults]


def chosen(families: Iterable[str], only: str = "") -> list[Case]:
    """Return the cases of `families` whose name or family contains `only`."""
    wanted = set(families)
    return [
        case
        for case in matrix.cases()
        if case.family in wanted and only.lower() in f"{case.family}: {case.name}".lower()
    ]


def run(
    target: str,
    cases: list[Case],
    device_memory: str = "",
    seconds: float = 10.0,
    told: Callable[[Verdict], None] = lambda _: None,
) -> list[FamilyResult]:
    """Run `cases` against `target`; raises TargetError. `told` hears every verdict."""
    results = []
    with Supervisor(target, device_memory, seconds) as supervisor:
        for family in matrix.FAMILIES:
            asked = [case for case in cases if case.family == family]
            if not asked:
                continue
            result = FamilyResult(family)
            results.append(result)
            good = supervisor.ask(matrix.good(family))
            if good.outcome in ("crashed", "hung"):
                result.verdicts.append(good)
            if good.outcome != "accepted" or any(kind == ACCEPTED for kind, _ in good.faults):
                result.unspoken = good.note or "; ".join(text for _, text in good.faults)
                continue
            usable = [case for case in asked if device_memory or not case.needs_device]
            result.left_out = len(asked) - len(usable)
            for verdict in supervisor.run(usable, copies=good.copied):
                result.verdicts.append(verdict)
                told(verdict)
    return results


def totals(results: Iterable[FamilyResult]) -> dict[str, int]:
    """Return the counts over all families."""
    results = list(results)
    counts = {"cases": sum(len(result.verdicts) for result in results)}
    for outcome in ("refused", "accepted"):
        counts[outcome] = sum(result.outcome(outcome) for result in results)
    for kind in KINDS:
        counts[kind] = sum(result.count(kind) for result in results)
    counts["left out"] = sum(result.left_out for result in results)
    return counts
