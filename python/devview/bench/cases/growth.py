"""How cost grows: with axes, with elements, and with views that are alive.

A case is one point: `axis` is what grows, `x` how far, `series` the line that it belongs to.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

from devview.bench.case import Case, Promise, Side
from devview.bench.cases.copies import NUMPY, OURS, filled, pair
from devview.bench.cases.memory import MEMCPY

AXES = (0, 1, 2, 3, 4, 6, 8, 16, 32, 64)
ELEMENTS = tuple(10**k for k in range(9))
ALIVE = tuple(10**k for k in range(7))
MANY = (10**4, 10**5, 10**6)
QUICK_ELEMENTS, QUICK_ALIVE, QUICK_MANY = 10**4, 10**3, 10**5


def of_axes(quick: bool, ndim: int) -> dict[str, Any]:
    """Return an array of so many axes of two items at most six times, one item otherwise."""
    import numpy as np

    import devview as dv

    a = np.ones([2] * min(ndim, 6) + [1] * (ndim - 6), "f4")
    return {"view": dv.view, "a": a, "v": dv.view(a), "cut": (slice(None),) * ndim}


def of_elements(quick: bool, count: int) -> dict[str, Any]:
    """Return an array of so many floats."""
    import devview as dv

    a = filled((count,), "f4")
    return {"view": dv.view, "a": a}


def reversed_copy(quick: bool, count: int) -> dict[str, Any]:
    """Return a reversed copy of so many floats."""
    import numpy as np

    src = filled((count,), "f4")[::-1]
    return pair(src, np.zeros(count, "f4"), np.zeros(count, "f4"), src.nbytes)


def transposed_copy(quick: bool, count: int) -> dict[str, Any]:
    """Return a transpose of about so many floats."""
    import numpy as np

    side = max(1, round(count**0.5))
    src = filled((side, side), "f4").T
    dst, ours = (np.zeros((side, side), "f4") for _ in range(2))
    return pair(src, dst, ours, src.nbytes)


def alive(quick: bool, count: int) -> dict[str, Any]:
    """Return a list of so many views of one array, and of as many memoryviews."""
    import numpy as np

    import devview as dv

    a = np.ones(16, "f4")
    views, others = [dv.view(a) for _ in range(count)], [memoryview(a) for _ in range(count)]
    return {"view": dv.view, "a": a, "views": views, "others": others}


# In an interpreter of its own, where no memory of earlier objects can be used again.
RESIDENT = """
import gc, resource
import numpy as np
import devview as dv

a = np.ones((2, 2), "f4")
v = dv.view(a)
{setup}
make = {make}
first = [make() for _ in range(1000)]
kept = [None] * {count}

def pages():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1])

gc.collect()
before = pages()
for k in range({count}):
    kept[k] = make()
print((pages() - before) * resource.getpagesize() / {count})
"""


def resident(make: str, count: int, setup: str = "pass") -> float:
    """Return the bytes of resident memory that each of so many results of make() takes.

    Python's and those of C++, with what both allocators add; needs Linux. `make` is an expression
    of np, dv, an array `a`, a view `v` of it, and of what the statement `setup` makes.
    """
    code = RESIDENT.format(make=make, count=count, setup=setup)
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def memory(quick: bool) -> dict[str, Any]:
    """Return what measures the memory of many."""
    return {"resident": resident}


def point(name: str, series: str, axis: str, x: float, sides: tuple[Side, ...], make, quick=True):
    """Return the case of one point."""
    return Case(
        "growth", f"{axis} {x:g}: {name}", sides, make, axis=axis, x=x, series=series, quick=quick
    )


def axes() -> list[Case]:
    """Return hand-over and slicing of arrays of ever more axes."""
    import_sides = (Side("devview", "view(a)", "ours"), Side("memoryview", "memoryview(a)"))
    slice_sides = (Side("devview", "v[cut]", "ours"), Side("ndarray", "a[cut]"))
    return [
        point(name, series, "axes", ndim, sides, partial(of_axes, ndim=ndim))
        for name, series, sides in (
            ("view", "view(ndarray)", import_sides),
            ("slice", "slice of all axes", slice_sides),
        )
        for ndim in AXES
    ]


def elements() -> list[Case]:
    """Return hand-over and copies of ever more elements."""
    limits = (OURS, NUMPY, MEMCPY)
    hand_over = (Side("devview", "view(a)", "ours"), Side("memoryview", "memoryview(a)"))
    return [
        point(name, series, "elements", n, sides, partial(make, count=n), quick=n <= QUICK_ELEMENTS)
        for name, series, sides, make in (
            ("view", "view(ndarray)", hand_over, of_elements),
            ("reversed copy", "copyto, reversed", limits, reversed_copy),
            ("transposed copy", "copyto, transposed", limits, transposed_copy),
        )
        for n in ELEMENTS
        if n <= 10**7 or make is of_elements
    ]


def live() -> list[Case]:
    """Return hand-over while ever more views are alive."""
    sides = (Side("devview", "view(a)", "ours"), Side("memoryview", "memoryview(a)"))
    return [
        point(
            "view",
            "one more view",
            "views alive",
            n,
            sides,
            partial(alive, count=n),
            quick=n <= QUICK_ALIVE,
        )
        for n in ALIVE
    ]


def bytes_per_view() -> list[Case]:
    """Return the memory of views and of their slices, which share the array's record."""
    return [
        Case(
            "memory",
            f"{what}, 2 axes, {count:,} alive",
            (
                Side("devview", f"resident('lambda: {code}', {count})", "ours"),
                Side("memoryview", f"resident('lambda: memoryview(a)', {count})"),
                *((Side("bound", "256", "limit"),) if what == "slice of a view" else ()),
            ),
            memory,
            # A view of an array brings a record of that array, which is counted apart.
            (Promise("bound", at_most=1.0),) if what == "slice of a view" else (),
            unit="byte",
            axis="views alive",
            x=count,
            series=f"memory of a {what}",
            quick=count <= QUICK_MANY,
        )
        for what, code in (("slice of a view", "v[...]"), ("view", "dv.view(a)"))
        for count in MANY
    ]


CASES = (
    *axes(),
    *elements(),
    *live(),
    *(bytes_per_view() if sys.platform == "linux" else ()),
)
