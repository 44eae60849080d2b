"""The cases, one module a group of them; nothing is imported or allocated before a case runs."""

from __future__ import annotations

from functools import cache

from devview.bench.case import Aggregate, Case
from devview.bench.cases import (
    binders,
    convert,
    copies,
    device,
    formats,
    growth,
    handover,
    items,
    layouts,
    operations,
)

AGGREGATES: tuple[Aggregate, ...] = layouts.AGGREGATES


@cache
def all_cases() -> tuple[Case, ...]:
    """Return every case, in the order of the report."""
    modules = (
        handover,
        operations,
        items,
        formats,
        convert,
        copies,
        layouts,
        binders,
        growth,
        device,
    )
    return tuple(case for module in modules for case in module.CASES)
