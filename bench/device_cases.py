"""Movements within a device that bench/device.py times and checks, each with NumPy's twin of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import devview as dv

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = None

# One dtype for each size of items.
ITEMS = {1: "u1", 2: "i2", 4: "f4", 8: "f8", 16: "c16"}


class Twin:
    """The same items on a device and in a NumPy array, and the same slices of both.

    `whole` is the dense pair that both are slices of: what is compared, so that bytes beside a
    slice are, too.
    """

    def __init__(self, view: dv.View, array: np.ndarray, whole: Twin | None = None):
        self.view, self.array = view, array
        self.whole = whole or self

    @classmethod
    def make(cls, shape: tuple[int, ...], dtype: object, device: str, seed: int) -> Twin:
        """Return dense items that every number type and NumPy's float16 hold exactly."""
        random = np.random.default_rng(seed)
        array = random.integers(0, 100, shape).astype(dtype)
        return cls(dv.copy(array, device=device), array)

    def __getitem__(self, key: Any) -> Twin:
        return Twin(self.view[key], self.array[key], self.whole)

    def transpose(self, *axes: int) -> Twin:
        """Return both with their axes in this order."""
        return Twin(self.view.transpose(*axes), self.array.transpose(*axes), self.whole)

    @property
    def nbytes(self) -> int:
        """Bytes of the items."""
        return self.view.nbytes

    def check(self) -> None:
        """Raise AssertionError unless both sides hold the same bytes."""
        there = self.whole.view.tobytes()
        if there != self.whole.array.tobytes():
            got = np.frombuffer(there, self.whole.array.dtype).reshape(self.whole.array.shape)
            index = tuple(int(k[0]) for k in np.nonzero(got != self.whole.array))
            raise AssertionError(
                f"at {index}: {got[index]} on the device, {self.whole.array[index]} in NumPy"
            )


@dataclass(frozen=True)
class Task:
    """One movement with its memory.

    `run` enqueues it on a stream (host clock: and is done on return), `check` raises
    AssertionError unless memory then is what NumPy makes of it. `traffic`: bytes read and written,
    gaps between items not counted. `reference`: the plain copy that the time is told in ratio to.
    `peers`: other libraries' name of the operation, and its arguments; `answer` is what it returns
    where it writes nothing that `check` could see. `device`: whose stream it takes, if not the
    first device's.
    """

    run: Callable[[dv.Stream], object]
    check: Callable[[], None]
    traffic: int
    reference: str = "memory"
    clock: str = "device"
    peers: dict[str, Any] = field(default_factory=dict)
    answer: Any = None
    device: str = ""


@dataclass(frozen=True)
class Case:
    """A movement by name; `make(nbytes)` brings about so many bytes to be moved."""

    group: str
    what: str
    make: Callable[[int], Task]

    def __str__(self) -> str:
        return f"{self.group}: {self.what}"


def moved(dst: Twin, src: Twin, reference: str = "memory", device: str = "") -> Task:
    """Return the task of copying or converting all items."""

    def check() -> None:
        dst.array[...] = src.array.astype(dst.array.dtype)
        dst.check()

    return Task(
        lambda stream: dv.copyto(dst.view, src.view, stream=stream),
        check,
        dst.nbytes + src.nbytes,
        reference,
        peers={"move": (dst.view, src.view)},
        device=device,
    )


def cube(nbytes: int, dtype: object, ndim: int) -> tuple[int, ...]:
    """Return the shape of about `nbytes`, all extents alike, at least 8 and even."""
    return (max(8, int((nbytes / np.dtype(dtype).itemsize) ** (1 / ndim)) & ~1),) * ndim


Slice = Callable[[Twin], Twin]

