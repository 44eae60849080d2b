"""The command line: ``python -m devview.conformance MODULE:FUNCTION``."""

from __future__ import annotations

import argparse
import sys

from . import matrix, report
from .peers import PEERS
from .run import FamilyResult, chosen, run
from .target import TargetError

EMULATED = "devview.conformance.peers:emulated_memory"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    top = argparse.ArgumentParser(
        prog="python -m devview.conformance",
        description="Hand malformed and odd producers of arrays to an importer, each in a process "
        "that may crash, and tell what became of them.",
        epilog="Exit code: 0 if no case failed, 1 if any did, 2 if the importer cannot be used. "
        "devview.conformance.peers has adapters of released importers.",
    )
    top.add_argument(
        "target",
        nargs="?",
        metavar="MODULE:FUNCTION",
        help="an importer: takes one object, returns a view of it; devview:view, "
        "numpy:from_dlpack, package.module:Class.method",
    )
    top.add_argument("--peers", action="store_true", help="the table of all peers installed here")
    top.add_argument(
        "--family",
        action="append",
        choices=list(matrix.FAMILIES),
        help="only this protocol (may be given again); default: all that it speaks",
    )
    top.add_argument("--only", metavar="TEXT", default="", help="only cases whose name has TEXT")
    top.add_argument("--list", action="store_true", help="show the cases and run none")
    top.add_argument("--verbose", action="store_true", help="show each case as it ends")
    top.add_argument("--json", metavar="FILE", help="write every verdict to FILE")
    top.add_argument("--seconds", type=float, default=10.0, help="time limit of a case (10)")
    top.add_argument(
        "--device-memory",
        metavar="MODULE:FUNCTION",
        help="allocates memory of a CUDA device: takes a number of bytes, returns its address and "
        "an owner; default: an emulated device for devview, memory of the host for others",
    )
    return top


def _device_memory(target: str, asked: str | None) -> str:
    if asked is None:
        return EMULATED if target.partition(":")[0].partition(".")[0] == "devview" else ""
    return asked


def _tell(verdict) -> None:
    faults = "; ".join(f"{kind}: {told}" for kind, told in verdict.faults)
    shown = f"FAILED {faults}" if faults else verdict.outcome
    note = f" ({verdict.note})" if verdict.note and not faults else ""
    print(f"{verdict.family}: {verdict.name}: {shown}{note}", flush=True)


def _one(options: argparse.Namespace, cases: list) -> int:
    memory = _device_memory(options.target, options.device_memory)
    if options.target.startswith("devview.conformance."):
        memory = options.device_memory or ""
    results = run(
        options.target,
        cases,
        memory,
        options.seconds,
        _tell if options.verbose else lambda _: None,
    )
    if options.json:
        report.write_json(options.json, report.as_json(options.target, results))
    print(report.text(results))
    faults = report.failures(results)
    if faults:
        print(faults)
    if not any(result.verdicts for result in results):
        print(f"{options.target} views none of the good producers", file=sys.stderr)
        return 2
    return 1 if faults else 0


def peers(cases: list, seconds: float) -> dict[str, list[FamilyResult]]:
    """Run `cases` against every peer that is installed here; others are told on stderr."""
    told: dict[str, list[FamilyResult]] = {}
    for name, (distribution, targets) in PEERS.items():
        results: list[FamilyResult] = []
        for target in dict.fromkeys(targets.values()):
            families = [family for family, one in targets.items() if one == target]
            asked = [case for case in cases if families == [""] or case.family in families]
            try:
                results += run(target, asked, EMULATED if name == "devview" else "", seconds)
            except TargetError as error:
                print(f"{name}: left out: {error}", file=sys.stderr)
                break
        else:
            told[f"{name} {report.version_of(distribution)}"] = results
    return told


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the process' exit code."""
    top = parser()
    options = top.parse_args(arguments)
    cases = chosen(options.family or matrix.FAMILIES, options.only)
    if options.list:
        print(report.listing(cases))
        return 0
    if not cases:
        top.error(f"no case has {options.only!r}")
    if options.peers:
        told = peers(cases, options.seconds)
        if options.json:
            report.write_json(options.json, [report.as_json(*one) for one in told.items()])
        print(report.beside(told))
        return 0
    if options.target is None:
        top.error("MODULE:FUNCTION is needed")
    try:
        return _one(options, cases)
    except TargetError as error:
        print(f"{top.prog}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
