"""Tables of results: on the terminal by rich, and in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from devview.bench.case import Aggregate, Promise
from devview.bench.clock import Spread
from devview.bench.record import Result

HEADS = ("case", "devview", "beside", "takes", "ratio (10 to 90 %)", "limit", "promise")
# Groups with more cases than this are told by their aggregates alone.
LONG = 100


@dataclass
class Row:
    """One line: a case beside one peer. `kept` is None where nothing is promised."""

    group: str
    case: str
    ours: str
    peer: str
    theirs: str
    ratio: str
    limit: str
    promise: str
    kept: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the line."""
        told = (self.case, self.ours, self.peer, self.theirs, self.ratio, self.limit, self.promise)
        return told if self.kept is not False else (*told[:-1], f"{self.promise}: missed")


def show_time(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, factor in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * factor < 9999:
            digits = 1 if seconds * factor < 10 else 0
            return f"{seconds * factor:.{digits}f} {unit}"
    return f"{seconds:.2f} s"


def show_value(value: float, unit: str) -> str:
    """Return seconds a call or bytes."""
    return f"{value:.0f} B" if unit == "byte" else show_time(value)


def show_ratio(spread: Spread) -> str:
    """Return a ratio and its range."""
    if spread.low == spread.high:
        return f"{spread.median:.2f}"
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"


def show_limit(result: Result) -> str:
    """Return the limit's time, and how many times that ours is."""
    limits = result.with_role("limit")
    limits += [timing for timing in result.with_role("base") if timing.of == result.ours.label]
    if not limits:
        return ""
    limit = limits[0]
    return (
        f"{limit.label} {show_value(limit.spread.median, result.unit)}, "
        f"x {result.ratio(limit.label).median:.2f}"
    )


def promise_of(result: Result, label: str) -> tuple[str, bool | None]:
    """Return what is promised to a side, and whether it is kept."""
    promises = [promise for promise in result.promises if promise.to == label]
    if not promises:
        return "", None
    broken = result.missed()
    return ", ".join(map(str, promises)), not any(promise in broken for promise in promises)


def rows_of(result: Result) -> list[Row]:
    """Return one line for each peer, and one for a promise to the limit."""
    ours = show_value(result.ours.spread.median, result.unit)
    if result.nbytes and result.unit == "second":
        ours += f", {result.nbytes / result.ours.spread.median / 1e9:.1f} GB/s"
    beside = result.with_role("peer")
    beside += [
        timing
        for timing in result.with_role("limit")
        if not beside or any(promise.to == timing.label for promise in result.promises)
    ]
    if not beside:
        return [Row(result.group, result.name, ours, "", "", "", "", "")]
    rows = []
    for timing in beside:
        promise, kept = promise_of(result, timing.label)
        ratio = show_ratio(result.ratio(timing.label))
        net = result.net_ratio(timing.label)
        if net:
            ratio += f", without the empty call {net.median:.2f}"
        theirs = show_value(timing.spread.median, result.unit)
        first = not rows
        rows.append(
            Row(
                result.group,
                result.name if first else "",
                ours if first else "",
                timing.label,
                theirs,
                ratio,
                show_limit(result) if first and timing.role != "limit" else "",
                promise,
                kept,
            )
        )
    return rows


def aggregate_ratio(aggregate: Aggregate, results: Iterable[Result]) -> tuple[float, Result]:
    """Return the worst ratio, or the geometric mean of all, and the slowest case."""
    to = aggregate.promise.to
    ratios = [(result.ratio(to).median, result) for result in results if to in result.timings]
    worst = max(ratios, key=lambda pair: pair[0])
    if aggregate.kind == "worst":
        return worst
    return statistics.geometric_mean(ratio for ratio, _ in ratios), worst[1]


def aggregate_row(aggregate: Aggregate, results: Sequence[Result]) -> Row:
    """Return the line of a whole group."""
    ratio, worst = aggregate_ratio(aggregate, results)
    name = f"{len(results)} {aggregate.group}, {aggregate.what}"
    if aggregate.kind == "worst":
        name += f" ({worst.name})"
    promise = aggregate.promise
    small = any(result.metadata.get("devview_quick") for result in results)
    return Row(
        aggregate.group,
        name,
        "",
        promise.to,
        "",
        f"{ratio:.2f}",
        "",
        "" if small else str(promise),
        None if small else promise.met(ratio),
    )


def table(results: Sequence[Result], aggregates: Sequence[Aggregate]) -> list[Row]:
    """Return all lines, group by group; long groups have only their aggregates' and the missed."""
    rows = []
    for group in dict.fromkeys(result.group for result in results):
        own = [result for result in results if result.group == group]
        told = [aggregate for aggregate in aggregates if aggregate.group == group]
        told = [
            aggregate
            for aggregate in told
            if any(aggregate.promise.to in result.timings for result in own)
        ]
        rows += [aggregate_row(aggregate, own) for aggregate in told]
        chosen = own if len(own) <= LONG and not told else [r for r in own if r.missed()]
        for result in chosen:
            rows += rows_of(result)
    return rows


def missed(results: Sequence[Result], aggregates: Sequence[Aggregate]) -> list[str]:
    """Return a line for each promise that is not kept."""
    lines = []
    for result in results:
        for promise in result.missed():
            ratio = result.judged(promise) or 0
            lines.append(f"{result.full_name} to {promise.to}: {tell(ratio, promise)}")
    for aggregate in aggregates:
        own = [r for r in results if r.group == aggregate.group]
        own = [r for r in own if aggregate.promise.to in r.timings]
        if own and not any(r.metadata.get("devview_quick") for r in own):
            ratio, _ = aggregate_ratio(aggregate, own)
            if not aggregate.promise.met(ratio):
                name = f"{aggregate.group}, {aggregate.what} to {aggregate.promise.to}"
                lines.append(f"{name}: {tell(ratio, aggregate.promise)}")
    return lines


def tell(ratio: float, promise: Promise) -> str:
    """Return a ratio as its promise counts it, and the promise."""
    value = ratio if promise.at_most is not None else 1 / ratio
    return f"{value:.2f}, promised {promise}"


def markdown(rows: Sequence[Row]) -> str:
    """Return the table in Markdown, one after another group by group."""
    lines = [f"| {' | '.join(HEADS)} |", f"|{' --- |' * len(HEADS)}"]
    for row in rows:
        cells = [cell.replace("|", "\\|") for cell in row.cells]
        if row.case:
            cells[0] = f"{row.group}: {cells[0]}"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def show(rows: Sequence[Row], console) -> None:
    """Print the table by rich; ratios are of time, below 1 devview is faster."""
    from rich.table import Table
    from rich.text import Text

    for group in dict.fromkeys(row.group for row in rows):
        shown = Table(*HEADS, title=group, title_justify="left", pad_edge=False)
        for row in rows:
            if row.group == group:
                style = {True: "green", False: "bold red", None: ""}[row.kept]
                *plain, promise = row.cells
                shown.add_row(*(Text(cell) for cell in plain), Text(promise, style))
        console.print(shown)
