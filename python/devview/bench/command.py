"""The options of ``python -m devview bench``, and what they bring about."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyperf

    from devview.bench.case import Case
    from devview.bench.record import Result

# What is imported, and what it is for.
NEEDED = {"pyperf": "figures", "rich": "tables", "numpy": "arrays"}
DESCRIPTION = """Time devview beside its peers, all in turn in one process: ratios, their spread and
the least that the work can cost. Below 1 devview is faster. Needs pip install 'devview[bench]'."""


def positive(text: str) -> int:
    """Return a number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return number


def processors(text: str) -> list[int]:
    """Return the processors of a list such as 0,2-3."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that shows figures."""
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to FILE")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw the ratios (PNG, SVG or PDF); growth goes to FILE with -growth in its name",
    )
    parser.add_argument("--check", action="store_true", help="status 1 on a missed promise")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of ``python -m devview``."""
    bench = commands.add_parser(
        "bench", help="the benchmarks: table, JSON, plot, compare", description=DESCRIPTION
    )
    bench.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="TEXT",
        help="cases whose name, group/case, holds TEXT; may be given several times",
    )
    bench.add_argument("--promised", action="store_true", help="only cases that promise something")
    bench.add_argument(
        "--list", action="store_true", help="name the cases and the peers, time none"
    )
    bench.add_argument("--quick", action="store_true", help="small arrays, few rounds, one process")
    bench.add_argument("--rounds", type=positive, metavar="N", help="of one process; default: 101")
    bench.add_argument("--processes", type=positive, metavar="N", help="default: 3")
    bench.add_argument(
        "--threads", type=positive, default=1, metavar="N", help="DEVVIEW_NUM_THREADS; default: 1"
    )
    bench.add_argument(
        "--processor-time",
        action="store_true",
        help="time of the thread's processor: for a machine with other work; not with --threads",
    )
    bench.add_argument("--affinity", type=processors, metavar="CPUS", help="such as 1 or 0,2-3")
    bench.add_argument(
        "--cpp",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="a Google Benchmark program, or a folder of them, to be run too",
    )
    bench.add_argument(
        "--modules",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="where the binders' modules are that bench/binders.py builds",
    )
    bench.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures, as pyperf does"
    )
    add_output(bench)
    actions = bench.add_subparsers(dest="action", metavar="")
    compare = actions.add_parser("compare", help="tell what got slower between two files")
    compare.add_argument("old", type=Path, metavar="OLD.json")
    compare.add_argument("new", type=Path, metavar="NEW.json")
    compare.add_argument(
        "--fail-over",
        type=float,
        metavar="FACTOR",
        help="status 1 if a case is slower beyond its noise, and by more than FACTOR",
    )
    show = actions.add_parser("show", help="show the figures of a file again")
    show.add_argument("file", type=Path, metavar="FILE.json")
    add_output(show)


def absent(modules: dict[str, str]) -> str:
    """Return what is to be said of modules that are not there, or nothing."""
    names = [name for name in modules if importlib.util.find_spec(name) is None]
    if not names:
        return ""
    told = " and ".join(f"{name} ({modules[name]})" for name in names)
    return f"python -m devview bench needs {told}: pip install 'devview[bench]'"


def chosen(options: argparse.Namespace) -> list[Case]:
    """Return the cases that a run measures."""
    from devview.bench.cases import all_cases

    found = [case for case in all_cases() if case.quick or not options.quick]
    if options.promised:
        found = [case for case in found if case.promises]
    if options.filter:
        found = [case for case in found if any(case.matches(text) for text in options.filter)]
    return found


def take_part(cases: Sequence[Case], modules: Sequence[Path]) -> tuple[list[Case], dict[str, str]]:
    """Return the cases that can run here, and the peers that are missing from any, with reasons."""
    from devview.bench import peers

    sys.path[:0] = [str(folder.resolve()) for folder in modules]
    missing = peers.missing()
    asked = {side.library for case in cases for side in case.sides}
    asked |= {case.needs for case in cases}
    able = [
        case
        for case in cases
        if case.needs not in missing
        and not any(side.role == "ours" and side.library in missing for side in case.sides)
    ]
    return able, {name: why for name, why in missing.items() if name in asked}


def list_cases(cases: Sequence[Case], missing: dict[str, str]) -> None:
    """Print names, sides and promises, then the peers."""
    from devview.bench import peers

    for case in cases:
        promises = [f"{promise.to}: {promise}" for promise in case.promises]
        labels = [side.label for side in case.sides if side.role in ("peer", "limit")]
        told = f"beside {', '.join(labels)}"
        print(f"{case.full_name}\n    {told}" + (f"; {'; '.join(promises)}" if promises else ""))
    for name, version in peers.installed().items():
        print(f"here: {name} {version}")
    for name, why in missing.items():
        print(f"missing: {name}: {why}")


def measure(options: argparse.Namespace) -> tuple[list[pyperf.Benchmark], list[str]]:
    """Run the cases and the programs; return pyperf's benchmarks and what went wrong."""
    from devview.bench import google
    from devview.bench.clock import Pace
    from devview.bench.facts import facts
    from devview.bench.progress import bar
    from devview.bench.runner import Plan, run

    cases, missing = take_part(chosen(options), options.modules)
    quick = Pace(rounds=7, loop_seconds=0.00005, case_seconds=0.05, least=3)
    pace = quick if options.quick else Pace()
    if options.rounds:
        pace = Pace(options.rounds, pace.loop_seconds, pace.case_seconds, pace.least)
    clock = "processor" if options.processor_time else "wall"
    plan = Plan(
        pace,
        options.processes or (1 if options.quick else 3),
        options.quick,
        options.threads,
        [str(folder.resolve()) for folder in options.modules],
        options.affinity or [],
        options.processor_time,
        facts(options.threads) | {"devview_clock_of_host": clock},
    )
    with bar(len(cases) * plan.processes) as progress:
        gathered = run(cases, plan, progress)
    benchmarks = list(gathered.benchmarks.values())
    failed = [f"{name}: {why}" for name, why in gathered.failed.items()]
    for program in google.programs(options.cpp):
        benchmarks += google.run(program, options.filter, options.quick, plan.facts)
    for name, why in missing.items():
        print(f"missing: {name}: {why}", file=sys.stderr)
    return benchmarks, failed


