"""A picture of how cost grows with axes, elements and views alive: one panel a series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devview.bench.figure import FASTER, LIMIT, SLOWER, subtitle
from devview.bench.record import Result

STYLES = {
    "ours": {"color": FASTER, "marker": "o", "linestyle": "-", "linewidth": 2.0, "zorder": 3},
    "peer": {"color": SLOWER, "marker": "s", "linestyle": "--", "linewidth": 1.4},
    "limit": {"color": LIMIT, "marker": "", "linestyle": ":", "linewidth": 1.6},
}


def panels_of(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    """Return the points of each line, by what grows and what is done."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if "devview_axis" in result.metadata:
            key = result.metadata["devview_axis"], result.metadata["devview_series"]
            found.setdefault(key, []).append(result)
    return found


def tick(seconds: float) -> str:
    """Return a power of ten in the unit that suits it."""
    for unit, factor in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * factor < 999:
            return f"{seconds * factor:g} {unit}"
    return f"{seconds:g} s"


def scale_time(panel: Any, points: Sequence[Result]) -> None:
    """Scale to the medians, not to interrupted rounds; what is all but flat is to look so."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    medians = [t.spread.median for p in points for t in p.timings.values() if t.role in STYLES]
    low, high = min(medians) / 2, max(medians) * 2
    if high / low < 50:
        middle = (low * high) ** 0.5
        low, high = middle / 50**0.5, middle * 50**0.5
    panel.set_yscale("log")
    panel.set_ylim(low, high)
    panel.yaxis.set_major_locator(LogLocator(numticks=12))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    panel.yaxis.set_minor_formatter(NullFormatter())


def draw_panel(panel: Any, axis: str, series: str, points: Sequence[Result]) -> None:
    """Draw the lines of all sides, with the 10th and 90th percentile as a band."""
    in_bytes = points[0].unit == "byte"
    for label, first in points[0].timings.items():
        if first.role not in STYLES:
            continue
        taken = [
            (p.metadata["devview_x"], p.timings[label].spread) for p in points if label in p.timings
        ]
        xs = [x for x, _ in taken]
        style = STYLES[first.role]
        panel.plot(xs, [s.median for _, s in taken], ms=4, label=label, **style)
        low, high = ([getattr(s, end) for _, s in taken] for end in ("low", "high"))
        panel.fill_between(xs, low, high, color=style["color"], alpha=0.15, linewidth=0)
    panel.set_xscale("log")
    if axis == "axes":  # where 0 is a place, too
        panel.set_xscale("symlog", linthresh=1, linscale=0.3)
        xs = [point.metadata["devview_x"] for point in points]
        panel.set_xticks(xs, [f"{x:g}" for x in xs])
        panel.minorticks_off()
    if in_bytes:
        panel.set_ylim(0, 1.3 * panel.get_ylim()[1])
    else:
        scale_time(panel, points)
    panel.set_title(series, loc="left", fontsize=10, fontweight="bold")
    panel.set_xlabel(axis, fontsize=9)
    panel.set_ylabel("bytes of each" if in_bytes else "time of a call", fontsize=9)
    panel.grid(color="0.88", linewidth=0.6)
    panel.tick_params(labelsize=8)
    panel.legend(fontsize=8, frameon=False)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def draw(path: Path, results: Sequence[Result]) -> bool:
    """Draw the growth to a file, whose suffix chooses the kind; tell whether there was any."""
    found = panels_of(results)
    if not found:
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    across = min(3, len(found))
    down = -(-len(found) // across)
    figure, panels = pyplot.subplots(
        down, across, figsize=(4.6 * across, 3.3 * down + 0.6), squeeze=False, layout="constrained"
    )
    for panel, ((axis, series), points) in zip(panels.flat, found.items(), strict=False):
        draw_panel(panel, axis, series, sorted(points, key=lambda p: p.metadata["devview_x"]))
    for panel in panels.flat[len(found) :]:
        panel.set_axis_off()
    figure.suptitle(f"How cost grows\n{subtitle(results)}", fontsize=11)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
    return True
