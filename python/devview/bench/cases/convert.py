"""Conversion by value, `astype`; the limit is one memcpy of the bytes read and written, halved."""

from __future__ import annotations

from functools import partial
from typing import Any

from devview.bench.case import Case, Side
from devview.bench.cases.memory import MEMCPY, memcpy_of

ITEMS = 1 << 18
# dtypes of NumPy and the format of the target.
PAIRS = (
    ("f4", "f8", "d"),
    ("f8", "f4", "f"),
    ("i4", "f4", "f"),
    ("u1", "f4", "f"),
    ("i8", "f8", "d"),
    ("f8", "i4", "i"),
    ("f4", "u1", "B"),
    ("i4", "i1", "b"),
    ("f4", "?", "?"),
    ("f8", "c16", "Zd"),
    ("f2", "f4", "f"),
    ("f4", "f2", "e"),
    (">f4", "f4", "f"),
    ("f4", ">i2", ">h"),
)
# What is taken of a square array of doubles.
LAYOUTS = {
    "transposed": lambda square: square.T,
    "every other": lambda square: square[:, ::2],
    "three of four": lambda square: square.reshape(-1, 4)[:, :3],
}


def values(quick: bool) -> Any:
    """Return doubles that every type here can hold, in a square."""
    import numpy as np

    side = 64 if quick else int(ITEMS**0.5)
    return np.random.default_rng(1).uniform(0, 100, (side, side))


def scope_of(array: Any, source: Any, target: str, format: str) -> dict[str, Any]:
    """Return an array and its view; every value is in the range of all types."""
    import numpy as np

    import devview as dv

    v = dv.view(array)
    written = array.size * np.dtype(target).itemsize

    def check() -> bool:
        return v.astype(format).tobytes() == array.astype(target, order="C").tobytes()

    return {"a": array, "v": v, "check": check, **memcpy_of((array.nbytes + written) // 2)}


def dense(quick: bool, source: str, target: str, format: str) -> dict[str, Any]:
    """Return dense items of the source's type."""
    return scope_of(values(quick).ravel().astype(source), source, target, format)


def strided(quick: bool, layout: str) -> dict[str, Any]:
    """Return a slice of doubles."""
    return scope_of(LAYOUTS[layout](values(quick)), "f8", "f4", "f")


def sides(target: str, format: str) -> tuple[Side, ...]:
    """Return devview's, NumPy's and the plain copy's."""
    return (
        Side("devview", f"v.astype('{format}')", "ours"),
        Side("NumPy", f"a.astype('{target}', order='C')"),
        MEMCPY,
    )


CASES = (
    *(
        Case(
            "convert",
            f"{source} to {target}",
            sides(target, format),
            partial(dense, source=source, target=target, format=format),
        )
        for source, target, format in PAIRS
    ),
    *(
        Case("convert", f"f8 to f4, {name}", sides("f4", "f"), partial(strided, layout=name))
        for name in LAYOUTS
    ),
)
