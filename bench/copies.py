"""Strided host copies beside memcpy and NumPy: every ratio in one run, both sides interleaved.

    python bench/copies.py [pack] [random] [small] [tobytes] [--layouts 500] [--json FILE]

pack: ``dv.copyto`` to dense memory over a memcpy of the same traffic, (cache lines read + bytes
written) / 2; above 1 it is faster than memcpy. random: seeded layouts, NumPy's ``copyto`` over
ours, and memcpy of the destination's bytes over ours. small: our call over NumPy's. tobytes:
memoryview's over ours. CPU time of this thread, medians; ``taskset -c 1`` keeps it on one core.
"""

import argparse
import json
import math
import os
import random
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("DEVVIEW_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import devview as dv

LINE = 64


def per_call(call, calls):
    """Seconds of CPU of one call, out of ``calls``."""
    start = time.thread_time_ns()
    for _ in range(calls):
        call()
    return (time.thread_time_ns() - start) / calls * 1e-9


def medians(calls, seconds=0.3, rounds=7):
    """Measure the median time of each callable; they take turns, in a new order each round."""
    counts = []
    for call in calls:
        call()
        once = max(per_call(call, 1), 1e-7)
        once = max(per_call(call, max(1, int(2e-4 / once))), 1e-8)
        counts.append(max(1, int(seconds / len(calls) / rounds / once)))
    times = [[] for _ in calls]
    for k in range(rounds):
        for at in range(len(calls)):
            which = (at + k) % len(calls)
            times[which].append(per_call(calls[which], counts[which]))
    return [statistics.median(of) for of in times]


def lines_read(array):
    """Bytes of the cache lines that hold the array's items (exact for up to 2^26 items)."""
    low, high = (
        np.lib.array_utils.byte_bounds(array)
        if hasattr(np.lib, "array_utils")
        else (np.byte_bounds(array))
    )
    first = low // LINE
    touched = np.zeros(high // LINE - first + 1, np.bool_)
    start = array.__array_interface__["data"][0]
    axes = [(n, s) for n, s in zip(array.shape, array.strides, strict=True) if n > 1 and s != 0]
    # The axis with the shortest step is marked by slices or one at a time, the others by offsets.
    offsets = np.array([start], np.int64)
    axes.sort(key=lambda axis: -abs(axis[1]))
    run = array.itemsize
    while axes and axes[-1][1] == run:
        run *= axes.pop()[0]
    while axes and len(axes) > 1 and run < abs(axes[-1][1]) <= LINE:
        n, s = axes.pop()
        if s < 0:
            offsets = offsets + s * (n - 1)
        run = max(run, abs(s) * (n - 1) + run)
    for n, s in axes:
        offsets = (offsets[:, None] + np.arange(n) * s).ravel()
    for k in range(0, run + LINE - 1, LINE):
        touched[(offsets + min(k, run - 1)) // LINE - first] = True
    return int(touched.sum()) * LINE


def filled(shape, dtype):
    """Make an array that is written once: untouched zeros would all lie in one page."""
    dtype = np.dtype(dtype)
    return np.full(shape, b"x" * dtype.itemsize if dtype.kind == "S" else 1, dtype)


class Memcpy:
    """Copies of n bytes between two blocks that are there already."""

    def __init__(self, largest):
        self.to = memoryview(np.ones(largest, np.uint8))
        self.source = memoryview(np.ones(largest, np.uint8))

    def of(self, nbytes):
        """Give the callable that copies so many bytes."""
        to, source = self.to[:nbytes], self.source[:nbytes]

        def call():
            to[:] = source

        return call


def pack_cases(mb):
    """Name, the least ratio that is asked for, and the source of each pack of about ``mb`` MB."""
    side = int((mb << 20) ** 0.5)
    f4 = side // 2 // 64 * 64
    f8 = int(f4 / 2**0.5) // 64 * 64
    cube = round((mb << 18) ** (1 / 3)) // 8 * 8
    rgb = int(((mb << 20) / 3) ** 0.5) // 16 * 16
    record = np.dtype("S12")

    def made(shape, dtype):
        return np.ones(shape, dtype)

    yield "transpose f32", 0.9, made((f4, f4), "f4").T
    yield "transpose f64", 0.9, made((f8, f8), "f8").T
    yield "transpose f32, odd sides", 0.9, made((f4 - 3, f4 + 5), "f4").T
    yield "(2, 1, 0) f32", 0.8, made((cube, cube, cube), "f4").transpose(2, 1, 0)
    yield "(0, 2, 1) f32", 0.8, made((cube, cube, cube), "f4").transpose(0, 2, 1)
    yield "(1, 0, 2) f32", 0.8, made((cube, cube, cube), "f4").transpose(1, 0, 2)
    yield "columns step 2 f32", 0.8, made((f4, 2 * f4), "f4")[:, ::2]
    yield "reversal f32", 0.8, made(mb << 18, "f4")[::-1]
    yield "12-byte records step 2", 0.8, filled((mb << 20) // 6, record)[::2]
    yield "HWC to CHW u8", 0.8, made((rgb, rgb, 3), "u1").transpose(2, 0, 1)
    yield "CHW to HWC u8", 0.8, made((3, rgb, rgb), "u1").transpose(1, 2, 0)
    yield "transpose u8", 0.8, made((side, side), "u1").T
    yield "crop of rows f32", 0.8, made((f4, 2 * f4), "f4")[:, 100 : f4 + 100]


def bench_pack(sizes, seconds):
    rows = []
    print(f"\npack over a memcpy of the same traffic{'':26}ratio  asked    GB/s   NumPy")
    for mb in sizes:
        memcpy = Memcpy(mb << 21)
        for name, least, source in pack_cases(mb):
            target = np.empty(source.shape, source.dtype)
            target[...] = source
            dst, src = dv.view(target), dv.view(source)
            traffic = (lines_read(source) + target.nbytes) // 2
            calls = [
                memcpy.of(traffic),
                lambda dst=dst, src=src: dv.copyto(dst, src),
                lambda target=target, source=source: np.copyto(target, source),
            ]
            peer, ours, numpy = medians(calls, seconds)
            rows.append(
                {
                    "case": name,
                    "mb": mb,
                    "ratio": peer / ours,
                    "asked": least,
                    "numpy": numpy / ours,
                    "gb_s": target.nbytes / ours * 1e-9,
                }
            )
            flag = "" if peer / ours >= least else "  <--"
            print(
                f"{name:42}{mb:5} MB{'':10}{peer / ours:8.2f}{least:7.2f}"
                f"{target.nbytes / ours * 1e-9:8.1f}{numpy / ours:7.1f}x{flag}",
                flush=True,
            )
    return rows


ITEMS = ("u1", "u2", "f4", "f8", "c16", "S3", "S6", "S12", "S24")


def random_layout(rng):
    """Two arrays of one shape: 1 to 6 axes, 1 KB to 64 MB, source cut and turned at random."""
    dtype = np.dtype(rng.choice(ITEMS) if rng.random() < 0.4 else rng.choice(ITEMS[:5]))
    ndim = rng.randint(1, 6)
    count = max(1, int(2 ** rng.uniform(10, 26)) // dtype.itemsize)
    logs = [rng.uniform(0.3, 1) for _ in range(ndim)]
    scale = math.log(count) / sum(logs)
    shape = [max(1, round(math.exp(log * scale))) for log in logs]
    steps = [rng.choice((1, 1, 1, 1, 1, 1, 2, -1)) for _ in shape]
    order = list(range(ndim))
    if rng.random() < 0.6:
        rng.shuffle(order)
    base = filled([shape[axis] * abs(steps[axis]) for axis in order], dtype)
    base = base.transpose([order.index(axis) for axis in range(ndim)])
    source = base[tuple(slice(None, None, step) for step in steps)]
    if rng.random() < 0.05:
        axis = rng.randrange(ndim)
        first = tuple(slice(0, 1) if k == axis else slice(None) for k in range(ndim))
        source = np.broadcast_to(source[first], shape)
    target = np.zeros(shape, dtype)
    if rng.random() < 0.2:
        turn = rng.sample(range(ndim), ndim)
        target = np.zeros([shape[axis] for axis in turn], dtype)
        target = target.transpose([turn.index(axis) for axis in range(ndim)])
    return target, source


def bench_random(count, seed, seconds):
    rng = random.Random(seed)
    memcpy = Memcpy(80 << 20)
    rows = []
    for number in range(count):
        target, source = random_layout(rng)
        dst, src = dv.view(target), dv.view(source)
        calls = [
            memcpy.of(target.nbytes),
            lambda dst=dst, src=src: dv.copyto(dst, src),
            lambda target=target, source=source: np.copyto(target, source),
        ]
        for again in range(4):
            peer, ours, numpy = medians(calls, seconds * (1 + again), 5)
            if numpy / ours >= 0.95:
                break
        rows.append(
            {
                "number": number,
                "shape": target.shape,
                "dtype": str(target.dtype),
                "dst": target.strides,
                "src": source.strides,
                "nbytes": target.nbytes,
                "memcpy": peer / ours,
                "numpy": numpy / ours,
                "memcpy_numpy": peer / numpy,
            }
        )
    return rows


def mean(rows, key):
    return math.exp(statistics.fmean(math.log(row[key]) for row in rows))


def print_random(rows):
    slow = [row for row in rows if row["numpy"] < 0.95]
    peers = 1 / mean(rows, "memcpy_numpy")
    print(
        f"\n{len(rows)} random layouts: {mean(rows, 'memcpy'):.2f} of memcpy (asked 0.80), "
        f"{mean(rows, 'numpy'):.2f} x NumPy, memcpy {peers:.2f} x NumPy; "
        f"{len(slow)} under 0.95 x NumPy"
    )
    for low in range(10, 26, 4):
        part = [row for row in rows if 2**low <= row["nbytes"] < 2 ** (low + 4)]
        if part:
            print(
                f"  {2**low >> 10:6} KB to {2 ** (low + 4) >> 10:6} KB: "
                f"{mean(part, 'memcpy'):.2f} of memcpy, {mean(part, 'numpy'):.2f} x NumPy"
            )
    for row in sorted(rows, key=lambda row: row["memcpy"])[:12]:
        print(
            f"  {row['memcpy']:.2f} {row['numpy']:.2f}x #{row['number']} {row['dtype']} "
            f"{row['shape']} {row['dst']} <- {row['src']}"
        )
    for row in slow:
        print(
            f"  SLOW {row['numpy']:.2f}x NumPy: #{row['number']} {row['dtype']} {row['shape']} "
            f"{row['dst']} <- {row['src']}"
        )


def bench_small(seconds):
    rows = []
    print("\n8 x 8 transposes: our call over NumPy's (asked 0.30 at most)")
    for name in ("u1", "u2", "f4", "f8", "c16"):
        source = np.ones((8, 8), name).T
        target = np.empty((8, 8), name)
        dst, src = dv.view(target), dv.view(source)
        numpy_copyto, our_copyto = np.copyto, dv.copyto

        def ours(dst=dst, src=src, our_copyto=our_copyto):
            our_copyto(dst, src)

        def peer(target=target, source=source, numpy_copyto=numpy_copyto):
            numpy_copyto(target, source)

        def nothing(dst=dst, src=src):
            pass

        own, numpy, floor = medians([ours, peer, nothing], seconds)
        ratio = (own - floor) / (numpy - floor)
        rows.append({"dtype": name, "ratio": ratio, "ns": (own - floor) * 1e9})
        print(
            f"  {name:4}{ratio:8.2f}   {(own - floor) * 1e9:6.0f} ns, "
            f"NumPy {(numpy - floor) * 1e9:6.0f} ns"
        )
    return rows


def bench_tobytes(seconds):
    rows = []
    print("\ntobytes of a transposed view: memoryview's time over ours (asked 20 at least)")
    for name, side in (("u1", 256), ("f4", 128), ("f8", 128), ("f4", 1024)):
        source = memoryview(np.ones((side, side), name).T)
        view = dv.view(source)
        own, peer = medians([view.tobytes, source.tobytes], seconds)
        rows.append({"dtype": name, "ratio": peer / own})
        print(f"  {name:4} {side} x {side}{peer / own:8.1f}")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=[])
    parser.add_argument("--layouts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mb", type=int, nargs="*", default=[1, 64])
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--json")
    options = parser.parse_args()
    what = options.what or ["small", "tobytes", "pack", "random"]
    results = {}
    if "small" in what:
        results["small"] = bench_small(options.seconds)
    if "tobytes" in what:
        results["tobytes"] = bench_tobytes(options.seconds)
    if "pack" in what:
        results["pack"] = bench_pack(options.mb, options.seconds)
    if "random" in what:
        results["random"] = bench_random(options.layouts, options.seed, options.seconds / 5)
        print_random(results["random"])
    if options.json:
        Path(options.json).write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
