"""Runs cases in processes of their own and gathers what these tell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby

import pyperf

from devview.bench import record
from devview.bench.case import Case
from devview.bench.clock import Pace
from devview.bench.peers import installed

# Called with what happened ("start", "done", "again") and the case.
Progress = Callable[[str, Case], None]


@dataclass
class Plan:
    """How to run: in so many processes one after the other, with so many threads for one copy."""

    pace: Pace
    processes: int = 3
    quick: bool = False
    threads: int = 1
    modules: list[str] = field(default_factory=list)
    affinity: list[int] = field(default_factory=list)
    processor: bool = False
    facts: dict[str, str] = field(default_factory=dict)


@dataclass
class Gathered:
    """pyperf's benchmarks by name, and why cases have none."""

    benchmarks: dict[str, pyperf.Benchmark] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def replace(self, case: Case, text: str) -> None:
        """Put a new measurement in the place of all earlier ones of the case."""
        for side in case.sides:
            self.benchmarks.pop(f"{case.full_name}: {side.label}", None)
        record.merge(self.benchmarks, text)


def work(cases: list[Case], plan: Plan) -> Iterator[dict[str, str]]:
    """Run one process; yield its lines. A death is told as an error of the case at hand."""
    job = {
        "cases": [case.full_name for case in cases],
        "quick": plan.quick,
        "pace": asdict(plan.pace),
        "modules": plan.modules,
        # Known here: a process that has asked for devices looks up the address of each import.
        "libraries": sorted(installed()),
        "affinity": plan.affinity,
        "processor": plan.processor,
        "facts": plan.facts,
    }
    environment = {**os.environ, "DEVVIEW_NUM_THREADS": str(plan.threads)}
    with subprocess.Popen(
        [sys.executable, "-m", "devview.bench.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(job))
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has died already, and its status says of what
        current = ""
        try:
            for line in process.stdout:
                told = json.loads(line)
                current = told.get("start", "")
                yield told
        except BaseException:  # whoever interrupts the command waits for no case
            process.kill()
            raise
    if current:
        yield {"case": current, "error": ending(process.returncode)}
    elif process.returncode != 0:
        raise RuntimeError(f"a process of the benchmark failed: {ending(process.returncode)}")


def ending(status: int) -> str:
    """Return how a process ended."""
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process ended with status {status}"


def measured(cases: list[Case], plan: Plan, progress: Progress) -> Iterator[tuple[Case, str, str]]:
    """Measure cases of one group; yield each with its figures or its error."""
    by_name = {case.full_name: case for case in cases}
    left = list(cases)
    while left:
        for told in work(left, plan):
            if "start" in told:
                progress("start", by_name[told["start"]])
                continue
            case = by_name[told["case"]]
            left.remove(case)
            yield case, told.get("suite", ""), told.get("error", "")
            progress("done", case)


def run(cases: list[Case], plan: Plan, progress: Progress) -> Gathered:
    """Measure all cases, group by group, in every process; then again what missed a promise."""
    gathered = Gathered()
    for _ in range(plan.processes):
        for _, group in groupby(cases, key=lambda case: case.group):
            open_cases = [case for case in group if case.full_name not in gathered.failed]
            for case, suite, error in measured(open_cases, plan, progress):
                if error:
                    gathered.failed[case.full_name] = error
                else:
                    record.merge(gathered.benchmarks, suite)
    recheck(cases, plan, progress, gathered)
    return gathered


def recheck(cases: list[Case], plan: Plan, progress: Progress, gathered: Gathered) -> None:
    """Measure again, as often as they say, the cases that miss a promise and allow for it."""
    by_name = {case.full_name: case for case in cases}
    for turn in range(max((case.rechecks for case in cases), default=0)):
        results = record.results(gathered.benchmarks.values())
        late = [by_name[result.full_name] for result in results if result.missed()]
        late = [case for case in late if case.rechecks > turn]
        if not late:
            return
        for case in late:
            progress("again", case)
        for case, suite, error in measured(late, plan, progress):
            if not error:
                gathered.replace(case, suite)
