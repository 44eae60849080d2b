"""The matrix's results as text, Markdown and JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from devview import __version__

from . import matrix
from .judge import KINDS
from .run import FamilyResult, totals

COLUMNS = ("cases", "refused", "accepted", *KINDS)
# One line says what the numbers below a heading mean.
MEANING = {
    "crashed": "the process died or did not answer in time",
    "wrongly accepted": "a view of something malformed, or an error only when it is looked at",
    "wrongly refused": "legal, and refused",
    "not released once": "a deleter or release ran twice, never or too early",
    "exception lost": "the producer's exception did not arrive",
}


def counts_of(result: FamilyResult) -> dict[str, int]:
    """Return the numbers of one family by column."""
    return totals([result])


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def text(results: list[FamilyResult]) -> str:
    """Return the table of one importer."""
    rows = [["", *COLUMNS]]
    notes = []
    for result in results:
        if result.unspoken:
            notes.append(f"{result.family}: not spoken ({result.unspoken})")
        if result.verdicts:
            counts = counts_of(result)
            rows.append([result.family, *(str(counts[name]) for name in COLUMNS)])
        if result.left_out:
            notes.append(f"{result.family}: {result.left_out} left out, memory of a device needed")
    counts = totals(results)
    rows.append(["all", *(str(counts[name]) for name in COLUMNS)])
    return "\n".join([*_aligned(rows), *notes])


def failures(results: Iterable[FamilyResult]) -> str:
    """Return one line for each fault."""
    return "\n".join(
        f"{verdict.family}: {verdict.name}: {kind}: {fault}"
        for result in results
        for verdict in result.failed
        for kind, fault in verdict.faults
    )


def listing(cases) -> str:
    """Return one line for each case."""
    return "\n".join(
        f"{case.family}: {case.name} ({case.why or 'an ordinary type'}): {case.expect.value}"
        for case in cases
    )


def as_json(target: str, results: list[FamilyResult]) -> dict:
    """Return everything there is to tell of one importer."""
    return {
        "target": target,
        "python": platform.python_version(),
        "totals": totals(results),
        "families": [
            {
                "family": result.family,
                "unspoken": result.unspoken,
                "counts": counts_of(result),
                "verdicts": [verdict.as_dict() for verdict in result.verdicts],
            }
            for result in results
        ],
    }


def write_json(file: str, told: object) -> None:
    """Write `told` to `file`."""
    Path(file).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def version_of(distribution: str) -> str:
    """Return the version of a distribution; Python's own for none."""
    if distribution == "devview":  # it may run from where it was built
        return __version__
    return metadata.version(distribution) if distribution else platform.python_version()


def beside(told: dict[str, list[FamilyResult]]) -> str:
    """Return Markdown tables of several importers: all families, then one for each."""
    blocks = [_markdown("all protocols", {name: totals(r) for name, r in told.items()})]
    for family, title in matrix.FAMILIES.items():
        columns = {
            name: counts_of(result)
            for name, results in told.items()
            for result in results
            if result.family == family and result.verdicts
        }
        if columns:
            blocks.append(_markdown(f"{family}: {title}", columns))
    return "\n\n".join(blocks)


def _markdown(title: str, columns: dict[str, dict[str, int]]) -> str:
    lines = [
        f"| {title} | {' | '.join(columns)} |",
        "|" + " --- |" * (len(columns) + 1),
    ]
    for name in COLUMNS:
        cells = " | ".join(str(counts[name]) for counts in columns.values())
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)
