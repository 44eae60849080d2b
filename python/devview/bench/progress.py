"""The progress bar, on the standard error; a line a case where that is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from devview.bench.case import Case
from devview.bench.runner import Progress


@contextmanager
def bar(total: int) -> Iterator[Progress]:
    """Show how many of the measurements are done, and which one is running."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=total)

        def tell(event: str, case: Case) -> None:
            if event == "start":
                shown.update(task, description=case.full_name)
            elif event == "again":
                shown.update(task, total=(shown.tasks[0].total or 0) + 1)
            else:
                shown.advance(task)

        yield tell
