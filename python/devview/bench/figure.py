"""A picture of the ratios: one bar a case and peer, to the left of 1 where devview is faster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from devview.bench.clock import Spread
from devview.bench.record import Result
from devview.bench.report import LONG, show_value

# Okabe and Ito's colours, which the colour-blind tell apart.
FASTER, SLOWER, LIMIT, PROMISE = "#0072B2", "#D55E00", "#666666", "#000000"
ROWS_OF_A_COLUMN = 48
INCHES_OF_A_ROW = 0.235
# Ratios outside are drawn at the edge; the number beside the bar tells.
LEAST, MOST = 1 / 64, 64.0


@dataclass
class Bar:
    """One bar: a ratio, and where in it the promise and the limit are."""

    group: str
    case: str
    beside: str
    ratio: Spread
    bound: float | None
    limit: float | None

    @property
    def missed(self) -> bool:
        """Tell whether the promise is broken."""
        return self.bound is not None and self.ratio.median > self.bound


def bars_of(result: Result) -> list[Bar]:
    """Return a bar for each peer, and one for a limit that something is promised to."""
    bounds = {promise.to: promise.bound for promise in result.promises if not promise.net}
    limits = result.with_role("limit")
    chosen = result.with_role("peer")
    chosen += [timing for timing in limits if timing.label in bounds or not chosen]
    own = show_value(result.ours.spread.median, result.unit)
    bars = []
    for timing in chosen:
        limit = None
        if limits and timing.role != "limit":
            limit = limits[0].spread.median / timing.spread.median
        case = f"{result.name}  {own}" if not bars else ""
        ratio = result.ratio(timing.label)
        bound = bounds.get(timing.label)
        bars.append(Bar(result.group, case, timing.label, ratio, bound, limit))
    return bars


def pooled(group: str, results: Sequence[Result]) -> list[Bar]:
    """Return a bar for each peer of many cases alike: the spread is that of the cases."""
    labels = [t.label for t in results[0].timings.values() if t.role in ("peer", "limit")]
    return [
        Bar(
            group,
            f"{len(results)} {group}: median and spread of the cases" if k == 0 else "",
            label,
            Spread.of(result.ratio(label).median for result in results if label in result.timings),
            None,
            None,
        )
        for k, label in enumerate(labels)
    ]


def bars(results: Sequence[Result]) -> list[Bar]:
    """Return all bars; points of growth have a picture of their own."""
    found: list[Bar] = []
    shown = [result for result in results if "devview_axis" not in result.metadata]
    for group in dict.fromkeys(result.group for result in shown):
        own = [result for result in shown if result.group == group]
        alike = len(own) > LONG or group == "layouts"
        found += pooled(group, own) if alike else [bar for r in own for bar in bars_of(r)]
    return found


def height(column: Sequence[Sequence[Bar]]) -> float:
    """Return the rows of a column, titles and scales included."""
    return sum(len(group) + 2.4 for group in column)


def columns(found: Sequence[Bar]) -> list[list[list[Bar]]]:
    """Return groups of bars in their order, in columns of which the longest is the shortest."""
    groups = [
        [bar for bar in found if bar.group == group]
        for group in dict.fromkeys(bar.group for bar in found)
    ]
    count = max(1, min(len(groups), -(-len(found) // ROWS_OF_A_COLUMN)))
    ways = (
        [groups[start:stop] for start, stop in pairwise((0, *cuts, len(groups)))]
        for cuts in combinations(range(1, len(groups)), count - 1)
    )
    return min(ways, key=lambda way: max(map(height, way)))


def clipped(value: float) -> float:
    """Return a ratio that can be drawn."""
    return min(max(value, LEAST), MOST)


def draw_bar(panel: Any, y: int, bar: Bar, edge: float) -> None:
    """Draw one bar from 1 to its ratio, its spread and its marks, and tell the number."""
    ratio = clipped(bar.ratio.median)
    colour = FASTER if bar.ratio.median <= 1 else SLOWER
    panel.plot([1, ratio], [y, y], color=colour, linewidth=9, solid_capstyle="butt", zorder=2)
    low, high = clipped(bar.ratio.low), clipped(bar.ratio.high)
    panel.plot([low, high], [y, y], color="0.15", linewidth=0.9, zorder=3)
    if bar.bound is not None:
        bound = clipped(bar.bound)
        panel.plot([bound, bound], [y - 0.46, y + 0.46], color=PROMISE, linewidth=2.2, zorder=5)
    if bar.limit is not None:
        panel.plot([clipped(bar.limit)], [y], "D", color="white", mec=LIMIT, ms=4.2, zorder=4)
    text = f"{bar.ratio.median:.2f} x {bar.beside}"
    if bar.missed:
        text += f"   promised {bar.bound:.2f}"
    panel.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=SLOWER if bar.missed else "0.1",
        fontweight="bold" if bar.missed else "normal",
    )


def draw_group(panel: Any, group: Sequence[Bar], low: float, high: float) -> None:
    """Draw one group's bars, the first at the top."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.set_xscale("log", base=2)
    panel.set_xlim(low, high)
    panel.set_ylim(len(group) - 0.4, -0.6)
    panel.axvspan(low, 1, color=FASTER, alpha=0.06, linewidth=0, zorder=0)
    panel.axvline(1, color="0.1", linewidth=1.3, zorder=6)
    for y, bar in enumerate(group):
        draw_bar(panel, y, bar, high)
    panel.set_yticks(range(len(group)), [bar.case for bar in group], fontsize=8)
    panel.tick_params(axis="y", length=0)
    panel.xaxis.set_major_locator(LogLocator(base=2, numticks=12))
    panel.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: f"{x:g}" if x >= 1 else f"1/{1 / x:g}")
    )
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.tick_params(axis="x", labelsize=7)
    panel.grid(axis="x", color="0.85", linewidth=0.6, zorder=1)
    panel.set_title(group[0].group, loc="left", fontsize=10, fontweight="bold")
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)


