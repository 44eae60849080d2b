"""Copies of 500 random layouts of a seeded generator: 1 to 6 axes, 1 KB to 64 MB, any items.

The limit is a memcpy of the destination's bytes, not of the traffic.
"""

from __future__ import annotations

import math
from functools import partial
from random import Random
from typing import Any, NamedTuple

from devview.bench.case import Aggregate, Case, Promise
from devview.bench.cases.copies import NUMPY, OURS, filled, pair
from devview.bench.cases.memory import MEMCPY

COUNT = 500
QUICK_COUNT = 20
SMALLEST, LARGEST, QUICK_LARGEST = 1 << 10, 1 << 26, 1 << 16
MEMORY = 1 << 28  # bytes that the source's whole array may have
DTYPES = ("u1", "u2", "V3", "f4", "V6", "f8", "V12", "c16", "V24", "V32")  # NumPy's names
STEPS = (1, 1, 1, 2, 3, -1, -2)


class Plan(NamedTuple):
    """A layout: the source's whole shape in memory order, its steps, and the order of its axes.

    `strided`: the destination is every other item of rows twice as long.
    """

    dtype: str
    shape: tuple[int, ...]
    steps: tuple[int, ...]
    order: tuple[int, ...]
    strided: bool


def extents(random: Random, ndim: int, items: int) -> list[int]:
    """Return extents whose product is at most `items`, and near it."""
    weights = [random.random() + 0.05 for _ in range(ndim)]
    found = [max(1, int(items ** (weight / sum(weights)))) for weight in weights]
    longest = found.index(max(found))
    found[longest] = max(1, items * found[longest] // math.prod(found))
    return found


def plan(index: int, largest: int = LARGEST) -> Plan:
    """Return a layout by its number; the same on every machine."""
    random = Random(f"devview layout {index}")
    ndim, dtype = random.randint(1, 6), random.choice(DTYPES)
    itemsize = int(dtype[1:])
    steps = tuple(random.choice(STEPS) for _ in range(ndim))
    order = tuple(random.sample(range(ndim), ndim))
    strided = random.random() < 0.2
    # Uniform in its logarithm, and with room for the steps.
    nbytes = math.exp(random.uniform(math.log(SMALLEST), math.log(largest)))
    nbytes = min(nbytes, MEMORY / math.prod(abs(step) for step in steps))
    taken = extents(random, ndim, max(1, int(nbytes / itemsize)))
    shape = tuple(n * abs(step) for n, step in zip(taken, steps, strict=True))
    return Plan(dtype, shape, steps, order, strided)


def make(quick: bool, index: int) -> dict[str, Any]:
    """Return the layout's source, and destinations for NumPy and for devview."""
    import numpy as np

    found = plan(index, QUICK_LARGEST if quick else LARGEST)
    whole = filled(found.shape, found.dtype)
    src = whole[tuple(slice(None, None, step) for step in found.steps)].transpose(found.order)

    def target() -> Any:
        if not found.strided:
            return np.zeros(src.shape, src.dtype)
        *outer, last = src.shape
        return np.zeros((*outer, 2 * last), src.dtype)[..., ::2]

    return pair(src, target(), target(), src.nbytes)


CASES = tuple(
    Case(
        "layouts",
        f"layout {index:03}",
        (OURS, NUMPY, MEMCPY),
        partial(make, index=index),
        (Promise("np.copyto", at_least=0.95),),
        seconds=0.15,
        rechecks=3,
        scaled=True,
        quick=index < QUICK_COUNT,
    )
    for index in range(COUNT)
)
AGGREGATES = (
    Aggregate("layouts", "slowest of all", "worst", Promise("np.copyto", at_least=0.95)),
    Aggregate("layouts", "geometric mean", "mean", Promise("memcpy", at_least=0.8)),
)
