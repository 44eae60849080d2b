"""Google Benchmark's programs: run, and their figures put beside those of Python."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyperf

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
# A counter with this prefix is our time in ratio to that of what it names.
BESIDE = "vs_"


def programs(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield programs; of a folder those named *_bench, as the repository's are."""
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.glob("*_bench") if p.is_file() and os.access(p, os.X_OK))
            if not found:
                raise ValueError(f"--cpp {path}: no program named *_bench in it")
            yield from found
        elif path.is_file():
            yield path
        else:
            raise ValueError(f"--cpp {path}: neither a program nor a folder")


def answer(program: Path, quick: bool) -> dict[str, Any]:
    """Run a program; return its JSON."""
    options = ("--benchmark_format=json", "--benchmark_enable_random_interleaving=true")
    pace = (3, 0.001) if quick else (9, 0.05)
    command = [
        str(program.resolve()),
        *options,
        f"--benchmark_repetitions={pace[0]}",
        f"--benchmark_min_time={pace[1]}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        told = (done.stderr or done.stdout).strip().partition("\n")[0]
        raise ValueError(f"{program}: no figures of Google Benchmark's: {told}") from None


def sides(name: str, runs: list[dict[str, Any]]) -> Iterator[tuple[str, str, list[float]]]:
    """Yield label, role and values: our own times, and those that counters put beside them."""
    ours = [run["real_time"] * SECONDS[run["time_unit"]] for run in runs]
    yield "devview", "ours", ours
    for counter in runs[0]:
        if counter.startswith(BESIDE) and all(run.get(counter) for run in runs):
            values = [time / run[counter] for time, run in zip(ours, runs, strict=True)]
            yield counter.removeprefix(BESIDE), "limit", values


def run(
    program: Path, filters: Sequence[str], quick: bool, facts: dict[str, str]
) -> list[pyperf.Benchmark]:
    """Run a program; return pyperf's benchmarks of what the filters choose."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for told in answer(program, quick)["benchmarks"]:
        if told.get("run_type", "iteration") == "iteration" and not told.get("error_occurred"):
            by_name.setdefault(told["name"].partition("/manual_time")[0], []).append(told)
    group = f"C++ {program.stem}"
    benchmarks = []
    for name, runs in by_name.items():
        full = f"{group}/{name}"
        if filters and not any(text.lower() in full.lower() for text in filters):
            continue
        for label, role, values in sides(name, runs):
            metadata = {
                **facts,
                "name": f"{full}: {label}",
                "unit": "second",
                "devview_group": group,
                "devview_case": name,
                "devview_side": label,
                "devview_role": role,
                "devview_clock": "host",
                "devview_nbytes": 0,
                "devview_promises": "[]",
                "loops": int(runs[0]["iterations"]),
            }
            values = [max(value, 1e-12) for value in values]
            benchmarks.append(pyperf.Benchmark([pyperf.Run(values, metadata=metadata)]))
    return benchmarks
