"""Copies of 500 random layouts of a seeded generator: 1 to 6 axes, 1 KB to 64 MB, any items.

The limit is a memcpy of the destination's bytes, not of the traffic, called from Python as the
others are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NamedTuple

from devview.bench.case import Aggregate, Case, Promise
from devview.bench.cases.copies import NUMPY, OURS, filled, pair
from devview.bench.cases.memory import CALLED_MEMCPY

COUNT = 500
QUICK_COUNT = 20
SMALLEST, LARGEST, QUICK_LARGEST = 1 << 10, 1 << 26, 1 << 16
MEMORY = 1 << 28  # bytes that the source's whole array may have
# NumPy's names. The first are commoner, as they are elsewhere; V items are records of any bytes.
COMMON = ("u1", "u2", "f4", "f8", "c16")
DTYPES = (*COMMON, "V3", "V6", "V12", "V24")
STEPS = (1, 1, 1, 1, 1, 1, 2, -1)


class Plan(NamedTuple):
    """A layout of the shape that is copied.

    `source` and `target` are orders of axes in memory, outermost first; of an axis with a step the
    source has that many times as much. All of `repeated`, if any, is one place of the source.
    """

    dtype: str
    shape: tuple[int, ...]
    steps: tuple[int, ...]
    source: tuple[int, ...]
    target: tuple[int, ...]
    repeated: int | None

    @property
    def nbytes(self) -> int:
        """Bytes that are written."""
        return math.prod(self.shape) * int(self.dtype[1:])


def extents(random: Random, ndim: int, items: int) -> list[int]:
    """Return extents whose product is at most `items`, and near it."""
    weights = [random.uniform(0.3, 1) for _ in range(ndim)]
    found = [max(1, int(items ** (weight / sum(weights)))) for weight in weights]
    longest = found.index(max(found))
    found[longest] = max(1, items * found[longest] // math.prod(found))
    return found


def order(random: Random, ndim: int, likely: float) -> tuple[int, ...]:
    """Return the axes in a random order, or with what is left of the likelihood in theirs."""
    axes = range(ndim)
    return tuple(random.sample(axes, ndim) if random.random() < likely else axes)


def plan(index: int, largest: int = LARGEST) -> Plan:
    """Return a layout by its number; the same on every machine."""
    random = Random(f"devview layout {index}")
    ndim = random.randint(1, 6)
    dtype = random.choice(DTYPES if random.random() < 0.4 else COMMON)
    nbytes = math.exp(random.uniform(math.log(SMALLEST), math.log(largest)))
    steps = tuple(random.choice(STEPS) for _ in range(ndim))
    nbytes = min(nbytes, MEMORY / math.prod(abs(step) for step in steps))
    shape = tuple(extents(random, ndim, max(1, int(nbytes / int(dtype[1:])))))
    source, target = order(random, ndim, 0.6), order(random, ndim, 0.2)
    repeated = random.randrange(ndim) if random.random() < 0.05 else None
    return Plan(dtype, shape, steps, source, target, repeated)


def in_order(
    shape: list[int], axes: tuple[int, ...], allocate: Callable[..., Any], dtype: str
) -> Any:
    """Return an array of the shape whose axes lie in that order in memory."""
    array = allocate(tuple(shape[axis] for axis in axes), dtype)
    return array.transpose([axes.index(axis) for axis in range(len(axes))])


def make(quick: bool, index: int) -> dict[str, Any]:
    """Return the layout's source, and destinations for NumPy and for devview."""
    import numpy as np

    found = plan(index, QUICK_LARGEST if quick else LARGEST)
    whole = [n * abs(step) for n, step in zip(found.shape, found.steps, strict=True)]
    src = in_order(whole, found.source, filled, found.dtype)
    src = src[tuple(slice(None, None, step) for step in found.steps)]
    if found.repeated is not None:
        first = [slice(None)] * src.ndim
        first[found.repeated] = slice(0, 1)
        src = np.broadcast_to(src[tuple(first)], found.shape)
    dst, ours = (in_order(list(found.shape), found.target, np.zeros, found.dtype) for _ in range(2))
    return pair(src, dst, ours, src.nbytes)


CASES = tuple(
    Case(
        "layouts",
        f"layout {index:03}",
        (OURS, NUMPY, CALLED_MEMCPY),
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
