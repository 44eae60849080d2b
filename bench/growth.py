"""How the cost of a view grows with its axes, with the items it spans, and with the views alive.

    python bench/growth.py [--views N] [--json FILE]

Bytes and blocks are counted, not estimated: Python's own by tracemalloc, those of C++ by the C
library's figures (mallinfo2, glibc). Each function returns plain data, a list of rows (dicts of
numbers), so that a plot or another program may call it.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

import devview as dv

AXES = (0, 1, 2, 3, 4, 6, 8, 16, 32, 64)
ELEMENTS = tuple(10**k for k in range(1, 9))
LIVE = tuple(10**k for k in range(2, 7))
COUNT = 20_000  # views that share a measurement of bytes
REPEATS = 2_000  # calls that share one of time


class _MallInfo(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            [
                "arena",
                "ordblks",
                "smblks",
                "hblks",
                "hblkhd",
                "usmblks",
                "fsmblks",
                "uordblks",
                "fordblks",
                "keepcost",
            ]
        )
    )


def _mallinfo():
    try:
        function = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    function.restype = _MallInfo
    return function


_mallinfo2 = _mallinfo()


def native_bytes() -> int | None:
    """Bytes that C and C++ hold of the C library's heap; None where it does not tell."""
    if _mallinfo2 is None:
        return None
    figures = _mallinfo2()
    return figures.uordblks + figures.hblkhd


