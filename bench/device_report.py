"""What bench/device.py prints, writes and draws."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from device_clock import Timed

REFERENCES = {
    "memory": "copy within the device",
    "to host": "copy to pinned memory",
    "to device": "copy from pinned memory",
    "round trip": "copy to pinned memory and back",
    "peer": "copy to the other device",
}


class Row(NamedTuple):
    """One case of one size; `times` by library, devview's first."""

    group: str
    what: str
    size: int
    traffic: int
    reference: str
    reference_seconds: float
    times: dict[str, Timed]


def show_ratio(timed: Timed | None) -> str:
    return f"{timed.ratio:.2f} ({timed.low:.2f} to {timed.high:.2f})" if timed else ""


def cells(row: Row, libraries: list[str]) -> list[str]:
    """Return a line of the table."""
    ours = row.times["devview"]
    return [
        f"{row.group}: {row.what}",
        f"{row.size / 2**20:g} MiB",
        f"{row.traffic / ours.seconds / 1e9:.1f}",
        f"{row.traffic / row.reference_seconds / 1e9:.1f}",
        *(show_ratio(row.times.get(name)) for name in libraries),
    ]


def show(rows: list[Row], libraries: list[str]) -> None:
    """Print the table, by rich where that is installed. Ratios are of time: below 1 is faster."""
    heads = ["movement", "size", "GB/s", "plain GB/s", *(f"{name} / plain" for name in libraries)]
    lines = [cells(row, libraries) for row in rows]
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(len(line[k]) for line in [heads, *lines]) for k in range(len(heads))]
        for line in [heads, *lines]:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
        return
    table = Table(*heads)
    for line in lines:
        table.add_row(*line)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def write_json(path: Path, about: dict[str, Any], rows: list[Row]) -> None:
    content = {
        "about": about,
        "references": REFERENCES,
        "results": [
            row._asdict() | {"times": {name: time._asdict() for name, time in row.times.items()}}
            for row in rows
        ],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def draw(path: Path, about: dict[str, Any], rows: list[Row], libraries: list[str]) -> None:
    """Draw the ratios of the largest size, one panel a group. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in rows if row.size == max(row.size for row in rows)]
    groups = list(dict.fromkeys(row.group for row in rows))
    heights = [sum(row.group == group for row in rows) + 1 for group in groups]
    figure, panels = pyplot.subplots(
        len(groups),
        figsize=(9, 1.5 + 0.3 * sum(heights)),
        height_ratios=heights,
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    for panel, group in zip(panels[:, 0], groups, strict=True):
        chosen = [row for row in rows if row.group == group]
        panel.axvline(1, color="0.6", linewidth=0.8)
        for k, name in enumerate(libraries):
            points = [(i, row.times[name]) for i, row in enumerate(chosen) if name in row.times]
            panel.errorbar(
                [time.ratio for _, time in points],
                [i + 0.2 * (k - (len(libraries) - 1) / 2) for i, _ in points],
                xerr=[
                    [max(0.0, time.ratio - time.low) for _, time in points],
                    [max(0.0, time.high - time.ratio) for _, time in points],
                ],
                fmt="o",
                markersize=4,
                label=name,
            )
        panel.set_yticks(range(len(chosen)), [row.what for row in chosen])
        panel.set_ylim(len(chosen) - 0.5, -0.5)
        panel.set_xscale("log")
        panel.set_title(group, loc="left", fontsize="medium")
    panels[0, 0].legend(loc="upper right")
    panels[-1, 0].set_xlabel("time in ratio to a plain copy of the same traffic")
    figure.suptitle(f"{about['devices'][0]}, devview {about['devview']}")
    figure.savefig(path, dpi=120)