# Of square arrays, or cubes: (name, axes, what is taken of them).
SLICES: tuple[tuple[str, int, Slice], ...] = (
    ("every other", 2, lambda t: t[:, ::2]),
    ("every other row", 2, lambda t: t[::2]),
    ("reversed", 2, lambda t: t[::-1, ::-1]),
    ("three of four", 2, lambda t: t[:, : t.array.shape[1] * 3 // 4]),
    ("sub-box", 3, lambda t: t[1:-1, 2:-2, 3:-3]),
    ("diagonal steps", 3, lambda t: t[::2, ::-2, ::3]),
)


def slicing(device: str) -> Iterator[Case]:
    """Yield packs and unpacks of every slice, of the commonest in all sizes of items."""
    for name, ndim, take in SLICES:
        for size, dtype in ITEMS.items() if name == "every other" else ((4, "f4"),):

            def pack(nbytes: int, ndim=ndim, take=take, dtype=dtype) -> Task:
                src = take(Twin.make(cube(nbytes, dtype, ndim), dtype, device, 1))
                return moved(Twin.make(src.array.shape, dtype, device, 2), src)

            def unpack(nbytes: int, ndim=ndim, take=take, dtype=dtype) -> Task:
                dst = take(Twin.make(cube(nbytes, dtype, ndim), dtype, device, 1))
                return moved(dst, Twin.make(dst.array.shape, dtype, device, 2))

            yield Case("pack", f"{name}, {size}-byte items", pack)
            yield Case("unpack", f"{name}, {size}-byte items", unpack)

    def both(nbytes: int) -> Task:
        shape = cube(nbytes, "f4", 2)
        dst, src = (Twin.make(shape, "f4", device, seed) for seed in (1, 2))
        return moved(dst[::2, ::-1], src[::-2])

    yield Case("strided", "to strided, 4-byte items", both)


def rows(device: str) -> Iterator[Case]:
    """Yield rows with gaps of half a row: where a kernel and where the copy engine is better."""
    for width in (16, 32, 64, 100, 128, 256, 512, 1024, 4096):

        def make(nbytes: int, width=width) -> Task:
            src = Twin.make((max(2, nbytes // width), width * 3 // 2), "u1", device, 1)[:, :width]
            return moved(Twin.make(src.array.shape, "u1", device, 2), src)

        yield Case("rows", f"{width} bytes", make)


def transposes(device: str) -> Iterator[Case]:
    """Yield square transposes of all sizes of items, and permutations of more axes."""
    for size, dtype in ITEMS.items():

        def make(nbytes: int, dtype=dtype) -> Task:
            src = Twin.make(cube(nbytes, dtype, 2), dtype, device, 1)
            return moved(Twin.make(src.array.shape, dtype, device, 2), src.transpose(1, 0))

        yield Case("transpose", f"{size}-byte items", make)
    for axes in ((0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0), (3, 1, 2, 0), (0, 3, 1, 2)):

        def permute(nbytes: int, axes=axes) -> Task:
            src = Twin.make(cube(nbytes, "f4", len(axes)), "f4", device, 1).transpose(*axes)
            return moved(Twin.make(src.array.shape, "f4", device, 2), src)

        yield Case("permute", f"{axes}, 4-byte items", permute)

    def channels(nbytes: int, to_planes: bool) -> Task:
        side = max(8, math.isqrt(nbytes // 3))
        pixels = Twin.make((side, side, 3), "u1", device, 1)
        planes = Twin.make((3, side, side), "u1", device, 2)
        if to_planes:
            return moved(planes, pixels.transpose(2, 0, 1))
        return moved(pixels, planes.transpose(1, 2, 0))

    yield Case("permute", "pixels to planes, 3 bytes", lambda nbytes: channels(nbytes, True))
    yield Case("permute", "planes to pixels, 3 bytes", lambda nbytes: channels(nbytes, False))


# copyto() keeps the kind of value; the last two are astype()'s.
CASTS = (
    ("f4", "f8"),
    ("f8", "f4"),
    ("f4", "f2"),
    ("f2", "f4"),
    ("i4", "f4"),
    ("u1", "f4"),
    ("i8", "f8"),
    ("f4", "c8"),
    ("<i4", ">i4"),
    *((("f4", bfloat16), (bfloat16, "f4")) if bfloat16 else ()),
    ("f4", "i4"),
    ("f4", "u1"),
)


def converted(src: Twin, dtype: object) -> Task:
    """Return the task of converting into memory of the pool."""
    format = np.dtype(dtype).char

    def check() -> None:
        assert src.view.astype(format).tobytes() == src.array.astype(dtype).tobytes()

    return Task(
        lambda stream: src.view.astype(format, stream=stream),
        check,
        src.nbytes + src.array.astype(dtype).nbytes,
    )


def casts(device: str) -> Iterator[Case]:
    """Yield conversions by value, dense and of strided items."""
    for source, target in CASTS:
        name = f"{np.dtype(source).name} to {np.dtype(target).name}"
        if source == "<i4":
            name = "int32 to swapped int32"

        def make(nbytes: int, source=source, target=target) -> Task:
            shape = cube(nbytes, source, 2)
            if np.dtype(target).kind in "iu" and np.dtype(source).kind == "f":
                return converted(Twin.make(shape, source, device, 1), target)
            return moved(Twin.make(shape, target, device, 2), Twin.make(shape, source, device, 1))

        yield Case("cast", name, make)

    def strided(nbytes: int) -> Task:
        src = Twin.make(cube(nbytes, "f8", 2), "f8", device, 1).transpose(1, 0)
        return moved(Twin.make(src.array.shape, "f4", device, 2), src)

    yield Case("cast", "float64 to float32, transposed", strided)


def fills(device: str) -> Iterator[Case]:
    """Yield fills of equal bytes, of items, and of strided places."""
    for what, dtype, value, take in (
        ("equal bytes", "i4", 0, lambda t: t),
        ("4-byte items", "f4", 1.5, lambda t: t),
        ("16-byte items", "c16", 1.5 - 2j, lambda t: t),
        ("every other, 4-byte items", "f4", 1.5, lambda t: t[:, ::2]),
    ):

        def make(nbytes: int, dtype=dtype, value=value, take=take) -> Task:
            dst = take(Twin.make(cube(nbytes, dtype, 2), dtype, device, 1))

            def check() -> None:
                dst.array[...] = value
                dst.check()

            return Task(
                lambda stream: dst.view.fill(value, stream=stream),
                check,
                dst.nbytes,
                peers={"fill": (dst.view, value)},
            )

        yield Case("fill", what, make)


def comparisons(device: str) -> Iterator[Case]:
    """Yield comparisons of equal items; the answer is on the host, and so is the clock."""
    for what, dtype, take in (
        ("4-byte items", "f4", lambda t: t),
        ("bytes", "u1", lambda t: t),
        ("every other, 4-byte items", "f4", lambda t: t[:, ::2]),
    ):

        def make(nbytes: int, dtype=dtype, take=take) -> Task:
            shape = cube(nbytes, dtype, 2)
            left, right = (take(Twin.make(shape, dtype, device, 1)) for _ in range(2))

            def check() -> None:
                assert left.view == right.view, "equal items are told to differ"
                last = left.array.ndim * (-1,)
                right.view[last] = left.array[last] + 1
                assert left.view != right.view, "the last item differs, and nobody says so"

            return Task(
                lambda stream: left.view == right.view,
                check,
                left.nbytes + right.nbytes,
                clock="host",
                peers={"compare": (left.view, right.view)},
                answer=True,
            )

        yield Case("compare", what, make)


def device_cases(device: str) -> Iterator[Case]:
    """Yield everything that stays on one device."""
    for family in (slicing, rows, transposes, casts, fills, comparisons):
        yield from family(device)