def output(results: list[Result], options: argparse.Namespace) -> int:
    """Show, write and draw; return the exit status."""
    from rich.console import Console

    from devview.bench import report
    from devview.bench.cases import AGGREGATES

    rows = report.table(results, AGGREGATES)
    report.show(rows, Console(width=None if sys.stdout.isatty() else 170))
    if options.markdown:
        options.markdown.write_text(report.markdown(rows), encoding="utf-8")
    if options.plot:
        from devview.bench import figure, growth_figure

        figure.draw(options.plot, results)
        growth_figure.draw(options.plot.with_stem(f"{options.plot.stem}-growth"), results)
    missed = report.missed(results, AGGREGATES)
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if options.check and missed else 0


def tell_device(results: list[Result]) -> None:
    """Say whose times those of a device are."""
    told = {result.metadata.get("devview_device", "") for result in results}
    if any(result.group == "device" for result in results):
        for text in sorted(told - {""}):
            print(f"device: {text}")


def run_command(options: argparse.Namespace) -> int:
    """Measure and show."""
    from devview.bench import record

    benchmarks, failed = measure(options)
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    if not benchmarks:
        print("no case was measured: --list names them", file=sys.stderr)
        return 1
    if options.json:
        record.save(options.json, benchmarks)
    results = record.results(benchmarks)
    tell_device(results)
    return output(results, options) or (1 if failed else 0)


def main(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    if options.processor_time and options.threads > 1:
        print("--processor-time is of one thread: not with --threads above 1", file=sys.stderr)
        return 2
    if options.action is None and options.list:
        list_cases(*take_part(chosen(options), options.modules))
        return 0
    plot = getattr(options, "plot", None)
    told = absent(NEEDED | ({"matplotlib": "plots"} if plot else {}))
    if told:
        print(told, file=sys.stderr)
        return 1
    try:
        if options.action == "compare":
            from devview.bench import compare

            return compare.main(options.old, options.new, options.fail_over)
        if options.action == "show":
            from devview.bench import record

            return output(record.results(record.load(options.file)), options)
        return run_command(options)
    except KeyboardInterrupt:
        print("python -m devview bench: interrupted", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f"python -m devview bench: {error}", file=sys.stderr)
        return 1