def legend(figure: Any) -> None:
    """Explain colours and marks once, below everything."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(color=FASTER, label="devview is faster"),
        Patch(color=SLOWER, label="devview is slower"),
        Line2D([], [], color="0.15", linewidth=0.9, label="10 to 90 % of the rounds"),
        Line2D(
            [], [], color=PROMISE, marker="|", ms=9, mew=2.2, ls="", label="promise: not beyond"
        ),
        Line2D(
            [],
            [],
            color="white",
            marker="D",
            mec=LIMIT,
            ms=4.2,
            ls="",
            label="the least it can cost",
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=8, frameon=False)


def subtitle(results: Sequence[Result]) -> str:
    """Return what the figures depend on, in a line."""
    told = results[0].metadata
    names = (
        "cpu_model_name",
        "python_version",
        "version_numpy",
        "devview_version",
        "devview_commit",
    )
    heads = ("", "Python ", "NumPy ", "devview ", "commit ")
    parts = [
        head + str(told[name]).partition(" (")[0]
        for head, name in zip(heads, names, strict=True)
        if told.get(name)
    ]
    if told.get("devview_quick"):
        parts.append("quick run: small arrays, few rounds")
    return ", ".join(parts)


def draw(path: Path, results: Sequence[Result]) -> bool:
    """Draw the ratios to a file, whose suffix chooses the kind; tell whether there were any."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = bars(results)
    if not found:
        return False
    placed = columns(found)
    heights = [height(column) for column in placed]
    low = min(1 / 4, min(clipped(min(b.ratio.median, b.limit or 1)) for b in found) / 1.15)
    high = max(2.0, max(clipped(b.ratio.median) for b in found) * 1.15)
    figure = pyplot.figure(
        figsize=(8.6 * len(placed), INCHES_OF_A_ROW * max(heights) + 1.3), layout="constrained"
    )
    parts = figure.subfigures(1, len(placed), squeeze=False)[0]
    for part, column, rows in zip(parts, placed, heights, strict=True):
        ratios = [len(group) + 2.4 for group in column]
        spare = max(heights) - rows
        panels = part.subplots(
            len(ratios) + (spare > 0),
            squeeze=False,
            height_ratios=ratios + [spare] * (spare > 0),
        )[:, 0]
        for panel, group in zip(panels, column, strict=False):
            draw_group(panel, group, low, high)
        for panel in panels[len(column) :]:
            panel.set_axis_off()
    title = "Time of devview in ratio to its peers', timed in turn: left of 1 devview is faster"
    figure.suptitle(f"{title}\n{subtitle(results)}", fontsize=11)
    legend(figure)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
    return True
