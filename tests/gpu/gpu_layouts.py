"""Layouts and values, made by NumPy: what every library must tell of the same memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Layout:
    """A dense base array and the key, or the axes, that give it another layout."""

    name: str
    shape: tuple
    key: object = ...
    order: str = "C"
    broadcast: tuple | None = None

    def __str__(self) -> str:
        return self.name

    def base(self, dtype) -> np.ndarray:
        return np.asarray(values(self.shape, dtype), order=self.order)

    def of(self, xp, array):
        """Apply the layout to a base array of a library that has NumPy's functions."""
        part = array[self.key]
        return part if self.broadcast is None else xp.broadcast_to(part, self.broadcast)


LAYOUTS = (
    Layout("dense", (4, 6)),
    Layout("fortran", (4, 6), order="F"),
    Layout("one item", (1,)),
    Layout("0-d", ()),
    Layout("empty", (0, 3)),
    Layout("empty inner", (3, 0, 2)),
    Layout("sliced", (5, 8), (slice(1, None), slice(None, None, 3))),
    Layout("backwards", (7,), slice(None, None, -1)),
    Layout("both backwards", (4, 5), (slice(None, None, -2), slice(None, None, -1))),
    Layout("column", (6, 3), (slice(None), 1)),
    Layout("row of an F array", (6, 3), 2, order="F"),
    Layout("broadcast", (3, 1), broadcast=(2, 3, 4)),
    Layout("new axes", (3, 4), (None, slice(None), None, slice(None))),
    Layout("deep", (2, 1) * 6 + (3,), (slice(None, None, -1), ..., slice(0, None, 2))),
)


def values(shape, dtype) -> np.ndarray:
    """Give random bits that every library takes as items: no NaN, bools of 0 and 1."""
    dtype = np.dtype(dtype)
    random = np.random.default_rng(5)
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        return np.frombuffer(
            random.bytes(int(np.prod(shape, dtype=int)) * dtype.itemsize), dtype
        ).reshape(shape)
    if dtype.kind == "c":
        return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(dtype)
    return np.asarray(random.normal(size=shape)).astype(dtype)


def logical_strides(array) -> tuple:
    """Give the strides [bytes] of the axes that have two items or more, if there are items."""
    return (
        tuple(
            stride for stride, extent in zip(array.strides, array.shape, strict=True) if extent > 1
        )
        if 0 not in array.shape
        else ()
    )
