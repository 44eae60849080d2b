"""Strided copies beside NumPy's, and beside a memcpy that moves the same traffic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from devview.bench.case import Case, Promise, Side
from devview.bench.cases.memory import MEMCPY, memcpy_of, traffic

NUMPY = Side("np.copyto", "np.copyto(dst, src)")
OURS = Side("devview", "copyto(w, v)", "ours")
RECORD = [("x", "f4"), ("y", "f4"), ("z", "f4")]

# Name, dtype, shape, shape of a quick run, what is taken of it, least speed in ratio to memcpy's.
Take = Callable[[Any], Any]
PACKS: tuple[tuple[str, Any, tuple[int, ...], tuple[int, ...], Take, float], ...] = (
    ("transpose f4", "f4", (4096, 4096), (128, 128), lambda a: a.T, 0.9),
    ("transpose f8", "f8", (2048, 2048), (128, 128), lambda a: a.T, 0.9),
    ("transpose u1", "u1", (4096, 4096), (128, 128), lambda a: a.T, 0.8),
    ("permute (2,1,0) f4", "f4", (256,) * 3, (16,) * 3, lambda a: a.transpose(2, 1, 0), 0.8),
    ("permute (0,2,1) f4", "f4", (256,) * 3, (16,) * 3, lambda a: a.transpose(0, 2, 1), 0.8),
    ("permute (1,0,2) f4", "f4", (256,) * 3, (16,) * 3, lambda a: a.transpose(1, 0, 2), 0.8),
    ("columns step 2 f4", "f4", (4096, 4096), (128, 128), lambda a: a[:, ::2], 0.8),
    ("reversed f4", "f4", (4096, 4096), (128, 128), lambda a: a[::-1, ::-1], 0.8),
    ("12-byte records step 2", RECORD, (1 << 22,), (1 << 10,), lambda a: a[::2], 0.8),
    ("HWC to CHW u1", "u1", (2160, 3840, 3), (36, 64, 3), lambda a: a.transpose(2, 0, 1), 0.8),
)


def pair(src: Any, dst: Any, ours: Any, nbytes: int) -> dict[str, Any]:
    """Return a copy as NumPy and as devview does it, and a memcpy of so many bytes."""
    import numpy as np

    import devview as dv

    scope = {"np": np, "copyto": dv.copyto, "src": src, "dst": dst}
    scope |= {"v": dv.view(src), "w": dv.view(ours), **memcpy_of(nbytes)}
    scope["check"] = lambda: ours.tobytes() == np.ascontiguousarray(src).tobytes()
    return scope


def filled(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return an array of bytes that all differ from their neighbours'."""
    import numpy as np

    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.resize(np.arange(251, dtype="u1"), count).view(dtype).reshape(shape)


def pack(quick: bool, dtype: Any, full: tuple, small: tuple, take: Take) -> dict[str, Any]:
    """Return a slice of an array, and dense memory for it."""
    import numpy as np

    src = take(filled(small if quick else full, dtype))
    dst, ours = (np.zeros(src.shape, src.dtype) for _ in range(2))
    return pair(src, dst, ours, traffic(dst, src))


def small(quick: bool, dtype: str) -> dict[str, Any]:
    """Return an 8 x 8 transpose: nothing but planning and the call."""
    return pack(quick, dtype, (8, 8), (8, 8), lambda a: a.T)


def tobytes(quick: bool) -> dict[str, Any]:
    """Return a transposed MiB, as view, array and memoryview."""
    import devview as dv

    side = 64 if quick else 512
    a = filled((side, side), "f4").T
    scope = {"v": dv.view(a), "m": memoryview(a), "a": a, **memcpy_of(a.nbytes)}
    return scope | {"check": lambda: dv.view(a).tobytes() == a.tobytes()}


CASES = (
    *(
        Case(
            "copy",
            name,
            (OURS, NUMPY, MEMCPY),
            partial(pack, dtype=dtype, full=full, small=small_shape, take=take),
            (Promise("memcpy", at_least=least),),
            scaled=True,
        )
        for name, dtype, full, small_shape, take, least in PACKS
    ),
    *(
        Case(
            "copy",
            f"8 x 8 transpose {dtype}",
            (OURS, NUMPY, Side("bare call", "callable(w)", "limit")),
            partial(small, dtype=dtype),
            (Promise("np.copyto", at_most=0.3),),
        )
        for dtype in ("f4", "f8")
    ),
    Case(
        "copy",
        "tobytes, 1 MiB transposed",
        (
            Side("devview", "v.tobytes()", "ours"),
            Side("memoryview", "m.tobytes()"),
            Side("ndarray", "a.tobytes()"),
            MEMCPY,
        ),
        tobytes,
        (Promise("memoryview", at_least=20),),
        scaled=True,
    ),
)