def view_bytes(make, count: int = COUNT) -> dict[str, float | None]:
    """Bytes that each of `count` living results of make() takes.

    `object_bytes` are Python's, `native_bytes` those of C++ (records of allocations, layouts of
    more axes than fit into the object). Both are of the results alone: the list is made before.
    """
    kept = [None] * count

    def grown(bytes_now) -> float:
        for i in range(count):  # the first ones fill lists of free objects
            kept[i] = make()
        kept[:] = [None] * count
        gc.collect()
        before = bytes_now()
        for i in range(count):
            kept[i] = make()
        after = bytes_now()
        kept[:] = [None] * count
        return (after - before) / count

    native = None if native_bytes() is None else grown(native_bytes)
    tracemalloc.start()  # not before: its tables are on the C library's heap
    try:
        python = grown(lambda: tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return {"object_bytes": python, "native_bytes": native}


def seconds(call, repeats: int = REPEATS, rounds: int = 15) -> float:
    """Seconds of the processor a call: the median of `rounds` loops, less an empty loop's."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(repeats):
            pass
        empty = time.process_time() - start
        start = time.process_time()
        for _ in range(repeats):
            call()
        times.append((time.process_time() - start - empty) / repeats)
    return statistics.median(times)


def by_axes(axes: tuple[int, ...] = AXES, count: int = COUNT) -> list[dict[str, object]]:
    """Bytes and seconds of a slice, an imported view and a memoryview of that many axes."""
    rows = []
    for ndim in axes:
        parent = dv.zeros((1,) * ndim)
        key = (slice(None),) * ndim or ...
        exporter = memoryview(parent)
        rows.append(
            {
                "axes": ndim,
                "slice": view_bytes(lambda parent=parent, key=key: parent[key], count),
                "view": view_bytes(lambda exporter=exporter: dv.view(exporter), count),
                "memoryview": view_bytes(lambda exporter=exporter: memoryview(exporter), count),
                "slice_seconds": seconds(lambda parent=parent, key=key: parent[key]),
                "view_seconds": seconds(lambda exporter=exporter: dv.view(exporter)),
                "memoryview_seconds": seconds(lambda exporter=exporter: memoryview(exporter)),
            }
        )
    return rows


def operations(elements: int) -> dict[str, object]:
    """Hand-overs of one array of that many bytes: none of them should look at its items."""
    array = np.empty(elements, "u1")
    v = dv.view(array)
    return {
        "view": lambda: dv.view(array),
        "slice": lambda: v[1:],
        "memoryview": lambda: memoryview(v),
        "cast": lambda: v.cast("b"),
        "shape": lambda: v.shape,
    }


def by_elements(elements: tuple[int, ...] = ELEMENTS) -> list[dict[str, object]]:
    """Bytes and seconds of each hand-over, for each number of items."""
    rows = []
    for count in elements:
        row: dict[str, object] = {"elements": count}
        for name, call in operations(count).items():
            row[name] = view_bytes(call, 1000)
            row[f"{name}_seconds"] = seconds(call)
        rows.append(row)
    return rows


def by_live_views(live: tuple[int, ...] = LIVE) -> list[dict[str, object]]:
    """Return what many living views cost in bytes and seconds of the processor.

    Slices of one view share its record; imports have one each; memoryviews are there to compare.
    `make` and `drop` are seconds a view, for all of them; `one_more` those of one more view while
    all others live; `collect` those of a whole collection.
    """
    return [
        {"live": count, "of": of, **_live(count, make)}
        for count in live
        for of, make in (
            ("slices", _slices()),
            ("imports", _imports()),
            ("memoryviews", _memoryviews()),
        )
    ]


def _slices():
    v = dv.view(np.zeros(16))
    return lambda: v[1:9]


def _imports():
    a = np.zeros(16)
    return lambda: dv.view(a)


def _memoryviews():
    a = np.zeros(16)
    return lambda: memoryview(a)


def _live(count: int, make) -> dict[str, float | None]:
    kept = [None] * count
    gc.collect()
    native = native_bytes()
    start = time.process_time()
    for i in range(count):
        kept[i] = make()
    made = time.process_time()
    native_after = native_bytes()
    one_more = seconds(make)
    before = time.process_time()
    gc.collect()
    collected = time.process_time()
    size = sys.getsizeof(kept[0])
    last = time.process_time()
    kept.clear()
    dropped = time.process_time()
    return {
        "make_seconds": (made - start) / count,
        "one_more_seconds": one_more,
        "collect_seconds": collected - before,
        "drop_seconds": (dropped - last) / count,
        "object_bytes": size,
        "native_bytes": None if native is None else (native_after - native) / count,
    }


def measure(views: int = LIVE[-1]) -> dict[str, object]:
    """Everything, as plain data; at most `views` views alive (about 500 bytes each)."""
    return {
        "by_axes": by_axes(),
        "by_elements": by_elements(),
        "by_live_views": by_live_views(tuple(count for count in LIVE if count <= views)),
    }


def main() -> None:
    """Measure, print the tables, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--views", type=int, default=LIVE[-1], metavar="N", help="at most alive")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args()
    figures = measure(options.views)

    print("axes   slice [bytes: Python, C++]     view of a memoryview          memoryview")
    for row in figures["by_axes"]:
        sizes = [row[name] for name in ("slice", "view", "memoryview")]
        times = [row[f"{name}_seconds"] * 1e9 for name in ("slice", "view", "memoryview")]
        cells = (
            f"{size['object_bytes']:6.0f} {size['native_bytes'] or 0:6.0f}  {ns:6.0f} ns"
            for size, ns in zip(sizes, times, strict=True)
        )
        print(f"{row['axes']:4}   {'        '.join(cells)}")
    names = tuple(operations(1))
    print("\nelements   " + "".join(f"{name:>22}" for name in names))
    for row in figures["by_elements"]:
        cells = (
            f"{row[name]['object_bytes'] + (row[name]['native_bytes'] or 0):8.0f} B "
            f"{row[f'{name}_seconds'] * 1e9:8.0f} ns"
            for name in names
        )
        print(f"{row['elements']:<11}" + " ".join(cells))
    print("\nalive                        made    one more     dropped   collection   bytes")
    for row in figures["by_live_views"]:
        print(
            f"{row['live']:<9} {row['of']:<14} "
            + " ".join(
                f"{row[f'{name}_seconds'] * 1e9:7.0f} ns  " for name in ("make", "one_more", "drop")
            )
            + f"{row['collect_seconds'] * 1e3:8.1f} ms   "
            f"{row['object_bytes']} + {row['native_bytes'] or 0:.0f}"
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
