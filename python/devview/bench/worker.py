"""One process of a run: reads a job, measures its cases, writes a line of JSON for each.

Cases run apart from the command, so that pyperf's figures of a process are those of the cases, and
one that ends its process ends no other.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from devview.bench import record
from devview.bench.case import Case, Side
from devview.bench.cases import all_cases
from devview.bench.clock import Pace, Samples, in_turn, statement_loop


def sides_of(case: Case, names: set[str], absent: set[str]) -> list[Side]:
    """Return the sides whose libraries are here, and can do it."""
    here = [side for side in case.sides if not side.library or side.library in names]
    return [side for side in here if side.label not in absent]


def check(case: Case, scope: dict[str, Any]) -> None:
    """Raise ValueError if the sides' results differ: a wrong result has no time."""
    told = scope.get("check")
    if told is not None and not told():
        raise ValueError(f"{case.full_name}: the sides' results differ")


def measure(
    case: Case, pace: Pace, quick: bool, names: set[str], processor: bool = False
) -> dict[str, Samples]:
    """Bring a case's memory, run and check every side once, then measure."""
    scope = dict(case.make(quick))
    sides = sides_of(case, names, scope.get("absent", set()))
    if not any(side.role == "ours" for side in sides):
        raise LookupError(f"{case.full_name}: needs {case.sides[0].library}")
    if case.unit == "byte":
        return {
            side.label: Samples(1, [], [max(float(eval(side.code, scope)), 1e-12)])
            for side in sides
        }
    clock = "processor" if processor and case.clock == "host" else case.clock
    loops = {side.label: statement_loop(side.code, scope, clock) for side in sides}
    for loop in loops.values():
        loop(1)
    check(case, scope)
    if case.seconds:
        pace = replace(pace, case_seconds=min(pace.case_seconds, case.seconds))
    samples = in_turn(loops, pace)
    if "nbytes" in scope:
        record.NBYTES[case.full_name] = int(scope["nbytes"])
    return samples


def serve(job: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
    """Measure the job's cases; a case's exception is told in its place."""
    if job["affinity"]:
        os.sched_setaffinity(0, job["affinity"])
    sys.path[:0] = job["modules"]
    names = set(job["libraries"])
    cases = {case.full_name: case for case in all_cases()}
    pace = Pace(**job["pace"])
    for name in job["cases"]:
        tell({"start": name})
        try:
            samples = measure(cases[name], pace, job["quick"], names, job["processor"])
            tell(
                {
                    "case": name,
                    "suite": record.dump_case(cases[name], samples, job["facts"], job["quick"]),
                }
            )
        except Exception as error:  # a peer's may be of any class
            tell({"case": name, "error": f"{type(error).__name__}: {error}".partition("\n")[0]})


def main() -> None:
    """Take the job from the standard input; libraries that print do so on the standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(line: dict[str, Any]) -> None:
        print(json.dumps(line), file=answers, flush=True)

    serve(json.load(sys.stdin), tell)


if __name__ == "__main__":
    main()
