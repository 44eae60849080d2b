"""Plain copies of the same traffic: what moving bytes costs at least on this machine."""

from __future__ import annotations

import ctypes
from typing import Any

from devview.bench.case import Side

LINE = 64  # bytes of a cache line
MEMCPY = Side("memcpy", "memcpy_to[:] = memcpy_from", "limit")
# With the cost of a call from Python, which any function that copies has.
CALLED_MEMCPY = Side("memcpy", "memmove(to_address, from_address, nbytes)", "limit")


def memcpy_of(nbytes: int) -> dict[str, Any]:
    """Return what MEMCPY and CALLED_MEMCPY speak of.

    The assignment of memoryviews is one memcpy, with less around it than a call through ctypes.
    """
    import numpy as np

    nbytes = max(1, int(nbytes))
    to, source = np.ones(nbytes, "u1"), np.ones(nbytes, "u1")
    return {
        "memcpy_to": memoryview(to),
        "memcpy_from": memoryview(source),
        "memmove": ctypes.memmove,
        "to_address": ctypes.c_void_p(to.ctypes.data),
        "from_address": ctypes.c_void_p(source.ctypes.data),
        "nbytes": nbytes,
    }


def bounds(array: Any) -> tuple[int, int]:
    """Return the first byte of an array, relative to its pointer, and one behind its last."""
    reach = [(n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)]
    low = sum(r for r in reach if r < 0)
    return low, sum(r for r in reach if r > 0) + array.itemsize


def lines_touched(array: Any) -> int:
    """Count the cache lines that hold an item, or a part of one."""
    import numpy as np

    if array.size == 0:
        return 0
    low, high = bounds(array)
    lead = (array.ctypes.data + low) % LINE
    touched = np.zeros(-(-(lead + high - low) // LINE) * LINE, "?")
    shape, strides = (*array.shape, array.itemsize), (*array.strides, 1)
    marks = np.lib.stride_tricks.as_strided(touched[lead - low :], shape, strides)
    marks[...] = True
    return int(touched.reshape(-1, LINE).any(axis=1).sum())


def traffic(dst: Any, src: Any) -> int:
    """Return the bytes of a memcpy with a copy's traffic: lines read and bytes written, halved."""
    return (lines_touched(src) * LINE + dst.nbytes) // 2
